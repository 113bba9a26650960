// How a pipeline goes to sleep, stops, finishes and wakes (B1, C3, N1, N2, R2): who commits after the last checkpoint, and what if
// that session dies.
//
// Tasks of one stage, each with one shard and a two-phase sink. Any session may die, and then its lease passes its deadline; one that
// does not may act late, after its generation, as a zombie. Cut and ack are one step, and so are a look at the head and what follows.
import { entry, isSame, isTwice, upTo } from "../changes.js";
import type { Machine, Step } from "../machine.js";
import { begin, sessionSteps } from "./sessions.js";
import { type Ack, endings, isEnded, isEnding, isOver, type Setup, type State, type Status } from "./state.js";

export function lives(setup: Setup): Machine<State> {
  return {
    initial: open(setup, blank),
    steps: (state) => [
      ...triggers(setup, state),
      ...settlements(setup, state),
      ...successors(setup, state),
      ...openings(setup, state),
      ...state.sessions.flatMap((session) => sessionSteps(setup, state, session)),
    ],
    violation: (state) => violation(setup, state),
    isEnd: ({ status }) => isEnded(status),
    mustEnd: true,
  };
}

const blank: State = {
  generation: 0,
  status: "running",
  completed: 0,
  pending: 0,
  pendingEnds: false,
  nextCheckpoint: 1,
  leases: [],
  sessions: [],
  acks: {},
  manifest: [],
  shown: {},
  nextSession: 1,
  used: { checkpoints: 0, aborts: 0, deaths: 0, handovers: 0, wakes: 0, failures: 0 },
};

const nothing: Ack = { checkpoint: 0, position: 0, files: [], finished: false };

/** R2: every task starts from the completed checkpoint. */
function open(setup: Setup, state: State): State {
  const stays = setup.rules.opening === "status stays" && isEnding(state.status);
  let opened: State = {
    ...state,
    generation: state.generation + 1,
    status: stays ? state.status : "running",
    pending: 0,
    acks: {},
    leases: setup.records.map((_, task) => ({
      holder: 0,
      ack: { ...(state.manifest[task] ?? nothing), checkpoint: state.completed },
      committed: 0,
    })),
    sessions: zombiesOf(state),
  };
  for (const task of setup.records.keys()) opened = begin(opened, task);
  return opened;
}

/** What they saw complete they may still commit. */
const zombiesOf = ({ sessions, completed }: State): State["sessions"] =>
  sessions
    .map((session) => ({ ...session, files: session.files.filter(({ checkpoint }) => checkpoint <= completed) }))
    .filter(({ files }) => files.length > 0);

/** B1. Nothing is triggered while a task has no session. */
function triggers(setup: Setup, state: State): readonly Step<State>[] {
  const { rules, budget, ending } = setup;
  const { status, used } = state;
  const mayTrigger = rules.triggerWhile === "any status" ? !isEnded(status) : status === "running";
  if (state.pending !== 0 || !mayTrigger || !isManned(state)) return [];
  const steps: Step<State>[] = [];
  const isDue = hasChanged(state) || status !== "running";
  if (used.checkpoints < budget.checkpoints && isDue)
    steps.push({
      label: `checkpoint ${state.nextCheckpoint} is triggered`,
      next: triggered({ ...state, used: { ...used, checkpoints: used.checkpoints + 1 } }, "continue"),
    });
  if (
    status === "running" &&
    wantsEnd(setup, state) &&
    (hasChanged(state) || rules.trigger === "even if nothing changed")
  )
    steps.push({
      label: `checkpoint ${state.nextCheckpoint} is triggered, after which it is to ${ending}`,
      next: triggered(state, "end"),
    });
  return steps;
}

const triggered = (state: State, andThen: "continue" | "end"): State => ({
  ...state,
  pending: state.nextCheckpoint,
  pendingEnds: andThen === "end",
  nextCheckpoint: state.nextCheckpoint + 1,
});

const isManned = ({ leases, manifest }: State): boolean =>
  leases.every(({ holder, committed }, task) => holder !== 0 || (committed !== 0 && manifest[task]?.finished));

/** Something was read since the completed checkpoint, or cut for one that was aborted. */
const hasChanged = ({ sessions, generation, manifest, completed }: State): boolean =>
  completed === 0 ||
  sessions.some(
    ({ generation: own, task, position, ack }) =>
      own === generation && (position !== manifest[task]?.position || ack.checkpoint > completed),
  );

