// A deployment while it runs: what is put into its stream, what its commands say, and what must be in its tables, recomputed from the stream.
import { setTimeout as sleep } from "node:timers/promises";
import { DeleteTableCommand } from "@aws-sdk/client-dynamodb";
import { expect } from "vitest";
import type { StatusReport } from "../../../lib/cli/status.js";
import { type Input, inputOf } from "../../integration/zombies/stream.js";
import { resultOf, someWords } from "../../integration/zombies/words.js";
import type { Cloud } from "../resources.js";
import type { Deployment, Outputs } from "./project.js";

const patience = 180_000;

/** How many words there are, each of which comes once in so many records. */
const words = 40;

type Items = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

export interface RunningDeployment {
  readonly outputs: Outputs;
  readonly input: Input;
  /** Records so far. */
  readonly count: number;
  /** All with this tag, where one is given. */
  put(count: number, tag?: string): Promise<void>;
  /** As many as there are words. */
  putSome(): Promise<void>;
  /** What a command says with `--json`; it must succeed. */
  command(name: string, ...args: readonly string[]): Promise<Record<string, unknown>>;
  status(): Promise<StatusReport>;
  until<T>(what: string, look: () => Promise<T | null>): Promise<T>;
  untilStatus(what: string, fits: (status: StatusReport) => boolean): Promise<StatusReport>;
  rowsOf(table: string, key: string): Promise<Items>;
  /** Puts words that come once: when their records were processed, for what is in the tables now. The earliest of them. */
  firstProcessed(about: string): Promise<number>;
  /** All records of the stream, parents before children. */
  readAll(): ReturnType<Input["readAll"]>;
  /** All that is in the stream is shown, but for what the bug loses. */
  untilShown(isLost: boolean): Promise<{ readonly words: Items; readonly tags: Items }>;
  /**
   * Both tables hold what follows from the stream; the release is the one that has made all rows of words that still come.
   *
   * @param isLost whether the count of the tag "late" is still that of the bug
   */
  expectExact(release: string, isLost: boolean): Promise<void>;
  /** Removes tables beside those of the stack. */
  removeBeside(...suffixes: readonly string[]): Promise<void>;
}

export function runningDeployment(cloud: Cloud, deployment: Deployment, outputs: Outputs): RunningDeployment {
  const input = inputOf(cloud.clients.kinesis, outputs.Stream);
  let seq = 0;
  let lost = 0;
  const running: RunningDeployment = {
    outputs,
    input,
    get count() {
      return seq;
    },
    async put(count, tag) {
      const records = someWords(seq, count, words).map((one) => (tag === undefined ? one : { ...one, tag }));
      lost += records.filter((one) => one.tag === "late" && one.seq % 2 === 1).length;
      seq += count;
      await input.put(records);
    },
    putSome: () => running.put(words),
    async command(name, ...args) {
      const ended = await deployment.tidemark(name, "--json", ...args);
      expect(ended, ended.err).toMatchObject({ code: 0 });
      return JSON.parse(ended.out) as Record<string, unknown>;
    },
    status: async () => (await running.command("status")) as unknown as StatusReport,
    async until(what, look) {
      const begun = performance.now();
      for (;;) {
        const found = await look();
        if (found !== null) return found;
        if (performance.now() - begun > patience)
          expect.fail(`${what}: not within ${patience} ms; ${JSON.stringify(await running.status(), null, 1)}`);
        await sleep(200);
      }
    },
    untilStatus: (what, fits) =>
      running.until(what, async () => {
        const found = await running.status();
        return fits(found) ? found : null;
      }),
    rowsOf: async (table, key) =>
      Object.fromEntries((await cloud.itemsOf(table)).map((item) => [String(item[key]), item])),
    async firstProcessed(about) {
      const probes = Array.from({ length: 8 }, (_, n) => ({ word: `${about} ${n}`, seq: seq + n, tag: "probe" }));
      seq += probes.length;
      await input.put(probes);
      return running.until(`"${about}" is processed`, async () => {
        const rows = await running.rowsOf(outputs.Words, "word");
        const times = probes.flatMap(({ word }) => rows[word]?.at ?? []);
        return times.length < probes.length ? null : Math.min(...times.map(Number));
      });
    },
    untilShown: (isLost) =>
      running.until("all is shown", async () => {
        const [byWord, byTag] = [
          await running.rowsOf(outputs.Words, "word"),
          await running.rowsOf(outputs.Tags, "tag"),
        ];
        const tagged = seq - (isLost ? lost : 0);
        return sum(byWord) >= seq && sum(byTag) >= tagged ? { words: byWord, tags: byTag } : null;
      }),
    readAll: () => running.until("the stream is read", () => input.readAll().catch(tooSlow)),
    async expectExact(release, isLost) {
      const records = await running.readAll();
      expect(records).toHaveLength(seq);
      const shown = await running.untilShown(isLost);
      const counted = records.filter((one) => !isLost || one.tag !== "late" || one.seq % 2 === 0);
      expect(picked(shown.tags, ["tag", "n", "sum"])).toEqual(resultOf(counted).tags);
      const expected = resultOf(records).words;
      expect(picked(shown.words, ["word", "n", "digest"])).toEqual(picked(expected, ["word", "n", "digest"]));
      const newest = new Map(records.map((record) => [record.word, record.seq]));
      const coming = Object.values(shown.words).filter(({ word }) => /^w\d+$/.test(String(word)));
      expect(coming).toHaveLength(words);
      for (const row of coming) expect(row).toMatchObject({ release, newest: newest.get(String(row.word)) });
    },
    async removeBeside(...suffixes) {
      for (const table of [outputs.Words, outputs.Tags])
        for (const suffix of suffixes)
          await cloud.clients.dynamo.send(new DeleteTableCommand({ TableName: `${table}-${suffix}` }));
    },
  };
  return running;
}

/** On a busy machine an emulator may take longer than its clients wait. */
function tooSlow(error: unknown): null {
  if (error instanceof Error && error.name === "TimeoutError") return null;
  throw error;
}

const sum = (rows: Items): number => Object.values(rows).reduce((all, { n }) => all + Number(n), 0);

/** Some members of rows, as words. */
export const picked = (rows: Items, names: readonly string[]) =>
  Object.fromEntries(
    Object.entries(rows).map(([key, row]) => [key, Object.fromEntries(names.map((name) => [name, String(row[name])]))]),
  );
