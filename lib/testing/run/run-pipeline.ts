import { type ErrorKind, StreamError } from "../../model/errors.js";
import type { Head } from "../../model/head.js";
import { millis } from "../../model/ids.js";
import { type DeadLetter, deadLetterSink } from "../../pipeline/dead-letter.js";
import type { Deletion } from "../../pipeline/deletion.js";
import type { Pipeline } from "../../pipeline/pipeline.js";
import type { CallRates } from "../faults/rates.js";
import { randomOf } from "../seeded/random.js";
import { startOfTime } from "../seeded/scheduler.js";
import { boundedPlan, inputMillis } from "./bounded-plan.js";
import { type AnyInput, type AnyPartitionKeys, feed } from "./feed.js";
import { makeTargets, type Seen, seenRows } from "./seen-rows.js";
import { type LoggedEvent, VirtualCloud } from "./virtual-cloud.js";

export interface RunOptions<Ins> {
  /** Draws when records arrive, which sessions die, and where. The same seed gives the same run. 1 where it is not given. */
  readonly seed?: number;
  /** So many sessions are killed on their way, each at a call to a service, before it is sent or before its answer comes: 0. */
  readonly crashes?: number;
  /** What else goes wrong with the calls, as probabilities: nothing. */
  readonly faults?: Partial<CallRates>;
  /** Of every stream: 1, so that records are taken in the order of the input. */
  readonly shards?: number;
  /** By source: which records share a shard. By default chance (the hash of the record) decides. */
  readonly partitionKeys?: { readonly [N in keyof Ins]?: (value: Ins[N]) => string };
  /** By sink: what a reader of it sees. Only for sinks of your own; what tables and files show is known. */
  readonly seen?: Readonly<Record<string, () => readonly unknown[]>>;
}

export interface RunResult<Outs> {
  /**
   * By sink, what a reader sees at the end: of a table its items by their key, without those that are deleted, and without the
   * attribute of ours; of counters their items, without our marks; of files their lines, as values, in the order of the checkpoints; of
   * files in a bucket their rows; of a stream its records, as a reader has them that leaves out repeats.
   */
  readonly sinks: { readonly [N in keyof Outs]: readonly Exclude<Outs[N], Deletion<unknown>>[] };
  /** Records that were put aside (`onBadRecord: "quarantine"`), sorted as their sink is. */
  readonly deadLetters: readonly DeadLetter[];
  /** Checkpoints completed. */
  readonly checkpoints: number;
  /** Lives of the pipeline: 1 where it was never restarted. */
  readonly generations: number;
  readonly restarts: number;
  /** Sessions killed. */
  readonly crashes: number;
  /** Events that functions log: how sessions went, checkpoints with their figures, what the supervisor measured; at in virtual time. */
  logged(): readonly LoggedEvent[];
  /** All calls to services in their order, with virtual times: what to read where a seed shows something. */
  trace(): readonly string[];
}

/**
 * Runs a pipeline in this process, the real code from head to sinks, on services in memory and in virtual time: a checkpoint
 * interval costs nothing. The input is bounded, so that the pipeline runs to its end; a record is a value as the source's codec
 * decodes it.
 *
 * @throws StreamError what the pipeline failed with, naming operator and position; `invalid` where input or options are wrong
 * @example
 * const { sinks } = await runPipeline(flights, { flights: [{ origin: "JFK", delay: 20 }] }, { crashes: 3, seed: 7 });
 * expect(sinks.airports).toEqual([{ airport: "JFK", flights: 1, late: 1 }]);
 */
export async function runPipeline<Ins, Outs>(
  pipeline: Pipeline<Ins, Outs>,
  input: { readonly [N in keyof NoInfer<Ins>]: readonly NoInfer<Ins>[N][] },
  options: RunOptions<NoInfer<Ins>> = {},
): Promise<RunResult<Outs>> {
  const { seed = 1, crashes = 0, shards = 1 } = options;
  checkCount("crashes", crashes, 0);
  checkCount("shards", shards, 1);
  const random = randomOf(`run ${seed}`);
  const lengthMillis = inputMillis(pipeline.plan, crashes);
  const plan = boundedPlan(pipeline.plan, millis(startOfTime + lengthMillis), crashes);
  const cloud = new VirtualCloud(plan, random, { crashes, lengthMillis, faults: options.faults ?? {} });
  const seen = (options.seen ?? {}) as Seen;
  makeTargets(plan, cloud, seen);
  const targets = { streams: cloud.log.control, files: cloud.files.files, timeline: cloud.scheduler };
  const partitionKeys = (options.partitionKeys ?? {}) as AnyPartitionKeys;
  await feed(plan, input as AnyInput, targets, random.fork("input"), { shards, partitionKeys, lengthMillis });
  const head = await cloud.run();
  if (head.status === "failed") throw failureOf(head);
  const sinks = await seenRows(plan, cloud, seen);
  return {
    sinks: sinks as unknown as RunResult<Outs>["sinks"],
    deadLetters: (sinks[deadLetterSink] ?? []) as readonly DeadLetter[],
    checkpoints: cloud.checkpoints,
    generations: head.generation,
    restarts: head.generation - 1,
    crashes: cloud.kills.done,
    logged: () => cloud.logged,
    trace: () => cloud.trace(),
  };
}

function checkCount(name: string, value: unknown, least: number): void {
  if (typeof value === "number" && Number.isInteger(value) && value >= least) return;
  throw new StreamError("invalid", `runPipeline(): ${name} is ${value}; it must be a whole number from ${least}`);
}

const kinds: readonly string[] = [
  "transient",
  "ambiguous",
  "fenced",
  "invalid",
  "corrupt",
  "bug",
] satisfies ErrorKind[];

function failureOf(head: Head): StreamError {
  const last = head.failures.at(-1);
  const kind = kinds.includes(last?.kind ?? "") ? (last?.kind as ErrorKind) : "bug";
  return new StreamError(kind, last?.message ?? "the pipeline failed and does not say why");
}
