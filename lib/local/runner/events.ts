/** What observers of a runner are told. */
import type { DropCondition } from "./decisions.js";
import type { Deployment } from "./functions.js";
import type { FunctionError } from "./messages.js";

export interface RunnerEventSubject {
  readonly functionName: string;
  readonly version: string;
  /** Null where the process could not be started. */
  readonly pid: number | null;
  readonly requestId: string;
}

/** Each invocation that was started ends with one of finished, failed, killed and timedOut. */
export type RunnerEvent =
  | ({ readonly kind: "started"; readonly coldStart: boolean } & RunnerEventSubject)
  | ({ readonly kind: "finished"; readonly durationMs: number } & RunnerEventSubject)
  /** failed: the function answered with an error, crashed or exited. killed: its process was ended by a signal. */
  | ({
      readonly kind: "failed" | "killed" | "timedOut";
      readonly durationMs: number;
      readonly error: FunctionError;
    } & RunnerEventSubject)
  | ({ readonly kind: "frozen" } & RunnerEventSubject)
  /** `requestId` is that of the last invocation that the process began. */
  | ({ readonly kind: "log"; readonly stream: "stdout" | "stderr"; readonly line: string } & RunnerEventSubject)
  /** An asynchronous event was given up, and goes to the on-failure destination where there is one. */
  | {
      readonly kind: "dropped";
      readonly functionName: string;
      readonly requestId: string;
      readonly condition: DropCondition;
      readonly attempts: number;
    };

export function subjectOf(deployment: Deployment, pid: number | null, requestId: string): RunnerEventSubject {
  return { functionName: deployment.name, version: deployment.version, pid, requestId };
}
