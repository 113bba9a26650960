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
import type { Input } from "./input.js";
import type { Invariants } from "./invariants.js";
import type { Platform, Setup } from "./platform.js";
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

/** What may occur to people. */
export type Wish =
  | "start"
  | "restart"
  | "stop"
  | "deploy"
  | "release"
  | "restore"
  | "replay"
  | "fork"
  | "savepoint"
  | "restore-savepoint"
  | "delete-savepoint";

export async function wish(person: Person, kind: Wish): Promise<void> {
  const { stage } = person.setup;
  const { platform } = person;
  const { process, deployment } = platform.person(`person (${kind})`, () => {
    person.underWay--;
  });
  const store = storeOf(deployment, deployment.world);
  if (kind === "deploy" || kind === "release") platform.deployed++;
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
    else if (kind !== "release") await wishStart(store, person, id);
    await deployment.world.functions.callSupervisor({ pipeline: store.pipeline, report: null });
    stage.tell(`${process.name} has what it wished`);
  } catch (error) {
    stage.tell(`${process.name} gives up: ${asStreamError(error).message}`);
  }
  person.underWay--;
  process.end();
}

/** P4: where deployments take effect by themselves, what is desired is started, else what was deployed last. */
async function wishStart(store: CheckpointStore, { setup, platform }: Person, id: string): Promise<void> {
  if (setup.profile.releases > 0) await wishStarted(store, { id, from: null, dropped: [] });
  else {
    const functionVersion = String(platform.deployed);
    await wishRunning(store, { functionVersion, fingerprint: setup.planOf(functionVersion).fingerprint }, id);
  }
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
