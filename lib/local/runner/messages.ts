/**
 * What the runner and the process of a function say to each other, over the IPC channel of `child_process.fork`.
 * The only module that both sides import.
 */

/** How a failure is told, in the form of Lambda's Node.js runtime. */
export interface FunctionError {
  readonly errorType: string;
  readonly errorMessage: string;
  readonly trace?: readonly string[];
}

/** Runner → function. The payload is JSON text: it is parsed once, in the function's process. */
export interface Invoke {
  readonly kind: "invoke";
  readonly requestId: string;
  readonly payload: string;
  readonly invokedFunctionArn: string;
  /** Unix time in milliseconds at which the process is killed. */
  readonly deadlineAtMs: number;
}

/** Function → runner. */
export type FromFunction =
  | { readonly kind: "ready" }
  | { readonly kind: "initFailed"; readonly error: FunctionError }
  | { readonly kind: "answered"; readonly requestId: string; readonly payload: string }
  | { readonly kind: "failed"; readonly requestId: string; readonly error: FunctionError }
  | { readonly kind: "crashed"; readonly error: FunctionError };

/** Names of the environment variables by which the bootstrap learns what to import. */
export const entryVariable = "TIDEMARK_RUNNER_ENTRY";
export const handlerVariable = "TIDEMARK_RUNNER_HANDLER";

const kinds: ReadonlySet<unknown> = new Set(["ready", "initFailed", "answered", "failed", "crashed"]);

/** Code of a function may use `process.send` for purposes of its own: such messages are not ours. */
export function isFromFunction(message: unknown): message is FromFunction {
  return typeof message === "object" && message !== null && "kind" in message && kinds.has(message.kind);
}
