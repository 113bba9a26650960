import { type Duration, parseDuration } from "../model/duration.js";
import { failuresMax } from "../model/head.js";
import { type Millis, millis } from "../model/ids.js";
import { checkMembers, checkWhole, kindOf, refuse } from "./checks.js";
import type { DeadLetter } from "./dead-letter.js";
import type { PlanSettings } from "./plan.js";
import type { Sink } from "./sink.js";

/**
 * How a pipeline is run. Nothing of it is part of the fingerprint: options may change from deployment to deployment.
 *
 * @example { checkpoint: { interval: "30s", retained: 20 }, restart: { attempts: 5 } }
 */
export interface PipelineOptions {
  /** Tasks of each stage: 1, at most 64. Above 1 the pipeline is cut into stages at `keyBy`; a stage of sources has no more tasks than there are shards. */
  readonly parallelism?: number;
  readonly checkpoint?: {
    /** From the start of one checkpoint to the start of the next: "10s". */
    readonly interval?: Duration;
    /** A checkpoint that is not complete by then is given up: "30s". At most half of `session.reserve` (B5). */
    readonly timeout?: Duration;
    /** From the end of one checkpoint to the start of the next, at least: "0s". */
    readonly minPause?: Duration;
    /** Checkpoints in a row that may be given up before that counts as a failure: 3. */
    readonly tolerableFailures?: number;
    /** Completed checkpoints that are kept: 10. Savepoints are kept until they are deleted. */
    readonly retained?: number;
    /** "exactly-once". With "at-least-once" nobody waits at a checkpoint, and after a failure records may count twice (B2). */
    readonly mode?: "exactly-once" | "at-least-once";
    /** "unaligned": a checkpoint names the records that are under way between tasks. "aligned": tasks take them before they cut, so that it takes longer and names none (B2). */
    readonly alignment?: "unaligned" | "aligned";
  };
  readonly session?: {
    /** The part of a function's time that is kept for handing over to the next one (N1): "90s". */
    readonly reserve?: Duration;
  };
  readonly restart?: {
    /** Failures inside the window, without a completed checkpoint between them, until the pipeline counts as failed: 10, which is the most. */
    readonly attempts?: number;
    /** "10m". */
    readonly window?: Duration;
    /** The first failure restarts at once; so long between it and the second restart, doubled for each that follows: "1s". */
    readonly initialDelay?: Duration;
    /** "1m". */
    readonly maxDelay?: Duration;
  };
  /** A pipeline without records for that long is put to sleep until records arrive. "never" by default. */
  readonly idle?: { readonly suspendAfter: Duration } | "never";
  /**
   * A record that cannot be decoded, or that makes an operator throw, stops the pipeline: "fail". With "quarantine" it goes to
   * `deadLetters` instead, once, with cause and position, and leaves no other trace.
   */
  readonly onBadRecord?: "fail" | "quarantine";
  /** The sink of records that are put aside, such as `dynamoTable({ table: "dead-letters", key: ["id"] })`. */
  readonly deadLetters?: Sink<DeadLetter>;
}

const retainedMax = 10_000;
const tolerableFailuresMax = 1_000;
/** No function of Lambda lives longer, so that no reserve can be longer. */
const suspendAfterMin = millis(1_000);
const reserveMax = millis(15 * 60_000);

/**
 * The options with their defaults.
 *
 * @param where such as `pipeline "p"`, for error messages
 * @throws StreamError `invalid` for what is unknown, of the wrong type, out of range, or does not go together
 */
export function planSettings(where: string, options: unknown): PlanSettings {
  const at = `${where}: options`;
  const given = section(at, options, [
    "parallelism",
    "checkpoint",
    "session",
    "restart",
    "idle",
    "onBadRecord",
    "deadLetters",
  ]);
  const reserve = sessionReserve(`${at}.session`, given.session);
  return Object.freeze({
    parallelism: parallelism(`${at}.parallelism`, given.parallelism),
    ...checkpointSettings(`${at}.checkpoint`, given.checkpoint, reserve),
    reserve,
    restart: restartSettings(`${at}.restart`, given.restart),
    suspendAfter: suspendAfter(`${at}.idle`, given.idle),
    onBadRecord: choice(`${at}.onBadRecord`, given.onBadRecord, ["fail", "quarantine"]),
  });
}

/** The checkpoint protocol is tested to that many. */
const parallelismMax = 64;

/** Tasks, where an operator or a pipeline says how many. @throws StreamError `invalid` where it is no whole number from 1 to 64 */
export const parallelism = (where: string, value: unknown): number =>
  checkWhole(where, value === undefined ? 1 : value, { least: 1, most: parallelismMax });

