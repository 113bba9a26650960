import { entry, replaced, withEntry } from "../changes.js";
import type { Step } from "../machine.js";
import {
  type Budget,
  isThere,
  type Manifest,
  restorable,
  type Session,
  type Setup,
  type State,
  staged,
  type Thing,
} from "./state.js";

const spent = ({ used }: State, what: keyof Budget): Budget => ({ ...used, [what]: used[what] + 1 });

const isSpent = ({ budget }: Setup, { used }: State, what: keyof Budget): boolean => used[what] >= budget[what];

/** Section 6: the next generation, from a complete checkpoint. Sessions of the one before may still commit. */
export function open(state: State, checkpoint: number): State {
  const { session, completed } = state;
  const manifest = state.manifests[checkpoint];
  const zombies = [...new Set([...state.zombies, ...session.files.filter((file) => file <= completed)])].sort();
  const generation = state.generation + 1;
  const begun: Session = {
    generation,
    hasLoaded: manifest === undefined,
    snapshots: manifest?.snapshots ?? [],
    frames: manifest?.frames ?? [],
    files: manifest?.files ?? [],
    epoch: checkpoint,
    sent: 0,
    hasUploaded: false,
  };
  return { ...state, generation, completed: checkpoint, zombies, session: begun };
}

/** The session loads, puts and takes frames, cuts, completes and commits. */
export function sessionSteps(setup: Setup, state: State): readonly Step<State>[] {
  if (!state.session.hasLoaded) return [load(state)];
  return [
    ...puts(setup, state),
    ...takes(state),
    ...cuts(setup, state),
    ...completions(setup, state),
    ...commits(state),
  ];
}

function load(state: State): Step<State> {
  const { session } = state;
  const gone = [...session.snapshots, ...session.frames].find((name) => !isThere(state, name));
  const broken = `generation ${session.generation} was opened from ${session.epoch}, but ${gone} is gone`;
  const loaded = { ...state, session: { ...session, hasLoaded: true } };
  return {
    label: `generation ${session.generation} loads its snapshot`,
    next: gone === undefined ? loaded : { ...state, broken },
  };
}

function puts(setup: Setup, state: State): readonly Step<State>[] {
  const { session } = state;
  if (isSpent(setup, state, "frames")) return [];
  const name = `frame ${session.generation}/${session.sent + 1}`;
  const frame: Thing = { name, generation: session.generation, checkpoint: session.epoch };
  const next = {
    ...state,
    things: [...state.things, frame],
    session: { ...session, sent: session.sent + 1, frames: [...session.frames, name] },
    used: spent(state, "frames"),
  };
  return [{ label: `puts ${name} of epoch ${session.epoch}`, next }];
}

function takes(state: State): readonly Step<State>[] {
  const { session } = state;
  const [first, ...frames] = session.frames;
  if (first === undefined) return [];
  const taken = { ...state, session: { ...session, frames } };
  return [
    {
      label: `takes ${first}`,
      next: isThere(state, first) ? taken : { ...state, broken: `${first} is gone, and was not taken` },
    },
  ];
}

/** Every second snapshot is a change of the one before. */
function cuts(setup: Setup, state: State): readonly Step<State>[] {
  const { session, nextCheckpoint } = state;
  if (session.hasUploaded || isSpent(setup, state, "checkpoints")) return [];
  const made = (name: string): Thing => ({ name, generation: session.generation, checkpoint: nextCheckpoint });
  const snapshot = `snapshot ${session.generation}/${nextCheckpoint}`;
  const files = setup.sink ? [nextCheckpoint] : [];
  const cut: Session = {
    ...session,
    epoch: nextCheckpoint,
    hasUploaded: true,
    snapshots: session.snapshots.length === 1 ? [...session.snapshots, snapshot] : [snapshot],
    files: [...session.files, ...files],
  };
  const next = {
    ...state,
    nextCheckpoint: nextCheckpoint + 1,
    things: [...state.things, made(snapshot), ...files.map((file) => made(staged(file)))],
    session: cut,
    used: spent(state, "checkpoints"),
  };
  return [{ label: `cuts for ${nextCheckpoint} and uploads ${snapshot}`, next }];
}

