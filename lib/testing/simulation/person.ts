import { makeFork } from "../../checkpoint/fork.js";
import { type CheckpointStore, readDesired, swapDesired } from "../../checkpoint/store.js";
import { removeSavepoint, wishRunning, wishSavepoint, wishStarted, wishStopped } from "../../checkpoint/wishes.js";
import type { CheckpointRef } from "../../model/checkpoints.js";
import { asStreamError } from "../../model/errors.js";
import type { SinkMode } from "../../model/head.js";
import type { Millis } from "../../model/ids.js";
import type { Sink } from "../../pipeline/sink.js";
import { allowedModes } from "../../pipeline/sink-modes.js";
import { storeOf } from "../../runtime/deployment.js";
import type { Random } from "../seeded/random.js";
import type { Input, Put } from "./input.js";
import type { Invariants } from "./invariants.js";
import { isReached } from "./oracle.js";
import { isPastRetention, type Platform, type Setup } from "./platform.js";
import { suffixes } from "./targets.js";

/** What people do meanwhile: start, stop, deploy; and at the end wait for the pipeline to come to rest. */
export interface Person {
  readonly setup: Setup;
  readonly platform: Platform;
  readonly invariants: Invariants;
  readonly input: Input;
  /** Of the bounded input. */
  readonly end: Millis | null;
  /** Wishes that are still being written down. */
  underWay: number;
  /** Names of forks that were to be made. */
  readonly forks: string[];
}

/** Start it; then, while things go wrong, whatever occurs to people. */
export function planWishes(person: Person, random: Random): void {
  const { scheduler } = person.setup.stage;
  const { chaosMillis, wishes, firstWishMillis } = person.setup.profile;
  scheduler.after(firstWishMillis, () => wish(person, "start"));
  for (let i = 0; i < wishes; i++) {
    const at = firstWishMillis + random.int(chaosMillis - firstWishMillis);
    const kind = random.pick(["restart", "stop", "deploy", "restore"] as const);
    scheduler.after(at, () => wish(person, kind));
    const again = Math.min(chaosMillis, at + random.between(100, 20_000));
    if (kind === "stop") scheduler.after(again, () => wish(person, "start"));
  }
}

/** Savepoints are made at any time; later some are gone back to, and some are deleted. */
export function planSavepoints(person: Person, random: Random): void {
  const { scheduler } = person.setup.stage;
  const { chaosMillis, savepoints, firstWishMillis } = person.setup.profile;
  for (let i = 0; i < savepoints; i++) {
    const at = firstWishMillis + random.int(chaosMillis - firstWishMillis);
    scheduler.after(at, () => wish(person, "savepoint"));
    const then = random.pick(["restore-savepoint", "restore-savepoint", "delete-savepoint", null] as const);
    const later = Math.min(chaosMillis, at + random.between(100, 40_000));
    if (then !== null) scheduler.after(later, () => wish(person, then));
  }
}

/** Replays, and forks of what runs. */
export function planReplays(person: Person, random: Random): void {
  const { scheduler } = person.setup.stage;
  const { chaosMillis, replays, firstWishMillis } = person.setup.profile;
  for (let i = 0; i < replays; i++) {
    const at = firstWishMillis + random.int(chaosMillis - firstWishMillis);
    const kind = random.pick(["replay", "replay", "fork"] as const);
    scheduler.after(at, () => wish(person, kind));
  }
}

type Wish =
  | "start"
  | "restart"
  | "stop"
  | "deploy"
  | "restore"
  | "replay"
  | "fork"
  | "savepoint"
  | "restore-savepoint"
  | "delete-savepoint";

async function wish(person: Person, kind: Wish): Promise<void> {
  const { stage, planOf } = person.setup;
  const { platform } = person;
  const { process, deployment } = platform.person(`person (${kind})`, () => {
    person.underWay--;
  });
  const store = storeOf(deployment, deployment.world);
  if (kind === "deploy") platform.deployed++;
  const code = {
    functionVersion: String(platform.deployed),
    fingerprint: planOf(String(platform.deployed)).fingerprint,
  };
  const id = Buffer.from(stage.random.bytes(4)).toString("hex");
  person.underWay++;
  try {
    if (kind === "stop") await wishStopped(store);
    else if (kind === "restore") await wishRestored(store, person, id);
    else if (kind === "replay") await wishReplayed(store, person, id);
    else if (kind === "fork") await forkOne(store, person, id);
    else if (kind === "savepoint") await wishSavepoint(store, { id, name: `s-${id}` });
    else if (kind === "restore-savepoint") await wishOneBack(store, person, id);
    else if (kind === "delete-savepoint") await deleteOne(store, person);
    else await wishRunning(store, code, id);
    await deployment.world.functions.callSupervisor({ pipeline: store.pipeline, report: null });
    stage.tell(`${process.name} has what it wished`);
  } catch (error) {
    stage.tell(`${process.name} gives up: ${asStreamError(error).message}`);
  }
  person.underWay--;
  process.end();
}

