import { entry, withEntry } from "../changes.js";
import type { Step } from "../machine.js";
import { begun } from "./opening.js";
import { put } from "./records.js";
import {
  ackOf,
  alignmentOf,
  type Committable,
  framesOf,
  isRead,
  nameOf,
  nextFrame,
  planOf,
  type Range,
  type Setup,
  type State,
  type Task,
  withTask,
} from "./state.js";

/** B2: a task sees `pending`: it cuts at once, or waits for barriers first. A later checkpoint ends the wait for an earlier one. */
export function cutSteps(setup: Setup, state: State, task: Task): readonly Step<State>[] {
  const needsBarriers = (c: number) => task.stage > 0 && alignmentOf(setup, c) !== "unaligned";
  const steps = seenCheckpoints(state, task)
    .filter((c) => !needsBarriers(c))
    .map((c) => cutFor(setup, state, task, c));
  const { pending } = state;
  if (pending > Math.max(task.epoch, task.waitingFor) && needsBarriers(pending))
    steps.push({
      label: `waits for the barriers of ${pending}`,
      next: withTask(state, { ...task, waitingFor: pending }),
    });
  if (task.waitingFor > task.epoch && barriersAreThere(setup, state, task))
    steps.push(cutFor(setup, state, task, task.waitingFor));
  return steps;
}

/** The pending checkpoint; or one that was aborted, of which the task has not heard: a frame of its epoch is next. */
function seenCheckpoints(state: State, task: Task): readonly number[] {
  const lanes = task.expected.filter(({ to }) => to === null);
  const ahead = lanes.map((range) => nextFrame(state, task.stage, range)?.epoch ?? 0);
  return [...new Set([state.pending, ...ahead])].filter((c) => c > task.epoch).sort();
}

/** Old ranges are used up. Aligned: all of epoch < c is taken; at-least-once: each producer is known to have cut for c. */
function barriersAreThere(setup: Setup, state: State, task: Task): boolean {
  const isAligned = alignmentOf(setup, task.waitingFor) === "aligned";
  return task.expected.every((range) => {
    if (range.to !== null) return false;
    const lane = framesOf(state, task.stage, range);
    const counting = isAligned ? lane.filter(({ n }) => n === range.from) : lane;
    return counting.some(({ epoch }) => epoch >= task.waitingFor) || isOver(state, task, range);
  });
}

/** E1: its producer has finished, and everything was taken. */
const isOver = (state: State, { stage }: Task, range: Range): boolean =>
  framesOf(state, stage, range).some(({ n, isLast }) => isLast && n === range.from - 1) &&
  nextFrame(state, stage, range) === undefined;

/** The cut: output is staged, the frame is closed, barriers go out, and the ack is drawn up. It is durable later (B3). */
function cutFor(setup: Setup, state: State, task: Task, checkpoint: number): Step<State> {
  const closed: Task = {
    ...task,
    committables: [...task.committables, ...staged(task, checkpoint)],
    uncut: [],
    epoch: checkpoint,
    waitingFor: 0,
    hasBegun: false,
    finished: setup.bounded && task.stage === 0 && isRead(setup, task),
  };
  const aligned = setup.rules.headBarriers === "left" ? closed : { ...closed, expected: behindBarriers(state, closed) };
  const announced = announce(setup, withTask(state, aligned), task, aligned);
  const cut = entry(
    announced.tasks.filter((other) => nameOf(other) === nameOf(task)),
    0,
  );
  const ack = ackOf(setup.rules.barrier === "counts as sent" ? cut : aligned);
  return { label: `cuts for ${checkpoint}`, next: withTask(announced, { ...cut, cut: { checkpoint, ack } }) };
}

function staged({ stage, index, uncut, expected }: Task, checkpoint: number): readonly Committable[] {
  if (uncut.length === 0) return [];
  const keyGroup = entry(expected.at(-1)?.keyGroups ?? [], 0);
  return [{ name: `${checkpoint}/${stage}/${index}/${uncut.join()}`, checkpoint, keyGroup, records: uncut }];
}

