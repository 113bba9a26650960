// Shards and time (P0, P1, K3, N3): starts, splits, merges, retention, and a folder whose list of shards is old.
//
// The stream is a script. Time is a counter that may move at any moment; a record is trimmed once it is older than the retention, a
// shard is no longer listed once it is closed and all of it is trimmed. Two tasks; cut and ack are one step. Checkpoints have no
// numbers here: both tasks ack and somebody folds, or the generation ends.
import { byName, entry, isSame, isTwice, replaced } from "../changes.js";
import type { Machine, Step } from "../machine.js";
import { failed, reads } from "./reading.js";
import {
  type Ack,
  type Entry,
  hasClosed,
  isPromised,
  isTrimmed,
  listed,
  ownerOf,
  parentsOf,
  type Setup,
  type State,
  shardOf,
  type Table,
  tasks,
} from "./state.js";
import { firstTable, foldTable, isPast, lostShard } from "./table.js";

export function shards(setup: Setup): Machine<State> {
  return {
    initial: { ...blank, now: setup.from },
    steps: (state) => [...ticks(setup, state), ...lifeSteps(setup, state)],
    violation: (state) => violation(setup, state),
    isEnd: (state) => isEnd(setup, state),
    mustEnd: true,
  };
}

const blank: State = {
  now: 0,
  life: "new",
  resolved: 0,
  oldList: null,
  table: {},
  history: [],
  tasks: [],
  acks: [null, null],
  unpromised: [],
  skipped: "",
  failure: "",
  crashes: 0,
};

function lifeSteps(setup: Setup, state: State): readonly Step<State>[] {
  switch (state.life) {
    case "new":
      return begins(setup, state);
    case "running":
      return runs(setup, state);
    case "asleep":
      return wakes(setup, state);
    case "failed":
      return [];
  }
}

/** The supervisor looks at a sleeping pipeline whenever time moves. */
function ticks(setup: Setup, state: State): readonly Step<State>[] {
  if (state.now >= setup.until) return [];
  const next = { ...state, now: state.now + 1 };
  const isLooked = state.life === "asleep" && setup.rules.looks === "a later readTo";
  return [{ label: `it is ${next.now}`, next: isLooked ? looked(setup, next) : next }];
}

/** N3: an empty read with nothing behind it makes `readTo` later. */
function looked(setup: Setup, state: State): State {
  const isQuiet = (name: string, position: Entry) =>
    position.at === "open" && !isPast(setup, state, name, position) && !hasNews(setup, state, name, position);
  const table = Object.entries(state.table).map(
    ([name, position]) => [name, isQuiet(name, position) ? { ...position, readTo: state.now } : position] as const,
  );
  return { ...state, table: byName(table) };
}

/** A read returns a record, or finds the end. */
const hasNews = (setup: Setup, state: State, name: string, { next }: Entry): boolean =>
  hasClosed(setup, state, name) ||
  shardOf(setup, name).records.some(({ time }, i) => i >= next && time <= state.now && !isTrimmed(setup, state, time));

/** P0: the start becomes a time, and the list of shards is taken once. */
function begins(setup: Setup, state: State): readonly Step<State>[] {
  const list = listed(setup, state.now);
  const resolved = { ...state, resolved: state.now };
  const opened = restore(setup, { ...resolved, table: firstTable(setup, resolved, list) });
  return [{ label: `the start is resolved to ${state.now}, the shards are ${list.join()}`, next: opened }];
}

/** Section 6: each task starts from the checkpoint. What cannot be gone on with fails before. */
function restore(setup: Setup, state: State): State {
  const lost = lostShard(setup, state, state.table);
  if (lost !== undefined) return failed(state, `${state.life === "asleep" ? "asleep, " : ""}${lost} is past retention`);
  const table = fresh(state.table);
  const restored = tasks.map((task) => ({
    table: ownTable(setup, table, task, {}),
    history: state.history.filter((record) => ownerOf(setup, record) === task),
  }));
  return { ...state, life: "running", acks: [null, null], tasks: restored };
}

