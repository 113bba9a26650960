import type { Put } from "./input.js";
import { isReached } from "./oracle.js";
import { type Person, type Wish, wish } from "./person.js";
import { isPastRetention } from "./platform.js";
import { isWrong } from "./profile.js";

const lookEveryMillis = 2_000;

/**
 * When nothing goes wrong any more: wants it running where it was left otherwise, starts it again where it gave up, stops it when
 * every record is in a complete checkpoint. Calls `done` when the pipeline rests.
 */
export function bringToRest(person: Person, done: () => void): void {
  const look = () => {
    const next = whatIsMissing(person);
    if (next === "nothing" && person.underWay === 0) return done();
    if (next !== "nothing" && next !== "patience") wish(person, next);
    person.setup.stage.scheduler.after(lookEveryMillis, look);
  };
  look();
}

function whatIsMissing(person: Person): Wish | "nothing" | "patience" {
  const { head, desired } = person.invariants;
  const deployed = String(person.platform.deployed);
  if (person.setup.profile.releases > 0) {
    if (desired === null) return "patience";
    if (isGivenUp(person)) return "nothing";
    if (isWrong(person.setup.profile, desired.code.functionVersion)) return "release";
  } else if (desired === null || desired.code.functionVersion !== deployed) return "start";
  if (head === null) return desired.state === "running" ? "patience" : "start";
  if (isGivenUp(person)) return "nothing";
  const complete = includesAll(person);
  const isFulfilled = desired.request === null || desired.request.id === person.invariants.requestId;
  // Perhaps it cannot be fulfilled: then what runs goes on (R2).
  if (desired.request?.kind === "restore" && !isFulfilled) return "start";
  if (head.status === "failed" && isFulfilled) return "start";
  if (person.end !== null) {
    if (desired.state !== "running" && isFulfilled) return "start";
    return complete && head.status === "finished" && isFulfilled ? "nothing" : "patience";
  }
  if (complete && head.status === "stopped" && desired.state === "stopped" && isFulfilled) return "nothing";
  if (complete && desired.state === "running" && isFulfilled) return "stop";
  return !complete && desired.state !== "running" && isFulfilled ? "start" : "patience";
}

/** P1: the stream has lost records before they were read. That is told, and no start helps. */
export function isGivenUp(person: Person): boolean {
  const { head, desired } = person.invariants;
  const last = head?.failures.at(-1);
  const isLost = last !== undefined && isPastRetention(last.kind, last.message);
  // Of a pipeline that failed otherwise, a deployment that was to mend it hears it, and is taken back.
  const isBeyondMending = desired?.rejection?.message.includes("(P1)") === true;
  const isFailed = head?.status === "failed" && (isLost || isBeyondMending);
  return isFailed || (person.platform.refusedStart && head !== null && head.endedAt !== null);
}

/** What must be processed: from the source's start to the end of the input. */
export function expectedOf(person: Person): readonly Put[] {
  const { input, end, invariants } = person;
  return input.puts.filter((put) => isReached(invariants.lineage.reach, put) && (end === null || put.at < end));
}

const includesAll = (person: Person): boolean =>
  person.invariants.lineage.included.length === expectedOf(person).length;
