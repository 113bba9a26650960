// The head, leases and sessions (R1, R2, R4, R5, C1, C2, N1, W2): a pipeline of one stage with a two-phase sink. A task has one shard, so
// that its position says what its state is. Looking at the head and acting on what was seen are steps of their own.
import { entry, isSame, isTwice, replaced, withEntry } from "../changes.js";
import type { Machine, Step } from "../machine.js";
import { type Ack, mayHappen, type Setup, type State, spent } from "./state.js";
import { begin, sessionSteps, started } from "./steps.js";

export function sessions(setup: Setup): Machine<State> {
  return {
    initial: open(setup, blank, 0),
    steps: (state) => [
      ...checkpointSteps(setup, state),
      ...openings(setup, state),
      ...repeats(setup, state),
      ...lateReleases(state),
      ...state.sessions.flatMap((_, index) => sessionSteps(setup, state, index)),
    ],
    violation: (state) => violation(setup, state),
    isEnd: (state) => isEnd(setup, state),
    // A run may use up its checkpoints before it has read everything.
    mustEnd: false,
  };
}

const blank: State = {
  generation: 0,
  completed: 0,
  pending: 0,
  nextCheckpoint: 1,
  origins: [],
  leases: [],
  sessions: [],
  lateReleases: [],
  acks: {},
  manifests: {},
  shown: {},
  nextSession: 1,
  used: { checkpoints: 0, aborts: 0, failures: 0, replays: 0, handovers: 0, lost: 0, repeats: 0 },
};

const nothing: Ack = { checkpoint: 0, position: 0, files: [] };

/** R2. */
function open({ rules, records }: Setup, state: State, checkpoint: number): State {
  const manifest = state.manifests[checkpoint];
  let opened: State = {
    ...state,
    generation: state.generation + 1,
    origins: [...state.origins, { generation: manifest?.generation ?? 0, checkpoint }],
    completed: rules.opening === "completed is the origin" ? checkpoint : state.completed,
    pending: 0,
    acks: {},
    leases: [],
    lateReleases: [],
    sessions: zombiesOf(state),
  };
  for (const task of records.keys()) opened = begin(opened, task, { ...(manifest?.acks[task] ?? nothing), checkpoint });
  return opened;
}

/** What a session of the generation before has seen complete it may still commit. */
const zombiesOf = (state: State): State["sessions"] =>
  state.sessions
    .map((session) => ({
      ...session,
      uncut: [],
      files: session.files.filter(({ checkpoint }) => checkpoint <= session.seen.completed),
    }))
    .filter(({ files }) => files.length > 0);

/** B1, B5, R1. */
function checkpointSteps(setup: Setup, state: State): readonly Step<State>[] {
  const { pending, nextCheckpoint } = state;
  const steps: Step<State>[] = [];
  if (pending === 0 && mayHappen(setup, state, "checkpoints"))
    steps.push({
      label: `checkpoint ${nextCheckpoint} is triggered`,
      next: {
        ...state,
        pending: nextCheckpoint,
        nextCheckpoint: nextCheckpoint + 1,
        used: spent(state, "checkpoints"),
      },
    });
  if (pending !== 0 && mayHappen(setup, state, "aborts"))
    steps.push({
      label: `checkpoint ${pending} is aborted`,
      next: { ...state, pending: 0, used: spent(state, "aborts") },
    });
  return [...steps, ...completions(setup, state)];
}

function completions({ rules, records }: Setup, state: State): readonly Step<State>[] {
  const { pending, completed, generation } = state;
  const named = new Set(Object.keys(state.acks).map((name) => Number(name.split("/")[0])));
  const candidates = rules.completing === "generation" ? [...named].filter((c) => c !== completed) : [pending];
  return candidates.flatMap((checkpoint) => {
    const acks = records.flatMap((_, task) => state.acks[`${checkpoint}/${task}`] ?? []);
    if (acks.length < records.length) return [];
    const next = {
      ...state,
      manifests: withEntry(state.manifests, String(checkpoint), { generation, acks }),
      completed: checkpoint,
      pending: pending === checkpoint ? 0 : pending,
    };
    return [{ label: `checkpoint ${checkpoint} of generation ${generation} completes`, next }];
  });
}

