import { entry, replaced, withEntry } from "../changes.js";
import type { Step } from "../machine.js";
import { type Ack, isEnding, isOver, type Lease, type Session, type Setup, type State } from "./state.js";

/** A session that takes a free lease. */
export function begin(state: State, task: number): State {
  const lease = entry(state.leases, task);
  const { position, files, checkpoint } = lease.ack;
  const session: Session = {
    id: state.nextSession,
    generation: state.generation,
    task,
    ack: lease.ack,
    position,
    files,
    uncut: [],
    given: checkpoint,
    hasAcked: false,
  };
  return {
    ...state,
    nextSession: state.nextSession + 1,
    leases: replaced(state.leases, task, { ...lease, holder: session.id }),
    sessions: [...state.sessions, session],
  };
}

/** What a session may do next. One of an earlier generation may still commit what it saw complete; all else is refused. */
export function sessionSteps(setup: Setup, state: State, session: Session): readonly Step<State>[] {
  const own = [
    ...deaths(setup, state, session),
    ...reads(setup, state, session),
    ...acks(setup, state, session),
    ...releases(setup, state, session),
    ...handovers(setup, state, session),
  ];
  const steps = [...commits(state, session), ...(session.generation === state.generation ? own : [])];
  const who = `session ${session.id} (generation ${session.generation}, task ${session.task})`;
  return steps.map(({ label, next }) => ({ label: `${who} ${label}`, next }));
}

const withSession = (state: State, session: Session): State => ({
  ...state,
  sessions: state.sessions.map((other) => (other.id === session.id ? session : other)),
});

const withoutSession = (state: State, { id }: Session): State => ({
  ...state,
  sessions: state.sessions.filter((other) => other.id !== id),
});

const isCovered = ({ completed }: State, { files }: Session): boolean =>
  files.some(({ checkpoint }) => checkpoint <= completed);

function commits(state: State, session: Session): readonly Step<State>[] {
  const [first, ...files] = session.files;
  if (first === undefined || first.checkpoint > state.completed) return [];
  const shown = withEntry(state.shown, first.name, first.record);
  const next = { ...withSession(state, { ...session, files }), shown };
  return [{ label: `commits ${first.record} of checkpoint ${first.checkpoint}`, next }];
}

function deaths(setup: Setup, state: State, session: Session): readonly Step<State>[] {
  const { used } = state;
  if (used.deaths >= setup.budget.deaths) return [];
  return [{ label: "dies", next: { ...withoutSession(state, session), used: { ...used, deaths: used.deaths + 1 } } }];
}

function reads(setup: Setup, state: State, session: Session): readonly Step<State>[] {
  const record = entry(setup.records, session.task)[session.position];
  if (record === undefined || isWaiting(state, session)) return [];
  const next = { ...session, position: session.position + 1, uncut: [...session.uncut, record] };
  return [{ label: `reads ${record}`, next: withSession(state, next) }];
}

/** C3: between its ack of a checkpoint that ends the pipeline, and the end or the abort. */
function isWaiting({ pending, pendingEnds, completed, status }: State, { ack }: Session): boolean {
  if (pending !== 0 && pending === ack.checkpoint) return pendingEnds;
  return isEnding(status) && completed === ack.checkpoint;
}

/** B2, B3, C1, C2: the cut, and the ack of everything that is not known to be committed. */
function acks(setup: Setup, state: State, session: Session): readonly Step<State>[] {
  const { pending, completed } = state;
  const owes = session.files.some(({ checkpoint }) => checkpoint <= session.given && checkpoint <= completed);
  if (pending <= session.ack.checkpoint || owes) return [];
  const name = `${session.generation}/${pending}/${session.task}/${session.id}`;
  const staged = session.uncut.map((record) => ({ name: `${name}/${record}`, checkpoint: pending, record }));
  const files = [...session.files, ...staged];
  const ack: Ack = { checkpoint: pending, position: session.position, files, finished: isOver(setup, session) };
  const cut = { ...session, ack, files, uncut: [], hasAcked: true };
  const label = `acks ${pending}, listing [${files.map(({ record }) => record).join()}]${ack.finished ? ", finished" : ""}`;
  return [{ label, next: { ...withSession(state, cut), acks: withEntry(state.acks, String(session.task), ack) } }];
}

/** C3: with `committed`. Before the end only a task that has finished, whose ack in the complete checkpoint lists nothing (B4). */
function releases(setup: Setup, state: State, session: Session): readonly Step<State>[] {
  const { ack, task } = session;
  const counted = state.manifest[task];
  const isOwn = state.completed >= ack.checkpoint && counted?.checkpoint === ack.checkpoint;
  const isAtEnd = isOwn && isEnding(state.status);
  const isFinished = isOwn && session.hasAcked && ack.finished && ack.files.length === 0;
  const steps: Step<State>[] = [];
  if ((isAtEnd || isFinished) && !isCovered(state, session))
    steps.push({ label: `releases with committed: ${ack.checkpoint}`, next: released(state, session, ack.checkpoint) });
  const leavesEarly = setup.rules.waiting === "those with committables" && state.pending === ack.checkpoint;
  if (leavesEarly && state.pendingEnds && session.files.length === 0 && session.uncut.length === 0)
    steps.push({ label: "has nothing to commit, and releases", next: released(state, session, 0) });
  return steps;
}

function released(state: State, session: Session, committed: number): State {
  const lease: Lease = { holder: 0, ack: session.ack, committed };
  return { ...withoutSession(state, session), leases: replaced(state.leases, session.task, lease) };
}

/** N1: nothing was begun since the cut. The successor starts from the ack, whatever became of its checkpoint. */
function handovers(setup: Setup, state: State, session: Session): readonly Step<State>[] {
  const { used } = state;
  if (!session.hasAcked || session.uncut.length > 0 || used.handovers >= setup.budget.handovers) return [];
  const next = { ...released(state, session, 0), used: { ...used, handovers: used.handovers + 1 } };
  return [{ label: `releases with its ack of ${session.ack.checkpoint}`, next }];
}
