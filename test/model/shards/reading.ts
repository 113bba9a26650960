import { entry, replaced, withEntry } from "../changes.js";
import type { Step } from "../machine.js";
import {
  type Ack,
  type Entry,
  hasClosed,
  isPromised,
  isTrimmed,
  listed,
  type Setup,
  type State,
  shardOf,
} from "./state.js";
import { isPast } from "./table.js";

export const failed = (state: State, failure: string): State => ({
  ...state,
  life: "failed",
  tasks: [],
  acks: [null, null],
  failure,
});

/** One read of one record. It never fails by itself: at a position that is trimmed it goes on at the oldest record. */
export function reads(setup: Setup, state: State, task: number): readonly Step<State>[] {
  const { table } = entry(state.tasks, task);
  return Object.entries(table).flatMap(([name, position]) => read(setup, state, { task, name, position }));
}

interface Place {
  readonly task: number;
  readonly name: string;
  readonly position: Entry;
}

function read(setup: Setup, state: State, place: Place): readonly Step<State>[] {
  const { task, name, position } = place;
  if (position.at === "finished") return [];
  const isChecked = position.isFresh || setup.rules.check === "at every read";
  if (!listed(setup, state.now).includes(name) || (isChecked && isPast(setup, state, name, position)))
    return [{ label: `task ${task} finds ${name} past retention`, next: failed(state, `${name} is past retention`) }];
  const { records } = shardOf(setup, name);
  const seen = withSkipped(setup, state, place);
  const index = records.findIndex(
    ({ time }, i) => i >= position.next && time <= state.now && !isTrimmed(setup, state, time),
  );
  return index === -1 ? emptyRead(setup, seen, place) : [oneRecord(setup, seen, place, index)];
}

/** What the read passes over. From the horizon nobody promised it; else somebody had to notice. */
function withSkipped(setup: Setup, state: State, { name, position }: Place): State {
  const passed = shardOf(setup, name)
    .records.slice(position.next)
    .filter((record) => isTrimmed(setup, state, record.time));
  const names = passed.map(({ record }) => record);
  if (position.at === "horizon") return { ...state, unpromised: [...new Set([...state.unpromised, ...names])].sort() };
  const missed = passed.filter((record) => isPromised(setup, state, record));
  return missed.length === 0
    ? state
    : { ...state, skipped: `${names.join()} of ${name} are trimmed, and nobody noticed` };
}

function oneRecord(setup: Setup, state: State, place: Place, index: number): Step<State> {
  const { task, name } = place;
  const { time, record } = entry(shardOf(setup, name).records, index);
  const position: Entry = { next: index + 1, after: index, readTo: time, at: "open", isFresh: false };
  return { label: `task ${task} reads ${record} of ${name}`, next: moved(state, { ...place, position }, [record]) };
}

/** It says how far the shard was read, or that it is at its end. */
function emptyRead(setup: Setup, state: State, place: Place): readonly Step<State>[] {
  const { task, name, position } = place;
  const { records } = shardOf(setup, name);
  const isEnd = hasClosed(setup, state, name);
  if (!isEnd && position.readTo === state.now && !position.isFresh) return [];
  const come = records.filter(({ time }) => time <= state.now).length;
  const keeps = isEnd && setup.rules.ends !== "read up to now" && position.at !== "horizon";
  const read: Entry = {
    next: Math.max(position.next, come),
    after: position.after,
    readTo: keeps ? position.readTo : state.now,
    at: isEnd ? "finished" : "open",
    isFresh: false,
  };
  const label = `task ${task} has read ${name} up to ${state.now}${isEnd ? ", its end" : ""}`;
  return [{ label, next: moved(state, { ...place, position: read }, []) }];
}

function moved(state: State, { task, name, position }: Place, records: readonly string[]): State {
  const { table, history } = entry(state.tasks, task);
  const read: Ack = { table: withEntry(table, name, position), history: [...history, ...records] };
  return { ...state, tasks: replaced(state.tasks, task, read) };
}