const fresh = (table: Table): Table =>
  byName(Object.entries(table).map(([name, position]) => [name, { ...position, isFresh: true }] as const));

/** K3: what the task has, and what has entered since. */
const ownTable = (setup: Setup, table: Table, task: number, has: Table): Table =>
  byName([
    ...Object.entries(has),
    ...Object.entries(table).filter(
      ([name, { at }]) => has[name] === undefined && at !== "finished" && shardOf(setup, name).owner === task,
    ),
  ]);

function runs(setup: Setup, state: State): readonly Step<State>[] {
  const steps = [...tasks.flatMap((task) => taskSteps(setup, state, task)), ...folds(setup, state)];
  if (setup.oldLists && state.oldList === null) {
    const oldList = listed(setup, state.now);
    steps.push({ label: `somebody lists the shards: ${oldList.join()}`, next: { ...state, oldList } });
  }
  if (state.crashes < setup.crashes)
    steps.push({
      label: "a crash, and the next generation",
      next: restore(setup, { ...state, crashes: state.crashes + 1 }),
    });
  return steps;
}

function taskSteps(setup: Setup, state: State, task: number): readonly Step<State>[] {
  const own = entry(state.tasks, task);
  const steps = [...reads(setup, state, task)];
  if (state.acks[task] === null) {
    const ack: Ack = { ...own, table: fresh(own.table) };
    steps.push({
      label: `task ${task} cuts and acks`,
      next: { ...state, acks: replaced<Ack | null>(state.acks, task, ack) },
    });
  }
  const table = ownTable(setup, state.table, task, own.table);
  const started = Object.keys(table).filter((name) => own.table[name] === undefined);
  if (started.length > 0)
    steps.push({
      label: `task ${task} sees the manifest and starts ${started.join()}`,
      next: { ...state, tasks: replaced(state.tasks, task, { ...own, table }) },
    });
  return steps;
}

/** B4, K3: whoever folds has the list of now, or one that was taken before. */
function folds(setup: Setup, state: State): readonly Step<State>[] {
  const acks = state.acks.flatMap((ack) => ack ?? []);
  if (acks.length < tasks.length) return [];
  const list = listed(setup, state.now);
  const lists = state.oldList === null || state.oldList.join() === list.join() ? [list] : [state.oldList, list];
  return lists.flatMap((by) => fold(setup, state, acks, by));
}

function fold(setup: Setup, state: State, acks: readonly Ack[], list: readonly string[]): readonly Step<State>[] {
  const acked = settled(state.table, acks);
  const folded: State = {
    ...state,
    table: foldTable(setup, state, acked, list),
    oldList: list === state.oldList ? null : state.oldList,
    history: acks.flatMap(({ history }) => history),
    acks: [null, null],
  };
  const lost = Object.keys(folded.table).find(
    (name) => folded.table[name]?.at === "finished" && lostShard(setup, folded, folded.table) === name,
  );
  const label = `the checkpoint completes with the list ${list.join()}`;
  if (lost !== undefined) return [{ label, next: failed(folded, `what followed ${lost} is past retention`) }];
  if (!setup.sleeps || !isIdle(state, acks)) return [{ label, next: folded }];
  return [
    { label, next: folded },
    { label: `${label}, and the pipeline sleeps`, next: { ...folded, life: "asleep", tasks: [] } },
  ];
}

/** An ack speaks only of shards in the table; one that left it stays away. */
function settled(table: Table, acks: readonly Ack[]): Table {
  const positions: Table = Object.assign({}, ...acks.map((ack) => ack.table));
  return byName(Object.entries(table).map(([name, position]) => [name, positions[name] ?? position] as const));
}

