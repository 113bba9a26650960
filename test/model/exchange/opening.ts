import { byName, type Entries, entry, upTo } from "../changes.js";
import {
  type Ack,
  type Committable,
  framesOf,
  isRoot,
  keyGroupOf,
  keyGroupsOf,
  type Manifest,
  planOf,
  type Range,
  type Setup,
  type State,
  type Task,
} from "./state.js";

/** R2 and section 6: the next generation, whose tasks start from the completed checkpoint. Its tasks may be more or fewer. */
export function open(setup: Setup, state: State): State {
  const generation = state.generation + 1;
  const tasks = tasksFrom(setup, state, generation);
  const opened = { ...state, generation, pending: 0, tasks, acks: {}, zombies: zombiesOf(state) };
  return trigger(setup, { ...opened, frames: asked(opened) });
}

/** Many states have the same manifest: what is restored from it is computed once. */
const restoredFrom = new WeakMap<object, Map<number, readonly Task[]>>();

function tasksFrom(setup: Setup, { manifest, completed }: State, generation: number): readonly Task[] {
  const origin = manifest ?? setup;
  const known = restoredFrom.get(origin) ?? new Map<number, readonly Task[]>();
  restoredFrom.set(origin, known);
  const plan = planOf(setup, generation);
  const tasks =
    known.get(generation) ??
    plan.flatMap((count, stage) =>
      upTo(count).map((index) =>
        begun(restored(setup, manifest, { generation, plan, stage, index }), { stage, index }, completed),
      ),
    );
  known.set(generation, tasks);
  return tasks;
}

/** A session that runs a task from an ack of `epoch`. */
export const begun = (ack: Ack, { stage, index }: Pick<Task, "stage" | "index">, epoch: number): Task => ({
  ...ack,
  stage,
  index,
  epoch,
  waitingFor: 0,
  uncut: [],
  cut: null,
  acked: null,
  hasBegun: false,
  given: epoch,
  isGone: false,
});

/** A checkpoint is pending whenever one may be: one that is triggered late is one that all tasks see late. */
export function trigger(setup: Setup, state: State): State {
  if (state.used.checkpoints >= setup.budget.checkpoints) return state;
  return { ...state, pending: state.nextCheckpoint, nextCheckpoint: state.nextCheckpoint + 1 };
}

/** E2: what no range names is never asked for. It may as well be gone. */
const asked = (state: State): State["frames"] =>
  state.frames.filter((frame) =>
    state.tasks.some(({ stage, expected }) =>
      expected.some(
        (range) =>
          framesOf(state, stage, range).includes(frame) && frame.n >= range.from && frame.n <= (range.to ?? frame.n),
      ),
    ),
  );

/** Sessions of the generation that ends run on, and may commit what they have seen complete. */
function zombiesOf(state: State): readonly Committable[] {
  const covered = state.tasks.flatMap(({ committables }) =>
    committables.filter((c) => c.checkpoint <= state.completed),
  );
  const byTheirNames = new Map([...state.zombies, ...covered].map((committable) => [committable.name, committable]));
  return [...byTheirNames.values()];
}

interface Place {
  readonly generation: number;
  readonly plan: readonly number[];
  readonly stage: number;
  readonly index: number;
}

/** Section 6: state, ranges and committables by key group, positions by shard; never by task. */
function restored(setup: Setup, manifest: Manifest | null, place: Place): Ack {
  const mine = keyGroupsOf(place.index, entry(place.plan, place.stage));
  const old = manifest === null ? [] : acksOf(manifest, place.stage);
  return {
    positions: place.stage === 0 ? positionsOf(setup, manifest, place, old) : {},
    history: old.flatMap(({ ack }) => ack.history.filter((record) => mine.includes(keyGroupOf(record)))),
    expected: [...inherited(setup, manifest, place.stage, mine), ...ownRanges(place, mine)],
    sent: 0,
    committables: old.flatMap(({ ack, index }) =>
      ack.committables.filter(({ keyGroup }) =>
        setup.rules.committables === "by index" ? index === place.index : mine.includes(keyGroup),
      ),
    ),
    finished: false,
  };
}

function acksOf({ plan, acks }: Manifest, stage: number) {
  const tasks = plan[stage] ?? 0;
  return upTo(tasks).map((index) => ({
    index,
    ack: entry(acks, `${stage}/${index}`),
    keyGroups: keyGroupsOf(index, tasks),
  }));
}

/** E3, E4: the ranges that old tasks still expected, closed at what was sent, each cut down to the own key groups. */
function inherited(setup: Setup, manifest: Manifest | null, stage: number, mine: readonly number[]): readonly Range[] {
  if (manifest === null || stage === 0) return [];
  return acksOf(manifest, stage)
    .flatMap(({ ack, keyGroups }) =>
      ack.expected.map((range) => ({
        ...range,
        to: range.to ?? entry(manifest.acks, `${stage - 1}/${range.producer}`).sent,
        keyGroups: (setup.rules.keyGroups === "of the range" ? range.keyGroups : keyGroups).filter((group) =>
          mine.includes(group),
        ),
      })),
    )
    .filter(({ from, to, keyGroups }) => from <= to && keyGroups.length > 0);
}

const ownRanges = ({ generation, plan, stage }: Place, keyGroups: readonly number[]): readonly Range[] =>
  upTo(stage === 0 ? 0 : entry(plan, stage - 1)).map((producer) => ({
    generation,
    producer,
    from: 1,
    to: null,
    keyGroups,
  }));

function positionsOf(
  setup: Setup,
  manifest: Manifest | null,
  place: Place,
  old: readonly { readonly ack: Ack }[],
): Entries<number> {
  const read = Object.assign({}, ...old.map(({ ack }) => ack.positions)) as Entries<number>;
  return byName(shardsOf(setup, manifest, place).map((shard) => [shard, read[shard] ?? 0]));
}

/** K2, K3: the shards of a source task: those in the table whose place lies in its range. */
export function shardsOf(
  setup: Setup,
  manifest: Pick<Manifest, "entered"> | null,
  { plan, index }: Pick<Place, "plan" | "index">,
): readonly string[] {
  const entered = manifest?.entered ?? Object.keys(setup.shards).filter((shard) => isRoot(setup, shard));
  return entered.filter((shard) => Math.floor(entry(setup.shards, shard).at * entry(plan, 0)) === index);
}
