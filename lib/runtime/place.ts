import type { Heir } from "../checkpoint/inherit.js";
import type { KeyGroups } from "../model/checkpoints.js";
import { StreamError } from "../model/errors.js";
import type { GenerationRecord } from "../model/head.js";
import { type TaskId, taskId, taskParts } from "../model/ids.js";
import { keyGroupsOf } from "../model/key-ranges.js";
import { deadLetterSink } from "../pipeline/dead-letter.js";
import { type Sparable, sparedIn } from "../pipeline/partitioned.js";
import { hasState, type Plan } from "../pipeline/plan.js";
import { cutStages, type Edge, type Stage } from "../pipeline/stages.js";

/** An edge as a task of one of its ends sees it. */
export interface Connection {
  readonly edge: string;
  /** Numbers of the tasks that send (E1). */
  readonly producers: readonly number[];
  /** The tasks that take, in the order of their key groups. */
  readonly consumers: readonly { readonly task: TaskId; readonly keyGroups: KeyGroups }[];
}

/** Where a task stands in its generation: what it runs, what it owns (K2), and whom it exchanges records with. */
export interface Place {
  readonly task: TaskId;
  /** Among all tasks of the generation. */
  readonly number: number;
  readonly stage: Stage;
  readonly index: number;
  /** Of its stage. */
  readonly tasks: number;
  readonly keyGroups: KeyGroups;
  readonly inputs: readonly Connection[];
  readonly outputs: readonly Connection[];
  readonly heir: Heir;
  /** Steps that give keys of this task alone, for the source is partitioned by them: no edge is behind them. */
  readonly spared: readonly Sparable[];
  /** Operators of the plan that other stages run. */
  readonly elsewhere: readonly string[];
  /** Of each sink that the task writes to, all tasks of the generation that do, in their order. */
  readonly sinkTasks: ReadonlyMap<string, readonly TaskId[]>;
}

/** @throws StreamError `invalid` where the generation was opened with another cutting of stages */
export function placeOf(plan: Plan, record: GenerationRecord, task: TaskId): Place {
  const spared = sparedIn(plan, record.stages);
  const { stages, edges } = cutStages(
    plan,
    spared.map(({ operator }) => operator),
  );
  const { stage: at, index } = taskParts(task);
  const stage = stages[at];
  const tasks = record.stages[at]?.tasks;
  if (stage === undefined || tasks === undefined || stages.length !== record.stages.length || index >= tasks)
    throw otherStages(record, task);
  const connect = (edge: Edge) => connectionOf(edge, record);
  const tasksOf = (sink: string) =>
    stages
      .filter(({ sinks }) => sink === deadLetterSink || sinks.includes(sink))
      .flatMap(({ index: one }) => Array.from({ length: record.stages[one]?.tasks ?? 0 }, (_, i) => taskId(one, i)));
  return {
    task,
    number: firstOf(record, at) + index,
    stage,
    index,
    tasks,
    keyGroups: keyGroupsOf(index, tasks),
    inputs: edges.filter(({ consumer }) => consumer === at).map(connect),
    outputs: edges.filter(({ producers }) => producers.includes(at)).map(connect),
    heir: {
      stage: at,
      index,
      tasks,
      operators: stage.operators,
      sinks: [
        ...stage.sinks.filter((sink) => stages.find(({ sinks }) => sinks.includes(sink)) === stage),
        // Every stage may write there.
        ...(at === 0 ? [deadLetterSink] : []),
      ],
      stages: stages.length,
    },
    spared: tasks === 1 ? [] : spared.filter(({ keyBy }) => stage.nodes.includes(keyBy)),
    elsewhere: plan.graph.nodes.filter(hasState).flatMap(({ name }) => (stage.operators.includes(name) ? [] : [name])),
    sinkTasks: new Map([...stage.sinks, deadLetterSink].map((sink) => [sink, tasksOf(sink)])),
  };
}

function connectionOf({ name, producers, consumer }: Edge, record: GenerationRecord): Connection {
  const tasks = record.stages[consumer]?.tasks ?? 0;
  return {
    edge: name,
    producers: producers.flatMap((stage) => {
      const first = firstOf(record, stage);
      return Array.from({ length: record.stages[stage]?.tasks ?? 0 }, (_, index) => first + index);
    }),
    consumers: Array.from({ length: tasks }, (_, index) => ({
      task: taskId(consumer, index),
      keyGroups: keyGroupsOf(index, tasks),
    })),
  };
}

/** The number of a stage's first task. */
const firstOf = ({ stages }: GenerationRecord, stage: number): number =>
  stages.slice(0, stage).reduce((sum, { tasks }) => sum + tasks, 0);

function otherStages(record: GenerationRecord, task: TaskId): StreamError {
  const found = record.stages.map(({ name, tasks }) => `${name} × ${tasks}`).join(", ");
  return new StreamError(
    "invalid",
    `generation ${record.generation} was opened with the stages ${found}, which are not those of this code: it has no task ${task} there (P4)`,
  );
}