/** Barriers at the head of a lane carry nothing: they are stepped over, so that aligned channels are empty. */
const behindBarriers = (state: State, { stage, epoch, expected }: Task): readonly Range[] =>
  expected.map((range) => {
    const frame = nextFrame(state, stage, range);
    const isBarrier = range.to === null && frame?.record === "" && frame.epoch === epoch;
    return isBarrier ? { ...range, from: range.from + 1 } : range;
  });

/** Where consumers wait for the cut they are told by an empty frame. The last one says that nothing comes any more, and is said once. */
function announce(setup: Setup, state: State, before: Task, task: Task): State {
  const { rules } = setup;
  const hasSaidSo = before.finished && rules.finished === "passes every later barrier, and puts none";
  if (hasSaidSo || task.stage === planOf(setup, state.generation).length - 1) return state;
  const isLast = task.finished && rules.finished !== "says nothing";
  const isAwaited = alignmentOf(setup, task.epoch) !== "unaligned";
  return isAwaited || isLast ? put(state, task, { record: "", isLast }) : state;
}

/** B3, C2: an ack follows its cut, once what the task was given and a checkpoint covers is committed. */
export function ackSteps(setup: Setup, state: State, task: Task): readonly Step<State>[] {
  if (task.cut === null || task.committables.some(({ checkpoint }) => checkpoint <= task.given)) return [];
  const { checkpoint } = task.cut;
  const ack = setup.rules.sent === "counted at the ack" ? { ...task.cut.ack, sent: task.sent } : task.cut.ack;
  const acked = withTask(state, { ...task, cut: null, acked: setup.budget.handovers > 0 ? { checkpoint, ack } : null });
  const counts = checkpoint === state.pending;
  return [
    {
      label: `acks ${checkpoint}`,
      next: counts ? { ...acked, acks: withEntry(state.acks, nameOf(task), ack) } : acked,
    },
  ];
}

/** C2: oldest first, and only what a complete checkpoint covers. */
export function commitSteps(state: State, task: Task): readonly Step<State>[] {
  const [first, ...committables] = task.committables;
  if (first === undefined || first.checkpoint > state.completed) return [];
  const committed = withTask(state, { ...task, committables });
  const shown = withEntry(state.shown, first.name, first.records);
  return [
    { label: `commits ${first.records.join()} of checkpoint ${first.checkpoint}`, next: { ...committed, shown } },
  ];
}

/** N1: the successor starts from the ack, whatever became of its checkpoint. */
export function handoverSteps(setup: Setup, state: State, task: Task): readonly Step<State>[] {
  const { used } = state;
  const { acked } = task;
  if (acked === null || task.cut !== null || used.handovers >= setup.budget.handovers) return [];
  if (task.hasBegun && setup.rules.handover === "nothing begun since the cut") return [];
  const complete = Math.min(acked.checkpoint, state.completed);
  const given = setup.rules.firstAck === "after what is complete" ? complete : acked.checkpoint;
  const successor: Task = { ...begun(acked.ack, task, acked.checkpoint), given };
  const next = { ...withTask(state, successor), used: { ...used, handovers: used.handovers + 1 } };
  return [{ label: `hands over with its ack of ${acked.checkpoint}`, next }];
}

/** B4: a task that finished goes when a complete checkpoint has its finished ack; until then it acks each checkpoint itself. */
export function leaveSteps(state: State, task: Task): readonly Step<State>[] {
  const { manifest, generation } = state;
  const isIn = manifest?.generation === generation && manifest.acks[nameOf(task)]?.finished === true;
  if (!isIn || task.cut !== null || task.committables.length > 0) return [];
  return [{ label: "has finished, and leaves", next: withTask(state, { ...task, acked: null, isGone: true }) }];
}
