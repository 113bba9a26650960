// Garbage collection (G1, G2) and staged files (C4), racing with failures, replays, deleted savepoints, zombies and readers.
//
// One task that reads its own frames, so that frames can be on their way. Upload, completion, load, commit and every single deletion
// are steps of their own; a collector judges once and deletes later. One checkpoint is retained. When sessions of an older generation
// can act no more (G1 goes by deadlines and long times) is known here: when none of them has anything left to commit.
import { entry, withoutEntry } from "../changes.js";
import type { Machine, Step } from "../machine.js";
import { open, sessionSteps, worldSteps } from "./pipeline.js";
import { isThere, referencesOf, restorable, type Setup, type State, staged, type Thing } from "./state.js";

export function garbage(setup: Setup): Machine<State> {
  return {
    initial: open(blank, 0),
    steps: (state) =>
      state.broken === ""
        ? [...sessionSteps(setup, state), ...worldSteps(setup, state), ...collectorSteps(setup, state)]
        : [],
    violation: (state) => violation(setup, state),
    isEnd: ({ garbage }) => garbage === null,
    mustEnd: true,
  };
}

const blank: State = {
  generation: 0,
  completed: 0,
  floor: 0,
  savepoints: [],
  nextCheckpoint: 1,
  manifests: {},
  markers: [],
  things: [],
  session: {
    generation: 0,
    hasLoaded: true,
    snapshots: [],
    frames: [],
    files: [],
    epoch: 0,
    sent: 0,
    hasUploaded: false,
  },
  zombies: [],
  garbage: null,
  shown: {},
  broken: "",
  used: { checkpoints: 0, failures: 0, replays: 0, frames: 0, collections: 0, drops: 0, takings: 0 },
};

function collectorSteps(setup: Setup, state: State): readonly Step<State>[] {
  if (state.garbage !== null) return [deletion(setup, state, state.garbage)];
  const mayCollect = state.used.collections < setup.budget.collections && state.completed > 0;
  return mayCollect ? [judged(setup, state)] : [];
}

/** G2: the floor rises in the head first; what goes is judged by one reading. */
function judged(setup: Setup, state: State): Step<State> {
  const numbers = Object.keys(state.manifests).map(Number);
  const newest = setup.rules.floor === "to the newest by number" ? Math.max(...numbers) : state.completed;
  const raised = { ...state, floor: Math.max(state.floor, newest) };
  const kept = restorable(setup, raised);
  const references = kept.flatMap((c) => referencesOf(entry(state.manifests, c)));
  const things = state.things.filter((thing) => mayGo(setup, raised, thing, references)).map(({ name }) => name);
  const checkpoints = numbers.filter((c) => !kept.includes(c));
  const used = { ...state.used, collections: state.used.collections + 1 };
  return {
    label: `a collector raises the floor to ${raised.floor} and will delete ${things.join(", ") || "nothing"}`,
    next: { ...raised, garbage: { things, checkpoints }, used },
  };
}

/** G1, G2. */
function mayGo({ rules }: Setup, state: State, thing: Thing, references: readonly string[]): boolean {
  const { generation, floor, completed, zombies } = state;
  const isOlder = thing.generation < generation;
  const bound = rules.below === "the floor" ? floor : Math.min(floor, completed);
  const isPast = isOlder ? rules.older === "at once" || zombies.length === 0 : thing.checkpoint < bound;
  const isFrame = !isOlder && thing.name.startsWith("frame");
  const isUnasked = isFrame && rules.frames === "those of epochs below the floor";
  return isPast && (isUnasked || !references.includes(thing.name));
}

/** The marker first, so that the bucket never calls complete what has lost something; the manifest last (G2, R7). */
function deletion({ rules }: Setup, state: State, { things, checkpoints }: NonNullable<State["garbage"]>): Step<State> {
  const markers = state.markers.filter((c) => !checkpoints.includes(c));
  if (rules.marker === "goes first" && markers.length < state.markers.length)
    return { label: `the collector deletes the markers of ${checkpoints.join()}`, next: { ...state, markers } };
  const [thing, ...otherThings] = things;
  if (thing !== undefined) {
    const left = state.things.filter(({ name }) => name !== thing);
    const next = { ...state, things: left, garbage: { things: otherThings, checkpoints } };
    return { label: `the collector deletes ${thing}`, next };
  }
  const [checkpoint, ...others] = checkpoints;
  if (checkpoint === undefined) return { label: "the collector is done", next: { ...state, garbage: null } };
  const next = {
    ...state,
    manifests: withoutEntry(state.manifests, String(checkpoint)),
    markers: state.markers.filter((c) => c !== checkpoint),
    garbage: { things, checkpoints: others },
  };
  return { label: `the collector deletes manifest ${checkpoint}`, next };
}

function violation(setup: Setup, state: State): string | null {
  if (state.broken !== "") return state.broken;
  for (const c of restorable(setup, state)) {
    const { files } = entry(state.manifests, c);
    const isCommitted = (name: string) =>
      files.some((file) => name === staged(file) && state.shown[file] !== undefined);
    const gone = goneOf(state, c).find((name) => !isCommitted(name));
    if (gone !== undefined) return `checkpoint ${c} may be restored, but ${gone} is gone`;
  }
  const trusted = state.markers.find((c) => goneOf(state, c).length > 0);
  if (trusted !== undefined)
    return `the bucket says that ${trusted} is complete, but ${goneOf(state, trusted).join()} is gone`;
  const back = Object.keys(state.shown).find((file) => state.shown[file] === "back");
  return back === undefined ? null : `the final file of ${back} was taken by its reader, and is there again`;
}

const goneOf = (state: State, checkpoint: number): readonly string[] =>
  referencesOf(entry(state.manifests, checkpoint)).filter((name) => !isThere(state, name));
