import type { Invocation, SupervisorCall } from "../../model/head.js";
import type { Functions } from "../../ports/functions.js";

/** Where invocations go. When, how often and whether they are delivered is for these to decide: Lambda promises at least once. */
export interface Deliveries {
  task(functionVersion: string, invocation: Invocation): void;
  supervisor(call: SupervisorCall): void;
}

export type SentInvocation =
  | { readonly kind: "task"; readonly functionVersion: string; readonly invocation: Invocation }
  | { readonly kind: "supervisor"; readonly call: SupervisorCall };

export interface MemoryFunctions {
  readonly functions: Functions;
  /** All invocations that were accepted, oldest first. */
  sent(): readonly SentInvocation[];
}

/**
 * Functions in this process: every invocation is handed to `deliver` before the caller has its answer, as a copy by way of JSON.
 *
 * @example memoryFunctions({ task: (version, invocation) => scheduler.later(() => run(invocation)), supervisor: () => {} })
 */
export function memoryFunctions(deliver: Deliveries): MemoryFunctions {
  const sent: SentInvocation[] = [];
  return {
    functions: {
      async invokeTask(functionVersion, invocation) {
        sent.push({ kind: "task", functionVersion, invocation: carried(invocation) });
        deliver.task(functionVersion, carried(invocation));
      },
      async callSupervisor(call) {
        sent.push({ kind: "supervisor", call: carried(call) });
        deliver.supervisor(carried(call));
      },
    },
    sent: () => [...sent],
  };
}

/** A payload is JSON: nothing else arrives. */
const carried = <T>(payload: T): T => JSON.parse(JSON.stringify(payload)) as T;
