/** A number or string with a meaning of its own: two brands do not mix. */
export type Brand<T, B extends string> = T & { readonly "~brand": B };

/** One uninterrupted life of a pipeline: 1, 2, … */
export type Generation = Brand<number, "Generation">;
/** 1, 2, …; grows and is never reused in a pipeline. 0 is before the first. */
export type CheckpointId = Brand<number, "CheckpointId">;
/** "stage.index", such as "0.3". Task "0.0" is the coordinator. */
export type TaskId = Brand<string, "TaskId">;
/** Drawn at the start of an execution, never taken from its event (R4). */
export type SessionId = Brand<string, "SessionId">;
/** Lower-case hex. */
export type Sha256 = Brand<string, "Sha256">;
/** Milliseconds since the epoch. Where a field says so, of a server's clock. */
export type Millis = Brand<number, "Millis">;

export const generation = (n: number): Generation => n as Generation;
export const checkpointId = (n: number): CheckpointId => n as CheckpointId;
export const taskId = (stage: number, index: number): TaskId => `${stage}.${index}` as TaskId;
export const sessionId = (text: string): SessionId => text as SessionId;
export const millis = (n: number): Millis => n as Millis;

/** The task whose session coordinates checkpoints (R3). */
export const coordinatorTask: TaskId = taskId(0, 0);

/** Stage and index of a task, as numbers. */
export function taskParts(task: TaskId): { readonly stage: number; readonly index: number } {
  const [stage, index] = task.split(".");
  return { stage: Number(stage), index: Number(index) };
}

/** Zero-padded decimal, so that names sort as numbers do. */
export const padded = (n: number, digits: number): string => String(n).padStart(digits, "0");
