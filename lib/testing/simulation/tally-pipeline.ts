import { dynamoTable } from "../../connectors/dynamo-table.js";
import { fileSink } from "../../connectors/file-sink.js";
import { kinesisSource, type Start } from "../../connectors/kinesis-source.js";
import type { Alignment } from "../../model/checkpoints.js";
import { json } from "../../model/codecs.js";
import type { Millis } from "../../model/ids.js";
import { list, map, value } from "../../pipeline/declare-state.js";
import { deleted } from "../../pipeline/deletion.js";
import type { PipelineOptions } from "../../pipeline/options.js";
import { pipeline } from "../../pipeline/pipeline.js";
import type { Plan } from "../../pipeline/plan.js";
import type { Flow, Stream } from "../../pipeline/stream.js";
import { type ChainTasks, hasPairs, hasUnion, type Pressure, type Shape } from "./shape.js";
import { chained, type Made, paired, wingKeys, wingTables } from "./wings.js";

export const pipelineName = "tally";

/** The sources, each of the stream of its name. */
export type SourceName = "numbers" | "others";
export const sourceNames: readonly SourceName[] = ["numbers", "others"];

export interface NumberedRecord {
  readonly n: number;
  readonly key: string;
  /** Makes it long. */
  readonly noise?: string;
  /** An operator throws at it. */
  readonly poison?: true;
}

/** All that there is to say of the records of a key, in their order. */
export interface Tally {
  readonly key: string;
  readonly count: number;
  readonly numbers: readonly number[];
  readonly lastByRest: readonly (readonly [rest: number, n: number])[];
  readonly padding: string;
}

export interface GroupSum {
  readonly group: string;
  readonly count: number;
  readonly sum: number;
}

/** The records of all keys in the order in which they were taken: which of several orders, chance decides, once. */
export interface Arrivals {
  readonly feed: string;
  readonly numbers: readonly number[];
}

/** The tables, and the attribute that is the key of each. */
export const tables = {
  tallies: "tallies",
  groups: "groups",
  arrivals: "arrivals",
  dead: "dead",
  ...wingTables,
} as const;
export const tableKeys = { tallies: "key", groups: "group", arrivals: "feed", dead: "id", ...wingKeys } as const;
/** Of the file sink. */
export const folder = "lines";

export const onlyFeed = "all";

export const groupOf = (n: number): string => (n % 2 === 0 ? "even" : "odd");

/** Adds a record to what was said of its key: what the operator and the oracle have in common is this one line of arithmetic. */
export const restOf = (n: number): number => n % 3;

/** At every so many records of a key its row goes, until the next one. */
export const deletedEvery = 5;

/** What of the library the run is about. */
export interface Variant {
  readonly tallies: "held" | "eager";
  readonly deletes: boolean;
  /** Records come to the groups by way of calls. */
  readonly calls: "none" | "ordered" | "unordered";
  readonly files: boolean;
  readonly bad: "fail" | "quarantine";
}

export interface TallyOptions {
  /** The version: each row says which one has made it. */
  readonly code: string;
  /** It is wrong: it throws at every record. */
  readonly throws: boolean;
  readonly start: Start;
  /** Of bounded input. */
  readonly end: Millis | null;
  readonly padding: number;
  readonly restartAttempts: number;
  readonly retained: number;
  readonly suspendAfterMillis: number | null;
  readonly variant: Variant;
  readonly parallelism: number;
  readonly alignment: Alignment;
  readonly shape: Shape;
  /** Of this deployment, where the shape has a chain. */
  readonly chainTasks: ChainTasks | null;
  readonly pressure: Pressure;
  readonly partitioned: boolean;
  readonly briefCall: () => Promise<unknown>;
  readonly call: (record: NumberedRecord, signal: AbortSignal) => Promise<NumberedRecord>;
}

/**
 * The pipeline of the simulation: values, lists and maps as state, a `reduce`, and three tables; by variant calls, files, rows that
 * go, and records that are put aside. A list remembers each record's number, so that one that is lost, taken twice or out of
 * order is seen.
 */
export function tallyPipeline(options: TallyOptions): Plan {
  const { variant, shape, chainTasks, pressure, code } = options;
  const built = pipeline(pipelineName, settingsOf(options), (flow: Flow) => {
    const first = flow.from("numbers", sourceOf("numbers", options));
    const others = shape.others === "none" ? null : flow.from("others", sourceOf("others", options));
    const numbers: Numbers = others !== null && hasUnion(shape) ? first.union(others) : first;
    const called = calledOf(numbers, options);
    return [
      // Where calls keep the order, what they bring must show it.
      arrivalsOf(variant.calls === "ordered" ? called : numbers, code).to(
        "arrivals",
        dynamoTable({ table: tables.arrivals, key: ["feed"] }),
      ),
      groupsOf(called, code).to("groups", dynamoTable({ table: tables.groups, key: ["group"] })),
      ...(chainTasks === null
        ? []
        : [
            chained(numbers, keyOf, {
              tasks: chainTasks,
              code,
              call: variant.calls === "none" ? null : options.briefCall,
            }).to("chains", dynamoTable({ table: tables.chains, key: ["rest"] })),
          ]),
      ...(others === null || !hasPairs(shape)
        ? []
        : [paired(first, others, code).to("pairs", dynamoTable({ table: tables.pairs, key: ["slot"] }))]),
      // The last, so that all else has been done where it throws.
      talliesOf(numbers, options).to("tallies", tallySink(variant)),
      ...(variant.files ? [numbers.map(({ n }) => ({ n })).to("lines", fileSink<{ n: number }>({ folder }))] : []),
    ];
  });
  const { windowFrames } = pressure;
  return { ...built.plan, settings: { ...built.plan.settings, windowFrames } };
}

