import { dynamoTable } from "../../connectors/dynamo-table.js";
import { kinesisSource, type Start } from "../../connectors/kinesis-source.js";
import { json } from "../../model/codecs.js";
import { type Millis, millis } from "../../model/ids.js";
import { list, map, value } from "../../pipeline/declare-state.js";
import { pipeline } from "../../pipeline/pipeline.js";
import type { Plan } from "../../pipeline/plan.js";
import { streamName } from "./input.js";

export interface NumberedRecord {
  readonly n: number;
  readonly key: string;
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
export const tables = { tallies: "tallies", groups: "groups", arrivals: "arrivals" } as const;
export const tableKeys = { tallies: "key", groups: "group", arrivals: "feed" } as const;

export const onlyFeed = "all";

export const groupOf = (n: number): string => (n % 2 === 0 ? "even" : "odd");

/** Adds a record to what was said of its key: what the operator and the oracle have in common is this one line of arithmetic. */
export const restOf = (n: number): number => n % 3;

/**
 * The pipeline of the simulation: values, lists and maps as state, a `reduce`, and three tables. A list remembers each record's
 * number, so that one that is lost, taken twice or out of order is seen.
 */
export function tallyPipeline(options: {
  readonly start: Start;
  /** Of bounded input. */
  readonly end: Millis | null;
  readonly padding: number;
  readonly restartAttempts: number;
}): Plan {
  const { start, end, padding } = options;
  const settings = {
    checkpoint: { interval: "2s", timeout: "3s" },
    session: { reserve: "6s" },
    restart: { attempts: options.restartAttempts, window: "30s", initialDelay: "100ms", maxDelay: "2s" },
  } as const;
  const source = kinesisSource({
    stream: streamName,
    codec: json<NumberedRecord>(),
    start,
    ...(end === null ? {} : { end: { at: new Date(end) } }),
  });
  const built = pipeline("tally", settings, (flow) => {
    const numbers = flow.from("numbers", source);
    const tallies = numbers
      .keyBy((record) => record.key)
      .process("tally", {
        state: { count: value(0), numbers: list<number>(), lastByRest: map<number, number>() },
        onRecord({ n }, { key, state }): Tally {
          state.count.update((count) => count + 1);
          state.numbers.add(n);
          state.lastByRest.set(restOf(n), n);
          const lastByRest = [...state.lastByRest.entries()];
          return {
            key,
            count: state.count.get(),
            numbers: [...state.numbers.get()],
            lastByRest,
            padding: paddingOf(padding),
          };
        },
      });
    const groups = numbers
      .map(({ n }): GroupSum => ({ group: groupOf(n), count: 1, sum: n }))
      .keyBy((sum) => sum.group)
      .reduce("group", (a, b) => ({ group: a.group, count: a.count + b.count, sum: a.sum + b.sum }));
    const arrivals = numbers
      .keyBy(() => onlyFeed)
      .process("arrive", {
        state: { numbers: list<number>() },
        onRecord({ n }, { key, state }): Arrivals {
          state.numbers.add(n);
          return { feed: key, numbers: [...state.numbers.get()] };
        },
      });
    return [
      arrivals.to("arrivals", dynamoTable({ table: tables.arrivals, key: ["feed"] })),
      tallies.to("tallies", dynamoTable({ table: tables.tallies, key: ["key"] })),
      groups.to("groups", dynamoTable({ table: tables.groups, key: ["group"] })),
    ];
  });
  return built.plan;
}

export const paddingOf = (length: number): string => ".".repeat(length);

/** Where virtual time begins. */
export const startOfTime: Millis = millis(1_700_000_000_000);
