import { entry, replaced, withEntry } from "../changes.js";
import type { Step } from "../machine.js";
import { type Ack, type File, mayHappen, type Session, type Setup, type State, spent } from "./state.js";

/** R4: a session takes the lease from the version that its invocation names. */
export function begin(state: State, task: number, start: Ack): State {
  const session = started(state, { id: state.nextSession, task, start });
  const version = (state.leases[task]?.version ?? 0) + 1;
  return {
    ...state,
    nextSession: state.nextSession + 1,
    leases: replaced(state.leases, task, { version, holder: session.id, start }),
    sessions: [...state.sessions, session],
  };
}

interface Place {
  readonly id: number;
  readonly task: number;
  readonly start: Ack;
}

/** It has not looked at the head yet: it knows what its generation was opened from. */
export const started = (state: State, { id, task, start }: Place): Session => ({
  id,
  generation: state.generation,
  task,
  ack: start,
  position: start.position,
  files: start.files,
  uncut: [],
  given: start.checkpoint,
  seen: { pending: 0, completed: entry(state.origins, state.generation - 1).checkpoint },
});

/** What the session at `index` may do. One of an earlier generation reads and commits; its acks and releases are refused. */
export function sessionSteps(setup: Setup, state: State, index: number): readonly Step<State>[] {
  const session = entry(state.sessions, index);
  const to = (next: Session): State => ({ ...state, sessions: replaced(state.sessions, index, next) });
  const steps = [...commits(state, session, to)];
  if (session.generation === state.generation)
    steps.push(
      ...looks(state, session, to),
      ...reads(setup, session, to),
      ...acks(setup, state, session, to),
      ...releases(setup, state, index),
    );
  const who = `session ${session.id} (generation ${session.generation}, task ${session.task})`;
  return steps.map(({ label, next }) => ({ label: `${who} ${label}`, next }));
}

type To = (next: Session) => State;

/** The only way in which a session learns anything. */
function looks({ pending, completed }: State, session: Session, to: To): readonly Step<State>[] {
  if (session.seen.pending === pending && session.seen.completed === completed) return [];
  const label = `looks at the head: pending ${pending}, completed ${completed}`;
  return [{ label, next: to({ ...session, seen: { pending, completed } }) }];
}

function reads({ records }: Setup, session: Session, to: To): readonly Step<State>[] {
  const record = entry(records, session.task)[session.position];
  if (record === undefined) return [];
  const next = { ...session, position: session.position + 1, uncut: [...session.uncut, record] };
  return [{ label: `reads ${record}`, next: to(next) }];
}

/** B2, B3, C1. An ack is a fact: who comes later finds it there. */
function acks({ rules }: Setup, state: State, session: Session, to: To): readonly Step<State>[] {
  const { seen, given, uncut, position, id, generation } = session;
  const checkpoint = seen.pending;
  const owes = session.files.some((file) => file.checkpoint <= Math.min(given, seen.completed));
  if (checkpoint <= session.ack.checkpoint || owes) return [];
  const staged: readonly File[] = uncut.length === 0 ? [] : [{ generation, checkpoint, session: id, records: uncut }];
  const files = [...session.files, ...staged];
  const ack: Ack = { checkpoint, position, files: rules.listing === "what is new" ? staged : files };
  const name = `${checkpoint}/${session.task}`;
  const next = to({ ...session, ack, files, uncut: [] });
  const label = `acks ${checkpoint}, listing [${ack.files.flatMap(({ records }) => records).join()}]`;
  return [{ label, next: state.acks[name] === undefined ? { ...next, acks: withEntry(state.acks, name, ack) } : next }];
}

/** C2: oldest first, and only what a checkpoint covers that it has seen complete. */
function commits(state: State, session: Session, to: To): readonly Step<State>[] {
  const [first, ...files] = session.files;
  if (first === undefined || first.checkpoint > session.seen.completed) return [];
  const name = `${first.generation}/${first.checkpoint}/${session.task}/${first.session}`;
  const shown = withEntry(state.shown, name, first);
  const label = `commits ${first.records.join()} of checkpoint ${first.checkpoint}`;
  return [{ label, next: { ...to({ ...session, files }), shown } }];
}

/** N1: nothing was begun since the cut of the ack that is handed on. R5: the answer of the release may be lost. */
function releases(setup: Setup, state: State, index: number): readonly Step<State>[] {
  const session = entry(state.sessions, index);
  const { task, generation } = session;
  const { version, holder } = entry(state.leases, task);
  const { handover, release } = setup.rules;
  const hasBegun = session.uncut.length > 0 && handover === "its ack";
  if (holder !== session.id || hasBegun || !mayHappen(setup, state, "handovers")) return [];
  const ack = handover === "its ack" ? session.ack : { ...session.ack, position: session.position, files: [] };
  const stopped = { ...state, sessions: replaced(state.sessions, index), used: spent(state, "handovers") };
  const answered = { label: `hands over with its ack of ${ack.checkpoint}`, next: begin(stopped, task, ack) };
  if (!mayHappen(setup, state, "lost")) return [answered];
  const used = spent(stopped, "lost");
  const late = { lateReleases: [...state.lateReleases, { generation, task, version, ack }], used };
  return release === "is its last act"
    ? [answered, { label: "sends its release, hears nothing, and stops", next: { ...stopped, ...late } }]
    : [
        answered,
        {
          label: "sends its release, hears nothing, finds itself in the lease, and goes on",
          next: { ...state, ...late },
        },
      ];
}