function settingsOf({ alignment, variant, suspendAfterMillis, ...options }: TallyOptions): PipelineOptions {
  const cuts = alignment === "at-least-once" ? { mode: alignment } : { alignment };
  const deadLetters = dynamoTable({ table: tables.dead, key: ["id"] });
  return {
    parallelism: options.parallelism,
    checkpoint: { interval: "2s", timeout: "3s", retained: options.retained, ...cuts },
    session: { reserve: "6s" },
    restart: { attempts: options.restartAttempts, window: "30s", initialDelay: "100ms", maxDelay: "2s" },
    idle: suspendAfterMillis === null ? "never" : { suspendAfter: `${suspendAfterMillis}ms` },
    ...(variant.bad === "fail" ? {} : { onBadRecord: "quarantine", deadLetters }),
  };
}

const sourceOf = (stream: SourceName, { start, end, partitioned }: TallyOptions) =>
  kinesisSource({
    stream,
    codec: json<NumberedRecord>(),
    start,
    ...(end === null ? {} : { end: { at: new Date(end) } }),
    ...(partitioned ? { partitionedBy: keyOf } : {}),
  });

type Numbers = Stream<NumberedRecord, unknown>;

const tallySink = (variant: Variant) =>
  variant.tallies === "held"
    ? dynamoTable({ table: tables.tallies, key: ["key"] })
    : dynamoTable({ table: tables.tallies, key: ["key"], delivery: "eager", stableKeys: true });

const arrivalsOf = (numbers: Numbers, code: string) =>
  numbers
    .keyBy(() => onlyFeed)
    .process("arrive", {
      state: { numbers: list<number>() },
      onRecord({ n }, { key, state }): Arrivals & Made {
        state.numbers.add(n);
        return { feed: key, numbers: [...state.numbers.get()], code };
      },
    });

const keyOf = (record: { readonly key: string }): string => record.key;

const talliesOf = (numbers: Numbers, { padding, variant, code, throws }: TallyOptions) =>
  numbers.keyBy(keyOf).process("tally", {
    state: { count: value(0), numbers: list<number>(), lastByRest: map<number, number>(), noise: value("") },
    onRecord({ n, poison }, { key, state }) {
      state.count.update((count) => count + 1);
      state.numbers.add(n);
      state.lastByRest.set(restOf(n), n);
      state.noise.set(noiseOf(3 * padding, n));
      // When all of it has changed, so that nothing of that may stay.
      if (poison === true || throws) throw new Error(`${n} is poison`);
      const count = state.count.get();
      if (variant.deletes && count % deletedEvery === 0) return deleted({ key });
      const lastByRest = [...state.lastByRest.entries()];
      return { key, count, numbers: [...state.numbers.get()], lastByRest, padding: paddingOf(padding), code };
    },
  });

function calledOf(numbers: Numbers, { variant, call }: TallyOptions): Numbers {
  const ordered = variant.calls === "ordered";
  return variant.calls === "none"
    ? numbers
    : numbers.mapAsync("look-up", { concurrency: 3, ordered, timeout: "1.5s" }, call);
}

const groupsOf = (called: Numbers, code: string) =>
  called
    .map(({ n }): GroupSum => ({ group: groupOf(n), count: 1, sum: n }))
    .keyBy((sum) => sum.group)
    .reduce("group", (a, b) => ({ group: a.group, count: a.count + b.count, sum: a.sum + b.sum }))
    .map((sum): GroupSum & Made => ({ ...sum, code }));

/** By length and number: made once, for what is replayed has it again. */
const noises = new Map<string, string>();

/** Text that no compression makes short: state of so much does not fit into an ack. */
export function noiseOf(length: number, seed: number): string {
  if (length === 0) return "";
  const name = `${length}/${seed}`;
  const known = noises.get(name) ?? newNoise(length, seed);
  noises.set(name, known);
  return known;
}

function newNoise(length: number, seed: number): string {
  let [text, word] = ["", seed + 1];
  while (text.length < length) {
    word = Math.imul(word ^ (word >>> 15), 0x2c1b3c6d) + 0x9e3779b9;
    text += (word >>> 0).toString(36);
  }
  return text.slice(0, length);
}

export const paddingOf = (length: number): string => ".".repeat(length);