/** Section 6: a failure, from the completed checkpoint; a replay, from an older one of the lineage. */
function openings(setup: Setup, state: State): readonly Step<State>[] {
  const { completed, generation } = state;
  const steps: Step<State>[] = [];
  if (mayHappen(setup, state, "failures"))
    steps.push({
      label: `generation ${generation + 1} is opened from checkpoint ${completed}`,
      next: open(setup, { ...state, used: spent(state, "failures") }, completed),
    });
  if (!mayHappen(setup, state, "replays")) return steps;
  for (const checkpoint of Object.keys(state.manifests).map(Number))
    if (checkpoint < completed)
      steps.push({
        label: `a replay opens generation ${generation + 1} from checkpoint ${checkpoint}`,
        next: open(setup, { ...state, used: spent(state, "replays") }, checkpoint),
      });
  return steps;
}

/** R4: an invocation that is delivered again finds the lease at another version. With an id of its own it finds itself there. */
function repeats(setup: Setup, state: State): readonly Step<State>[] {
  if (setup.rules.sessionId === "drawn at the execution" || !mayHappen(setup, state, "repeats")) return [];
  return state.leases.map(({ holder: id, start }, task) => ({
    label: `the invocation of task ${task} is delivered again; its twin finds its own id ${id} in the lease`,
    next: {
      ...state,
      sessions: [...state.sessions, started(state, { id, task, start })],
      used: spent(state, "repeats"),
    },
  }));
}

/** R5: it happens if the lease still has the version on which it was conditional. */
const lateReleases = (state: State): readonly Step<State>[] =>
  state.lateReleases.flatMap(({ task, version, ack }, index) => {
    if (entry(state.leases, task).version !== version) return [];
    const arrived = { ...state, lateReleases: replaced(state.lateReleases, index) };
    return [{ label: `the release of task ${task} arrives after all`, next: begin(arrived, task, ack) }];
  });

function violation(setup: Setup, state: State): string | null {
  const { completed, generation } = state;
  const { checkpoint } = entry(state.origins, generation - 1);
  const isOwn = state.manifests[completed]?.generation === generation;
  if (!isOwn && completed !== checkpoint)
    return `generation ${generation} began at ${checkpoint}, but a failure now would restore ${completed}`;
  const shown = shownBy(setup, state);
  if (isTwice(shown)) return `the sink shows a record twice: ${shown.join()}`;
  const all = setup.records.flat();
  if (isEnd(setup, state) && !isSame(shown, all))
    return `of the records ${all.join()} the sink shows ${shown.join() || "nothing"}`;
  return null;
}

/** W2: of an ancestor, what it had shown when it was left. */
function shownBy({ rules }: Setup, state: State): readonly string[] {
  const files = Object.values(state.shown);
  const isOfLineage = ({ generation, checkpoint }: (typeof files)[number]) =>
    generation === state.generation || checkpoint <= leftAt(state, generation);
  return files.filter((file) => rules.reader === "all" || isOfLineage(file)).flatMap(({ records }) => records);
}

/** The checkpoint at which the lineage of the present generation left an ancestor; 0: it is none. */
function leftAt({ origins, generation }: State, ancestor: number): number {
  for (let at = generation; at > 0; ) {
    const origin = entry(origins, at - 1);
    if (origin.generation === ancestor) return origin.checkpoint;
    at = origin.generation;
  }
  return 0;
}

/** Everything is read, a complete checkpoint has it, and its sessions have committed. */
function isEnd({ records }: Setup, state: State): boolean {
  const manifest = state.manifests[state.completed];
  if (manifest === undefined || state.pending !== 0) return false;
  return state.leases.every(({ holder }, task) => {
    const session = state.sessions.find(({ id, generation }) => id === holder && generation === state.generation);
    const end = entry(records, task).length;
    return (
      session?.position === end &&
      session.files.length === 0 &&
      manifest.acks[task]?.position === end &&
      session.seen.completed === state.completed
    );
  });
}
