import { byName, type Entries, entry, replaced, withEntry } from "../changes.js";
import type { Step } from "../machine.js";
import { open, shardsOf, trigger } from "./opening.js";
import {
  type Ack,
  type FinishedShard,
  isClosed,
  isRoot,
  type Manifest,
  nameOf,
  planOf,
  type Setup,
  type State,
  type Task,
} from "./state.js";

/** What changes the head: a generation is opened (a crash, a rescale), a checkpoint is aborted, or completes. */
export function headSteps(setup: Setup, state: State): readonly Step<State>[] {
  return [...openings(setup, state), ...aborts(setup, state), ...completions(setup, state), ...zombieCommits(state)];
}

function openings(setup: Setup, state: State): readonly Step<State>[] {
  const { used, generation, completed } = state;
  if (used.openings >= setup.budget.openings) return [];
  const plan = planOf(setup, generation + 1).join();
  const label = `generation ${generation + 1} is opened from checkpoint ${completed} with ${plan} tasks`;
  return [{ label, next: open(setup, { ...state, used: { ...used, openings: used.openings + 1 } }) }];
}

/** B5. */
function aborts(setup: Setup, state: State): readonly Step<State>[] {
  const { used, pending } = state;
  if (pending === 0 || used.aborts >= setup.budget.aborts) return [];
  const aborted = { ...state, pending: 0, acks: {}, used: { ...used, aborts: used.aborts + 1 } };
  return [{ label: `checkpoint ${pending} is aborted`, next: trigger(setup, aborted) }];
}

/** B4, R1: every task has acked. Owners see the manifest, and start the shards that entered with it. */
function completions(setup: Setup, state: State): readonly Step<State>[] {
  const { pending, used, generation } = state;
  const acks = pending === 0 ? null : gathered(state);
  if (acks === null) return [];
  const plan = planOf(setup, generation);
  const manifest = fold(setup, state.manifest, { checkpoint: pending, generation, plan, acks });
  const completed: State = {
    ...state,
    manifest,
    completed: pending,
    pending: 0,
    acks: {},
    tasks: state.tasks.map((task) => withNewShards(setup, manifest, task)),
    used: { ...used, checkpoints: used.checkpoints + 1 },
  };
  return [{ label: `checkpoint ${pending} completes`, next: trigger(setup, completed) }];
}

/** B4: a task that is gone counts with its finished ack of the checkpoint before. */
function gathered(state: State): Entries<Ack> | null {
  const acks: [string, Ack][] = [];
  for (const task of state.tasks) {
    const name = nameOf(task);
    const ack = state.acks[name] ?? (task.isGone ? state.manifest?.acks[name] : undefined);
    if (ack === undefined) return null;
    acks.push([name, ack]);
  }
  return byName(acks);
}

type Acked = Omit<Manifest, "finished" | "entered">;

/** K3: the table of shards is carried on; what the acks say of it, and which children enter. */
function fold(setup: Setup, before: Manifest | null, acked: Acked): Manifest {
  const finished = withEnds(setup, before?.finished ?? {}, acked);
  const table = before?.entered ?? Object.keys(setup.shards).filter((shard) => isRoot(setup, shard));
  const entering = Object.keys(setup.shards).filter(
    (shard) => !table.includes(shard) && mayEnter(setup, shard, finished, acked),
  );
  return { ...acked, finished, entered: [...table, ...entering].sort() };
}

function withEnds(setup: Setup, before: Entries<FinishedShard>, acked: Acked): Entries<FinishedShard> {
  let finished = before;
  for (const [name, { positions, sent }] of Object.entries(acked.acks)) {
    const producer = Number(name.split("/")[1]);
    for (const [shard, position] of Object.entries(positions)) {
      const isAtEnd = isClosed(setup, shard) && position === entry(setup.shards, shard).records.length;
      if (isAtEnd && finished[shard] === undefined)
        finished = withEntry(finished, shard, { generation: acked.generation, producer, sent });
    }
  }
  return finished;
}

function mayEnter(setup: Setup, shard: string, finished: Entries<FinishedShard>, acked: Acked): boolean {
  const { parents = [] } = entry(setup.shards, shard);
  return parents.every((parent) => {
    const end = finished[parent];
    return end !== undefined && (setup.rules.children === "when its parents are finished" || isTaken(end, acked));
  });
}

/** No range of the manifest still holds a frame that the parent's owner had sent. */
function isTaken(end: FinishedShard, { acks }: Acked): boolean {
  const ranges = Object.entries(acks).flatMap(([name, ack]) => (name.startsWith("1/") ? ack.expected : []));
  return !ranges.some(
    ({ generation, producer, from }) => generation === end.generation && producer === end.producer && from <= end.sent,
  );
}

function withNewShards(setup: Setup, manifest: Manifest, task: Task): Task {
  if (task.stage > 0) return task;
  const shards = shardsOf(setup, manifest, { plan: manifest.plan, index: task.index });
  const entering = shards.filter((shard) => !(shard in task.positions));
  if (entering.length === 0) return task;
  const positions = byName([...Object.entries(task.positions), ...entering.map((shard) => [shard, 0] as const)]);
  return { ...task, positions };
}

const zombieCommits = (state: State): readonly Step<State>[] =>
  state.zombies.map(({ name, records, checkpoint }, index) => ({
    label: `a zombie commits ${records.join()} of checkpoint ${checkpoint}`,
    next: {
      ...state,
      zombies: replaced(state.zombies, index),
      shown: withEntry(state.shown, name, records),
    },
  }));
