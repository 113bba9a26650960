// The exchange (E1 to E5) between two or three stages: under rescale, resharding, hand-over, and the three kinds of cut (B2).
//
// Every generation may have other parallelisms. A crash is a generation that is opened at any moment; frames that no range of the
// checkpoint names are dropped then, as E2 lets nobody ask for them. Reading a record and putting its frame is one step, since a
// frame that is put late looks like one that is taken late.
import { entry, isSame, isTwice } from "../changes.js";
import type { Machine, Step } from "../machine.js";
import { headSteps } from "./checkpoints.js";
import { ackSteps, commitSteps, cutSteps, handoverSteps, leaveSteps } from "./cuts.js";
import { open } from "./opening.js";
import { recordSteps } from "./records.js";
import { alignmentOf, isRead, nextFrame, planOf, type Setup, type State, type Task } from "./state.js";

export function exchange(setup: Setup): Machine<State> {
  return {
    initial: open(setup, blank),
    steps: (state) => [...headSteps(setup, state), ...state.tasks.flatMap((task) => taskSteps(setup, state, task))],
    violation: (state) => violation(setup, state),
    isEnd: (state) => isEnd(setup, state),
    // Children need more checkpoints than a budget has.
    mustEnd: Object.values(setup.shards).every(({ parents }) => parents === undefined),
  };
}

const blank: State = {
  generation: 0,
  completed: 0,
  pending: 0,
  nextCheckpoint: 1,
  tasks: [],
  frames: [],
  acks: {},
  manifest: null,
  zombies: [],
  shown: {},
  clash: "",
  used: { openings: 0, checkpoints: 0, aborts: 0, handovers: 0 },
};

function taskSteps(setup: Setup, state: State, task: Task): readonly Step<State>[] {
  if (task.isGone) return [];
  const steps = [
    ...(task.finished ? [] : recordSteps(setup, state, task)),
    ...cutSteps(setup, state, task),
    ...ackSteps(setup, state, task),
    ...commitSteps(state, task),
    ...handoverSteps(setup, state, task),
    ...leaveSteps(state, task),
  ];
  const who = `generation ${state.generation}, stage ${task.stage}, task ${task.index}`;
  return steps.map(({ label, next }) => ({ label: `${who} ${label}`, next }));
}

function violation(setup: Setup, state: State): string | null {
  return (
    (state.clash || null) ??
    channelsOf(setup, state) ??
    planOf(setup, state.generation)
      .map((_, stage) => stateOf(setup, state, stage))
      .find((found) => found !== null) ??
    sinkOf(setup, state)
  );
}

/** B2: nothing is on its way in an aligned checkpoint. */
function channelsOf(setup: Setup, { manifest }: State): string | null {
  if (manifest === null || alignmentOf(setup, manifest.checkpoint) !== "aligned") return null;
  const isFull = Object.entries(manifest.acks).some(([name, { expected }]) =>
    expected.some(({ generation, producer, from }) => {
      const sender = `${Number(name.split("/")[0]) - 1}/${producer}`;
      return generation !== manifest.generation || from <= entry(manifest.acks, sender).sent;
    }),
  );
  return isFull ? `checkpoint ${manifest.checkpoint} is aligned, and has frames in its channels` : null;
}

/** Every record once, those of a key in their order; at the end, all. */
function stateOf(setup: Setup, state: State, stage: number): string | null {
  const history = state.tasks.filter((task) => task.stage === stage).flatMap((task) => task.history);
  if (setup.promise === "exactly once") {
    if (isTwice(history)) return `the state of stage ${stage} has a record twice: ${history.join()}`;
    const late = history.find((record, i) => history.slice(0, i).some((other) => comesBefore(setup, record, other)));
    if (late !== undefined)
      return `stage ${stage} took the records of key ${late.charAt(0)} out of order: ${history.join()}`;
  }
  const isShort = stage > 0 && isEnd(setup, state) && !isSame(history, recordsOf(setup));
  return isShort ? `of the records ${recordsOf(setup).join()} the state of stage ${stage} has ${history.join()}` : null;
}

function sinkOf(setup: Setup, state: State): string | null {
  const shown = Object.values(state.shown).flat();
  if (setup.promise === "exactly once" && isTwice(shown)) return `the sink shows a record twice: ${shown.join()}`;
  if (!setup.sink || !isEnd(setup, state)) return null;
  const held = state.tasks.flatMap((task) => [...task.uncut, ...task.committables.flatMap(({ records }) => records)]);
  if (isSame([...shown, ...held], recordsOf(setup))) return null;
  return `of the records ${recordsOf(setup).join()} the sink shows ${shown.join() || "nothing"}, and nobody holds the rest`;
}

const recordsOf = (setup: Setup): readonly string[] => Object.values(setup.shards).flatMap(({ records }) => records);

/** Of one key: earlier in its shard, or in a shard from which the other's shard came. */
function comesBefore(setup: Setup, a: string, b: string): boolean {
  if (a.charAt(0) !== b.charAt(0)) return false;
  const [of, other] = [shardOf(setup, a), shardOf(setup, b)];
  return of === other ? a < b : cameFrom(setup, other, of);
}

const shardOf = (setup: Setup, record: string): string =>
  entry(
    Object.keys(setup.shards).filter((shard) => entry(setup.shards, shard).records.includes(record)),
    0,
  );

const cameFrom = (setup: Setup, shard: string, ancestor: string): boolean =>
  entry(setup.shards, shard).parents?.some((parent) => parent === ancestor || cameFrom(setup, parent, ancestor)) ??
  false;

/** All shards are read, all frames taken, everything covered is committed, and no checkpoint waits. */
function isEnd(setup: Setup, state: State): boolean {
  if (state.pending !== 0) return false;
  const started = state.tasks.flatMap((task) => Object.keys(task.positions));
  return started.length === Object.keys(setup.shards).length && state.tasks.every((task) => isIdle(setup, state, task));
}

const isIdle = (setup: Setup, state: State, task: Task): boolean =>
  isRead(setup, task) &&
  task.committables.every(({ checkpoint }) => checkpoint > state.completed) &&
  task.expected.every((range) => range.to === null && nextFrame(state, task.stage, range) === undefined);