function checkpointSettings(where: string, options: unknown, reserve: Millis) {
  const given = section(where, options, [
    "interval",
    "timeout",
    "minPause",
    "tolerableFailures",
    "retained",
    "mode",
    "alignment",
  ]);
  const timeout = duration(`${where}.timeout`, given.timeout, "30s");
  if (timeout > reserve / 2) {
    refuse(
      `${where}.timeout`,
      `${timeout} ms is more than half of session.reserve (${reserve} ms), so that a session could end before its last checkpoint; shorten it or lengthen the reserve`,
    );
  }
  return {
    interval: duration(`${where}.interval`, given.interval, "10s"),
    timeout,
    minPause: pause(`${where}.minPause`, given.minPause),
    tolerableFailures: checkWhole(`${where}.tolerableFailures`, given.tolerableFailures ?? 3, {
      least: 0,
      most: tolerableFailuresMax,
    }),
    retained: checkWhole(`${where}.retained`, given.retained ?? 10, { least: 1, most: retainedMax }),
    ...cutSettings(where, given),
  };
}

/** B2: who does not wait at a cut has nothing to align. */
function cutSettings(where: string, given: { readonly mode?: unknown; readonly alignment?: unknown }) {
  const mode = choice(`${where}.mode`, given.mode, ["exactly-once", "at-least-once"]);
  const alignment = choice(`${where}.alignment`, given.alignment, ["unaligned", "aligned"]);
  if (mode === "exactly-once") return { mode, alignment };
  if (alignment === "aligned") {
    refuse(
      `${where}.alignment`,
      '"aligned" has tasks wait for each other at a checkpoint, and mode "at-least-once" is that nobody waits; leave one of them out',
    );
  }
  return { mode, alignment: "at-least-once" as const };
}

function sessionReserve(where: string, options: unknown): Millis {
  const reserve = duration(`${where}.reserve`, section(where, options, ["reserve"]).reserve, "90s");
  if (reserve >= reserveMax) refuse(`${where}.reserve`, "leaves no time for work: a function lives at most 15 minutes");
  return reserve;
}

function restartSettings(where: string, options: unknown): PlanSettings["restart"] {
  const given = section(where, options, ["attempts", "window", "initialDelay", "maxDelay"]);
  const initialDelay = duration(`${where}.initialDelay`, given.initialDelay, "1s");
  const maxDelay = duration(`${where}.maxDelay`, given.maxDelay, "1m");
  if (initialDelay > maxDelay) {
    refuse(
      `${where}.initialDelay`,
      `${initialDelay} ms is longer than maxDelay (${maxDelay} ms); shorten one or lengthen the other`,
    );
  }
  return Object.freeze({
    // The head remembers no more failures than that: a larger number would never be reached.
    attempts: checkWhole(`${where}.attempts`, given.attempts ?? failuresMax, { least: 1, most: failuresMax }),
    window: duration(`${where}.window`, given.window, "10m"),
    initialDelay,
    maxDelay,
  });
}

/** Nothing said: it stays awake. To sleep is to trade the first record's time for money, which is the user's to say. */
function suspendAfter(where: string, idle: unknown): Millis | null {
  if (idle === undefined || idle === "never") return null;
  if (typeof idle === "string") refuse(where, 'must be "never" or { suspendAfter: a duration }');
  const given = section(where, idle, ["suspendAfter"]);
  if (given.suspendAfter === undefined) refuse(where, 'must be "never" or { suspendAfter: a duration }');
  const after = duration(`${where}.suspendAfter`, given.suspendAfter, "1m");
  if (after < suspendAfterMin)
    refuse(`${where}.suspendAfter`, `${after} ms is less than a task needs to see that it is idle; say at least "1s"`);
  return after;
}

/** Members of an object of options; a missing one has none. */
function section<const N extends string>(
  where: string,
  value: unknown,
  known: readonly N[],
): { readonly [P in N]?: unknown } {
  if (value === undefined) return {};
  checkMembers(where, value, known);
  return value as { readonly [P in N]?: unknown };
}

function duration(where: string, value: unknown, otherwise: Duration): Millis {
  if (value === undefined) return parseDuration(otherwise, where);
  if (typeof value !== "string")
    return refuse(where, `must be a duration such as "${otherwise}", not ${kindOf(value)}`);
  return parseDuration(value, where);
}

/** A duration that may be none at all: "0s". */
function pause(where: string, value: unknown): Millis {
  const none = value === undefined || (typeof value === "string" && /^0(?:\.0+)?(?:ms|s|m|h)$/.test(value));
  return none ? millis(0) : duration(where, value, "1s");
}

/** One of the choices; the first where none is given. */
function choice<const C extends readonly [string, ...string[]]>(where: string, value: unknown, choices: C): C[number] {
  if (value === undefined) return choices[0];
  if (typeof value === "string" && choices.includes(value)) return value;
  return refuse(where, `must be ${choices.map((one) => `"${one}"`).join(" or ")}`);
}
