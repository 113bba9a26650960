import type { Invocation, SupervisorCall } from "../model/head.js";

/**
 * Functions that are started and not waited for: Lambda's asynchronous invocation. At least once: an invocation may be delivered
 * twice, late, or (the caller learns it, or a failure destination does) never.
 */
export interface Functions {
  /** Starts a session of a task with the code of this version (P4). */
  invokeTask(functionVersion: string, invocation: Invocation): Promise<void>;
  /** With `by`: code of that version acts as one. */
  callSupervisor(call: SupervisorCall): Promise<void>;
}
