import type { Failure, Head, HourCount, Lease } from "../model/head.js";
import { checkpointId, type Millis, type TaskId } from "../model/ids.js";

// Functions that invoke each other switch off the service's own guard against loops: these limits stand in for it. They are far
// above what a healthy pipeline does, even one whose processes are killed every other second, and bound what a runaway one costs.

/** Generations that may be opened in an hour without a person's start among them. */
export const openingsPerHourMax = 3_600;
/** Sessions that may take the lease of a task in an hour. */
export const sessionsPerHourMax = 3_600;

const hourMillis = 3_600_000;

/** One more. */
export function countOne(before: HourCount | null, now: Millis): HourCount {
  const isOver = before === null || before.since + hourMillis <= now;
  return isOver ? { since: now, count: 1 } : { ...before, count: before.count + 1 };
}

export const noneYet = (now: Millis): HourCount => ({ since: now, count: 0 });

/** Not there in what an older library wrote. */
const isFull = (counted: HourCount | undefined, max: number, now: Millis): boolean =>
  counted !== undefined && counted.count >= max && now < counted.since + hourMillis;

/** What stands against another generation that no person asked for. */
export function openingLimit(head: Head, now: Millis): string | null {
  if (!isFull(head.openings, openingsPerHourMax, now)) return null;
  return `${head.openings.count} generations were opened since ${iso(head.openings.since)}, more than ${openingsPerHourMax} an hour are not: something restarts or wakes the pipeline again and again`;
}

/** A task whose sessions follow each other so fast that they cannot be of use. */
export function sessionLimit(
  leases: Iterable<readonly [TaskId, { readonly value: Lease }]>,
  now: Millis,
): string | null {
  for (const [task, { value }] of leases) {
    if (!isFull(value.sessions, sessionsPerHourMax, now)) continue;
    return `${value.sessions.count} sessions of task ${task} began since ${iso(value.sessions.since)}, more than ${sessionsPerHourMax} an hour do not: give the function a longer timeout, or shorten session.reserve`;
  }
  return null;
}

/** The pipeline rests with this cause until a person starts it again. */
export const failureOf = (head: Head, message: string, now: Millis): Failure => ({
  generation: head.generation,
  at: now,
  task: null,
  kind: "limit",
  message,
  checkpointId: head.completed?.checkpointId ?? checkpointId(0),
});

const iso = (time: Millis): string => new Date(time).toISOString();