/** N2: idle for long, which may be at any time; or a person wants it; or all sources are at their end. */
function wantsEnd(setup: Setup, { leases, sessions }: State): boolean {
  if (setup.ending !== "finish") return true;
  return leases.every(({ committed, holder }) => {
    const session = sessions.find(({ id }) => id === holder);
    return committed !== 0 || (session !== undefined && isOver(setup, session));
  });
}

/** What becomes of the pending checkpoint (B4, B5), and of a pipeline that ends (C3). */
function settlements(setup: Setup, state: State): readonly Step<State>[] {
  const { pending, used, status } = state;
  const steps: Step<State>[] = [];
  if (pending !== 0 && used.aborts < setup.budget.aborts)
    steps.push({
      label: `checkpoint ${pending} is aborted`,
      next: { ...state, pending: 0, acks: {}, used: { ...used, aborts: used.aborts + 1 } },
    });
  const acks = pending === 0 ? null : gathered(state);
  if (acks !== null) steps.push({ label: `checkpoint ${pending} completes`, next: completed(setup, state, acks) });
  if (isEnding(status) && isCommitted(setup, state)) {
    const reached = entry(
      Object.values(endings).filter(({ under }) => under === status),
      0,
    ).reached;
    steps.push({ label: `the status becomes ${reached}`, next: { ...state, status: reached } });
  }
  return steps;
}

/** B4: an ack of each task. A finished one counts for all later checkpoints once its lease is done. */
function gathered({ leases, acks, manifest }: State): readonly Ack[] | null {
  const all = leases.flatMap(({ committed }, task) => {
    const counted = manifest[task];
    return acks[task] ?? (committed !== 0 && counted?.finished ? counted : []);
  });
  return all.length === leases.length ? all : null;
}

/** R1. */
function completed(setup: Setup, state: State, manifest: readonly Ack[]): State {
  const status: Status = state.pendingEnds ? endings[setup.ending].under : state.status;
  return { ...state, status, manifest, completed: state.pending, pending: 0, acks: {} };
}

const isCommitted = ({ rules }: Setup, { leases, manifest, completed }: State): boolean =>
  leases.every(({ committed }, task) => {
    const counted = rules.committed === "for the ack that counts" ? manifest[task]?.checkpoint : completed;
    return committed !== 0 && committed >= (counted ?? 0);
  });

/** C3, N1: a lease that was released without `committed` is taken up again. */
function successors({ rules }: Setup, state: State): readonly Step<State>[] {
  const isAfterEnd = state.pending !== 0 && state.pendingEnds;
  const isOpen =
    rules.successors === "while running" ? state.status === "running" && !isAfterEnd : !isEnded(state.status);
  const free = upTo(state.leases.length).filter((task) => {
    const { holder, committed } = entry(state.leases, task);
    return holder === 0 && committed === 0;
  });
  return (isOpen ? free : []).map((task) => ({
    label: `a session begins task ${task} with the ack of ${entry(state.leases, task).ack.checkpoint}`,
    next: begin(state, task),
  }));
}

/** R4: after a death at the deadline, after a reported failure; N3, and by a person. */
function openings(setup: Setup, state: State): readonly Step<State>[] {
  const { used, status, leases, sessions } = state;
  const { budget } = setup;
  const opened = (why: string, spent: Partial<State["used"]>): Step<State> => ({
    label: `${why}: generation ${state.generation + 1} is opened from checkpoint ${state.completed}`,
    next: open(setup, { ...state, used: { ...used, ...spent } }),
  });
  const isDead = leases.some(({ holder }) => holder !== 0 && sessions.every(({ id }) => id !== holder));
  const steps: Step<State>[] = [];
  if (isDead) steps.push(opened("a lease passes its deadline", {}));
  if (!isEnded(status) && used.failures < budget.failures)
    steps.push(opened("a failure is reported", { failures: used.failures + 1 }));
  if (status !== "running" && status !== "finished" && used.wakes < budget.wakes)
    steps.push(opened("it wakes, or a person starts it", { wakes: used.wakes + 1 }));
  if (status === "suspended")
    steps.push({ label: "a person stops it as it is", next: { ...state, status: "stopped" } });
  return steps;
}

function violation({ records }: Setup, { shown, manifest, status }: State): string | null {
  const visible = Object.values(shown);
  const covered = manifest.flatMap(({ position }, task) => entry(records, task).slice(0, position));
  if (isTwice(visible)) return `the sink shows a record twice: ${visible.join()}`;
  if (isEnded(status) && !isSame(visible, covered))
    return `${status}, and the checkpoint covers ${covered.join()}, but the sink shows ${visible.join() || "nothing"}`;
  if (status === "finished" && !isSame(covered, records.flat()))
    return `finished, but ${covered.join()} is all that was read`;
  return null;
}