/** R1, E3: frames of earlier epochs that are not taken belong to the checkpoint. */
function completions(setup: Setup, state: State): readonly Step<State>[] {
  const { session, things } = state;
  const { epoch, snapshots, files } = session;
  if (!session.hasUploaded) return [];
  const isEarlier = (name: string) => things.some((thing) => thing.name === name && thing.checkpoint < epoch);
  const manifest: Manifest = { previous: state.completed, snapshots, frames: session.frames.filter(isEarlier), files };
  const next = {
    ...state,
    completed: epoch,
    savepoints: setup.savepoint === epoch ? [...state.savepoints, epoch] : state.savepoints,
    manifests: withEntry(state.manifests, String(epoch), manifest),
    markers: [...state.markers, epoch],
    session: { ...session, hasUploaded: false },
  };
  return [{ label: `checkpoint ${epoch} completes`, next }];
}

function commits(state: State): readonly Step<State>[] {
  const { session } = state;
  const [first, ...files] = session.files;
  if (first === undefined || first > state.completed) return [];
  return [{ label: `commits ${staged(first)}`, next: { ...committed(state, first), session: { ...session, files } } }];
}

/** C4: copying again gives the same object. Where the staged one is gone, the final one tells whether that is well. */
function committed(state: State, checkpoint: number): State {
  const final = state.shown[checkpoint];
  if (isThere(state, staged(checkpoint)))
    return { ...state, shown: withEntry(state.shown, String(checkpoint), final === "taken" ? "back" : "there") };
  if (final === "there") return state;
  return {
    ...state,
    broken: `${staged(checkpoint)} is gone, and its final file ${final === "taken" ? "was taken" : "was never made"}`,
  };
}

/** What comes from outside: failures, replays, a savepoint that is deleted, zombies, a reader of files. */
export function worldSteps(setup: Setup, state: State): readonly Step<State>[] {
  return [
    ...zombieCommits(state),
    ...failures(setup, state),
    ...replays(setup, state),
    ...drops(setup, state),
    ...takings(setup, state),
  ];
}

const zombieCommits = (state: State): readonly Step<State>[] =>
  state.zombies.map((checkpoint, index) => ({
    label: `a zombie commits ${staged(checkpoint)}`,
    next: { ...committed(state, checkpoint), zombies: replaced(state.zombies, index) },
  }));

function failures(setup: Setup, state: State): readonly Step<State>[] {
  const { completed, generation } = state;
  if (isSpent(setup, state, "failures")) return [];
  const isFine = completed === 0 || restorable(setup, state).includes(completed);
  const broken = `checkpoint ${completed} is the completed one, and may not be restored`;
  const next = isFine ? { ...open(state, completed), used: spent(state, "failures") } : { ...state, broken };
  return [{ label: `a failure: generation ${generation + 1} is opened from ${completed}`, next }];
}

function replays(setup: Setup, state: State): readonly Step<State>[] {
  if (isSpent(setup, state, "replays")) return [];
  return restorable(setup, state)
    .filter((checkpoint) => checkpoint !== state.completed)
    .map((checkpoint) => ({
      label: `a replay opens generation ${state.generation + 1} from ${checkpoint}`,
      next: { ...open(state, checkpoint), used: spent(state, "replays") },
    }));
}

function drops(setup: Setup, state: State): readonly Step<State>[] {
  if (isSpent(setup, state, "drops")) return [];
  return state.savepoints.map((savepoint, index) => ({
    label: `savepoint ${savepoint} is deleted from the head`,
    next: { ...state, savepoints: replaced(state.savepoints, index), used: spent(state, "drops") },
  }));
}

function takings(setup: Setup, state: State): readonly Step<State>[] {
  if (isSpent(setup, state, "takings")) return [];
  const isListed = (file: number) =>
    state.zombies.includes(file) ||
    restorable(setup, state).some((c) => entry(state.manifests, c).files.includes(file));
  const mayTake = (file: string) =>
    state.shown[file] === "there" && (setup.rules.reader === "deletes them" || !isListed(Number(file)));
  return Object.keys(state.shown)
    .filter(mayTake)
    .map((file) => ({
      label: `a reader takes the final file of ${file} and deletes it`,
      next: { ...state, shown: withEntry(state.shown, file, "taken" as const), used: spent(state, "takings") },
    }));
}