/** Any checkpoint that was complete some time ago: it may be kept no more by the time at which it is asked for (G3). */
async function wishRestored(store: CheckpointStore, person: Person, id: string): Promise<void> {
  const { lineage, head } = person.invariants;
  // What an eager sink has shown of a replay stays where it is left for a checkpoint newer than the one it began at: keys that
  // nobody writes again keep their value (W2). So there only what the running lineage began with is gone back to.
  const mustGoBack = isExact(person);
  const some = mustGoBack ? lineage.back(head?.completed ?? null).toReversed() : lineage.completed;
  const recent = some.slice(-restoredMax);
  const before = await readDesired(store);
  if (before === null || recent.length === 0) return;
  const from = person.setup.stage.random.pick(recent).ref;
  const request = { id, kind: "restore", from, sinks: {}, dropped: [] } as const;
  await swapDesired(store, before.version, { ...before.value, state: "running", request });
}

/** W2: any checkpoint, and for some sinks, but not all, what becomes of their output; by code that is deployed, or was before. */
async function wishReplayed(store: CheckpointStore, person: Person, id: string): Promise<void> {
  const { setup, platform } = person;
  const { random } = setup.stage;
  const from = pickAny(person);
  if (from === null) return;
  const version = String(random.between(1, platform.deployed));
  const { sinks: ofPlan, fingerprint } = setup.planOf(version);
  const modes = [...ofPlan].flatMap(([name, sink]) =>
    random.chance(0.3) ? [] : [[name, modeFor(sink, random)] as const],
  );
  const sinks = Object.fromEntries(modes);
  setup.stage.tell(
    () => `person replays from checkpoint ${from.checkpointId} by code ${version}: ${JSON.stringify(sinks)}`,
  );
  const code = random.chance(0.5) ? { code: { functionVersion: version, fingerprint } } : {};
  await wishStarted(store, { id, from, dropped: [], sinks, ...code });
}

/** However old: it may be kept no more. */
function pickAny({ setup, invariants: { lineage, head } }: Person): CheckpointRef | null {
  const savepoints = (head?.savepoints ?? []).map(({ generation, checkpointId, sha256 }) => ({
    generation,
    checkpointId,
    sha256,
  }));
  const some = [...lineage.completed.slice(-restoredMax).map(({ ref }) => ref), ...savepoints];
  return some.length === 0 ? null : setup.stage.random.pick(some);
}

/** W2: a copy of a checkpoint, beside what runs. It is never started: what it holds is looked at in the end. */
async function forkOne(store: CheckpointStore, person: Person, id: string): Promise<void> {
  const { setup, platform, forks } = person;
  const from = pickAny(person);
  if (from === null) return;
  const pipeline = `fork-${id}`;
  forks.push(pipeline);
  const { sinks: ofPlan, fingerprint } = setup.planOf(String(platform.deployed));
  const sinks = Object.fromEntries([...ofPlan.keys()].map((name) => [name, { kind: "dry-run" }] as const));
  const options = { from, dropped: [], sinks, fingerprint, library: "simulated" };
  await makeFork(store, { ...store, pipeline }, options);
  setup.stage.tell(`person has made ${pipeline} of checkpoint ${from.checkpointId}`);
}

function modeFor(sink: Sink<never>, random: Random): SinkMode {
  const kind = random.pick([...allowedModes(sink), "normal"] as const);
  return kind === "redirect" ? { kind, suffix: random.pick(suffixes) } : { kind };
}

/** However far below the floor it is by then. */
async function wishOneBack(store: CheckpointStore, person: Person, id: string): Promise<void> {
  const { lineage, head } = person.invariants;
  const mustGoBack = isExact(person);
  const back = new Set(lineage.back(head?.completed ?? null).map(({ ref }) => ref.sha256));
  const some = (head?.savepoints ?? []).filter(({ sha256 }) => !mustGoBack || back.has(sha256));
  if (some.length === 0) return;
  const { generation, checkpointId, sha256, name } = person.setup.stage.random.pick(some);
  person.setup.stage.tell(`person goes back to savepoint ${name}, checkpoint ${checkpointId}`);
  await wishStarted(store, { id, from: { generation, checkpointId, sha256 }, dropped: [] });
}

async function deleteOne(store: CheckpointStore, { invariants, setup }: Person): Promise<void> {
  const some = invariants.head?.savepoints ?? [];
  if (some.length === 0) return;
  const { name } = setup.stage.random.pick(some);
  invariants.deleted.add(name);
  await removeSavepoint(store, name);
}

/** Where people replay, what an eager sink shows is not held to be exact. */
const isExact = ({ setup: { profile } }: Person): boolean =>
  profile.variant.tallies === "eager" && profile.replays === 0;

const restoredMax = 6;
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
  if (desired === null || desired.code.functionVersion !== deployed) return "start";
  if (head === null) return desired.state === "running" ? "patience" : "start";
  if (isGivenUp(person)) return "nothing";
  const complete = includesAll(person);
  const isFulfilled = desired.request?.id === person.invariants.requestId;
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
  const { head } = person.invariants;
  const last = head?.failures.at(-1);
  const isFailed = head?.status === "failed" && last !== undefined && isPastRetention(last.kind, last.message);
  return isFailed || (person.platform.refusedStart && head !== null && head.endedAt !== null);
}

/** What must be processed: from the source's start to the end of the input. */
export function expectedOf(person: Person): readonly Put[] {
  const { input, end, invariants } = person;
  return input.puts.filter((put) => isReached(invariants.lineage.reach, put) && (end === null || put.at < end));
}

const includesAll = (person: Person): boolean =>
  person.invariants.lineage.included.length === expectedOf(person).length;
