// What the stages run, and what its result must be: computed from the stream itself, with nothing of the library's.

/** A record of the stream: its partition key is the word, so that the records of a word have an order. */
export interface Word {
  readonly word: string;
  readonly seq: number;
  readonly tag: string;
}

/** Counts per word (with an order-sensitive digest, the last records, and counts per tag) and, of all words, per tag. */
export const wordsPipeline = (name: string, settings: string): string => `
import { dynamoTable, json, kinesisSource, list, map, pipeline, value } from "tidemark";

interface Word { readonly word: string; readonly seq: number; readonly tag: string }

export default pipeline("${name}", { ${settings} }, (flow) => {
  const words = flow.from("words", kinesisSource({ stream: "words-${name}", codec: json<Word>(), start: "trim-horizon" }));
  const counted = words.keyBy((record) => record.word).process("count", {
    state: { n: value(0), digest: value(7), last: list<number>(), tags: map<string, number>() },
    onRecord(record, { key, state }) {
      state.n.update((n) => n + 1);
      state.digest.update((digest) => (digest * 31 + record.seq + 1) % 1_000_003);
      if (state.last.get().length === 5) state.last.clear();
      state.last.add(record.seq);
      state.tags.set(record.tag, (state.tags.get(record.tag) ?? 0) + 1);
      return {
        word: key,
        n: state.n.get(),
        digest: state.digest.get(),
        last: state.last.get().join(" "),
        tags: [...state.tags.entries()].map(([tag, n]) => tag + n).sort().join(" "),
      };
    },
  });
  const tagged = words.keyBy((record) => record.tag).process("tag", {
    state: { n: value(0), sum: value(0) },
    onRecord(record, { key, state }) {
      state.n.update((n) => n + 1);
      state.sum.update((sum) => sum + record.seq);
      return { tag: key, n: state.n.get(), sum: state.sum.get() };
    },
  });
  return [
    counted.to("words", dynamoTable({ table: "words-${name}", key: ["word"] })),
    tagged.to("tags", dynamoTable({ table: "tags-${name}", key: ["tag"] })),
  ];
});
`;

/** `count` records over `words` words, from number `from` on. */
export const someWords = (from: number, count: number, words: number): readonly Word[] =>
  Array.from({ length: count }, (_, index) => {
    const seq = from + index;
    return { word: `w${(seq * 7) % words}`, seq, tag: `t${seq % 5}` };
  });

export type Rows = Readonly<Record<string, Readonly<Record<string, string>>>>;

/** What both tables must hold, by key. */
export interface Result {
  readonly words: Rows;
  readonly tags: Rows;
}

/** The result of records in their order. */
export function resultOf(records: readonly Word[]): Result {
  const byWord = grouped(records, ({ word }) => word);
  const byTag = grouped(records, ({ tag }) => tag);
  return { words: rowsOf(byWord, wordRow), tags: rowsOf(byTag, tagRow) };
}

function grouped<T>(values: readonly T[], keyOf: (value: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const value of values) {
    const group = groups.get(keyOf(value));
    if (group === undefined) groups.set(keyOf(value), [value]);
    else group.push(value);
  }
  return groups;
}

const rowsOf = (groups: Map<string, Word[]>, row: (key: string, records: readonly Word[]) => Rows[string]): Rows =>
  Object.fromEntries([...groups].map(([key, records]) => [key, row(key, records)]));

function wordRow(word: string, records: readonly Word[]): Rows[string] {
  const digest = records.reduce((before, { seq }) => (before * 31 + seq + 1) % 1_000_003, 7);
  const last = records.slice(records.length - (((records.length - 1) % 5) + 1)).map(({ seq }) => seq);
  const tags = [...grouped(records, ({ tag }) => tag)].map(([tag, all]) => `${tag}${all.length}`).sort();
  return { word, n: `${records.length}`, digest: `${digest}`, last: last.join(" "), tags: tags.join(" ") };
}

function tagRow(tag: string, records: readonly Word[]): Rows[string] {
  const sum = records.reduce((before, { seq }) => before + seq, 0);
  return { tag, n: `${records.length}`, sum: `${sum}` };
}
