import { entry, replaced, withEntry } from "../changes.js";
import type { Step } from "../machine.js";
import {
  alignmentOf,
  type Frame,
  keyGroupOf,
  nextFrame,
  planOf,
  type Range,
  type Setup,
  type State,
  type Task,
  withTask,
} from "./state.js";

/** How records flow: a source task reads one and puts it, a task behind an edge takes one frame. Both at most up to the window. */
export function recordSteps(setup: Setup, state: State, task: Task): readonly Step<State>[] {
  if (isPressed(setup, state, task)) return [];
  return task.stage === 0 ? reads(setup, state, task) : takes(setup, state, task);
}

/** E5: its slowest consumer is more than `window` frames behind. */
function isPressed(setup: Setup, state: State, { stage, index, sent }: Task): boolean {
  const lanes = state.tasks
    .filter((consumer) => consumer.stage === stage + 1)
    .flatMap(({ expected }) => expected.filter((range) => range.to === null && range.producer === index));
  return lanes.some(({ from }) => sent - (from - 1) > setup.window);
}

function reads(setup: Setup, state: State, task: Task): readonly Step<State>[] {
  return Object.entries(task.positions).flatMap(([shard, position]) => {
    const record = entry(setup.shards, shard).records[position];
    if (record === undefined) return [];
    const behind = { ...task, positions: withEntry(task.positions, shard, position + 1) };
    return [{ label: `reads ${record}`, next: emit(setup, state, behind, record) }];
  });
}

function takes(setup: Setup, state: State, task: Task): readonly Step<State>[] {
  return task.expected.flatMap((range, index) => {
    const frame = nextFrame(state, task.stage, range);
    if (frame === undefined || !isInTurn(setup, state, task, index) || !mayTake(setup, state, task, frame)) return [];
    const advanced: Task = { ...task, hasBegun: true, expected: replaced(task.expected, index, ...behindFrame(range)) };
    return [take(setup, state, advanced, { frame, keyGroups: range.keyGroups })];
  });
}

/** E2: a range that is used up goes. */
const behindFrame = (range: Range): readonly Range[] =>
  range.from === range.to ? [] : [{ ...range, from: range.from + 1 }];

function take(
  setup: Setup,
  state: State,
  task: Task,
  { frame, keyGroups }: { readonly frame: Frame; readonly keyGroups: readonly number[] },
): Step<State> {
  const label = `takes frame ${frame.n} of producer ${frame.producer}, generation ${frame.generation}`;
  if (frame.record === "") return { label: `${label}: a barrier`, next: withTask(state, task) };
  if (!keyGroups.includes(keyGroupOf(frame.record)))
    return { label: `${label}: not its key group`, next: withTask(state, task) };
  const changed = { ...task, history: [...task.history, frame.record] };
  return { label: `${label}: ${frame.record}`, next: emit(setup, state, changed, frame.record) };
}

/** E2: none of a generation while a range of an earlier one, of whatever producer, is left. */
function isInTurn({ rules }: Setup, { generation }: State, { expected }: Task, index: number): boolean {
  const range = entry(expected, index);
  if (rules.order === "no frame while a range of an earlier generation is left")
    return expected.every((other) => other.generation >= range.generation);
  const isFirstOfProducer = !expected
    .slice(0, index)
    .some(
      (other) => other.producer === range.producer && other.keyGroups.some((group) => range.keyGroups.includes(group)),
    );
  const isOld = range.generation < generation || expected.every((other) => other.generation === generation);
  return isFirstOfProducer && (rules.order === "per producer" || isOld);
}

/** B2: whether a task may take the frame without a cut. One of an epoch that was aborted is taken like any other. */
function mayTake(setup: Setup, state: State, task: Task, { generation, epoch }: Frame): boolean {
  if (generation < state.generation || epoch <= task.epoch || epoch !== state.pending) return true;
  const alignment = alignmentOf(setup, epoch);
  if (alignment === "unaligned") return setup.rules.latestCut !== "before a frame of the new epoch";
  return alignment === "at-least-once";
}

/** Output: at the end for the sink, else a frame. */
function emit(setup: Setup, state: State, task: Task, record: string): State {
  const begun = { ...task, hasBegun: true };
  const isLastStage = task.stage === planOf(setup, state.generation).length - 1;
  if (isLastStage) return withTask(state, { ...begun, uncut: setup.sink ? [...task.uncut, record] : [] });
  return put(state, begun, { record, isLast: false });
}

/** E1: the next frame of the task's lane. A name that has another content already is a clash. */
export function put(state: State, task: Task, { record, isLast }: Pick<Frame, "record" | "isLast">): State {
  const { stage, index: producer, epoch } = task;
  const frame: Frame = { stage, generation: state.generation, producer, n: task.sent + 1, epoch, record, isLast };
  const sent = withTask(state, { ...task, sent: frame.n });
  const old = state.frames.find((other) => isNamedAs(other, frame));
  if (old === undefined) return { ...sent, frames: [...state.frames, frame].sort(byTheirNames) };
  return isSameFrame(old, frame)
    ? sent
    : {
        ...sent,
        clash: `frame ${frame.n} of producer ${producer} is written as ${contentOf(old)} and as ${contentOf(frame)}`,
      };
}

const isNamedAs = (a: Frame, b: Frame): boolean => byTheirNames(a, b) === 0;

const byTheirNames = (a: Frame, b: Frame): number =>
  a.stage - b.stage || a.generation - b.generation || a.producer - b.producer || a.n - b.n;

const isSameFrame = (a: Frame, b: Frame): boolean => a.record === b.record && a.epoch === b.epoch;

const contentOf = ({ record, epoch }: Frame): string => `${record === "" ? "a barrier" : record} of epoch ${epoch}`;