/** N2: nothing came since the cut, and everything is read up to now. */
const isIdle = (state: State, acks: readonly Ack[]): boolean =>
  state.tasks.every(({ table, history }, task) => {
    const positions = Object.values(table);
    const isRead = positions.every(({ at, readTo }) => at === "finished" || readTo === state.now);
    return (
      isRead && JSON.stringify([fresh(table), history]) === JSON.stringify([acks[task]?.table, acks[task]?.history])
    );
  });

/** N3. What a look finds past retention fails the pipeline. */
function wakes(setup: Setup, state: State): readonly Step<State>[] {
  const past = Object.keys(state.table).find((name) => {
    const position = entry(state.table, name);
    return position.at !== "finished" && isPast(setup, state, name, position);
  });
  if (past !== undefined && setup.rules.looks === "a later readTo")
    return [{ label: `a look finds ${past} past retention`, next: failed(state, `asleep, ${past} is past retention`) }];
  const news = Object.entries(state.table).some(
    ([name, position]) => position.at !== "finished" && hasNews(setup, state, name, position),
  );
  return news || hasNewShards(setup, state) ? [{ label: "the pipeline wakes", next: restore(setup, state) }] : [];
}

function hasNewShards(setup: Setup, state: State): boolean {
  if (setup.rules.waking === "records and ends") return false;
  const folded = foldTable(setup, state, state.table, listed(setup, state.now));
  const isOther = !isSame(Object.keys(folded), Object.keys(state.table));
  return isOther || lostShard(setup, state, state.table) !== undefined;
}

function violation(setup: Setup, state: State): string | null {
  if (state.skipped !== "") return state.skipped;
  const seen = state.tasks.flatMap(({ history }) => history);
  if (isTwice(seen)) return `a record was read twice: ${seen.join()}`;
  return earlyRecord(setup, state, seen) ?? missingBefore(setup, state, seen) ?? needlessFailure(setup, state);
}

const recordsOf = ({ shards: all }: Setup) => Object.values(all).flatMap(({ records }) => records);

function earlyRecord(setup: Setup, state: State, seen: readonly string[]): string | null {
  const early = recordsOf(setup).find((record) => seen.includes(record.record) && !isPromised(setup, state, record));
  return early === undefined || setup.start === "horizon"
    ? null
    : `the start is ${state.resolved}, but ${early.record} of ${early.time} was read`;
}

/** A key's records keep their order: a shard is read when all that its ancestors had was. */
function missingBefore(setup: Setup, state: State, seen: readonly string[]): string | null {
  const before = (name: string): readonly string[] =>
    parentsOf(setup, name).flatMap((parent) => [
      ...before(parent),
      ...shardOf(setup, parent)
        .records.filter((record) => isPromised(setup, state, record))
        .map(({ record }) => record),
    ]);
  for (const { table } of state.tasks) {
    for (const name of Object.keys(table)) {
      const missing = before(name).filter((record) => !seen.includes(record));
      if (missing.length > 0) return `${name} is being read, but ${missing.join()} before it not`;
    }
  }
  return null;
}

/** Where nothing is lost a pipeline that starts at the horizon, or sleeps, has no reason to fail. */
function needlessFailure(setup: Setup, state: State): string | null {
  if (!setup.failsOnlyAtLoss || state.life !== "failed") return null;
  const due = setup.start === "horizon" ? state.now - setup.retention : state.now;
  const isLost = recordsOf(setup).some(
    (record) => isPromised(setup, state, record) && record.time < due && !state.history.includes(record.record),
  );
  const isMeant = setup.start === "horizon" || state.failure.startsWith("asleep");
  return isLost || !isMeant ? null : `it failed (${state.failure}), but nothing is lost`;
}

/** Everything was read, or the pipeline said why it cannot be. */
function isEnd(setup: Setup, state: State): boolean {
  if (state.life === "failed") return true;
  const promised = recordsOf(setup).filter((record) => isPromised(setup, state, record));
  return (
    state.now === setup.until && state.life !== "new" && promised.every(({ record }) => state.history.includes(record))
  );
}
