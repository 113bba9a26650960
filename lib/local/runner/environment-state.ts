/**
 * The life of an execution environment: one process that serves one invocation at a time. Pure: the transition says
 * what is to be done, and `environment.ts` does it.
 *
 * An answer settles an invocation at once, and freezes the process: the message was received in full, so that nothing
 * of it can be left inside. Every other end is told only after the process is gone: whoever hears of a failure may
 * rely on it that the failed session does nothing any more.
 */
import { unreachable } from "../../model/errors.js";
import type { FromFunction, FunctionError } from "./messages.js";

/** One attempt to run a function on an event. Attempts of one event share the request id. */
export interface Invocation {
  readonly requestId: string;
  /** JSON text. */
  readonly payload: string;
  readonly invokedFunctionArn: string;
}

export type Failure = {
  readonly kind: "failed" | "killed" | "timedOut";
  readonly error: FunctionError;
};
export type Outcome = { readonly kind: "finished"; readonly payload: string } | Failure;

export type EnvironmentState =
  | { readonly kind: "starting"; readonly invocation: Invocation }
  /** It starts, and another one has taken the invocation that it was started for. */
  | { readonly kind: "warming" }
  | { readonly kind: "busy"; readonly invocation: Invocation }
  | { readonly kind: "frozen"; readonly sinceMs: number }
  | { readonly kind: "ending"; readonly open: OpenInvocation | null }
  | { readonly kind: "gone" };

/** An invocation whose process is about to end; without a verdict its end itself is the outcome. */
interface OpenInvocation {
  readonly invocation: Invocation;
  readonly verdict: Failure | null;
}

/** How a process ended. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Where the process could not be started at all. */
  readonly spawnError: string | null;
}

export type EnvironmentInput =
  | FromFunction
  | { readonly kind: "take"; readonly invocation: Invocation }
  | { readonly kind: "handOver" }
  | { readonly kind: "deadline"; readonly requestId: string; readonly limitMs: number }
  | { readonly kind: "initDeadline"; readonly limitMs: number }
  | { readonly kind: "end" }
  | { readonly kind: "exited"; readonly exit: Exit };

export type EnvironmentAction =
  | { readonly kind: "signal"; readonly signal: "SIGSTOP" | "SIGCONT" | "SIGKILL" }
  | { readonly kind: "send"; readonly invocation: Invocation }
  | { readonly kind: "settle"; readonly invocation: Invocation; readonly outcome: Outcome };

export interface Transition {
  readonly state: EnvironmentState;
  readonly actions: readonly EnvironmentAction[];
}

const kill: EnvironmentAction = { kind: "signal", signal: "SIGKILL" };

/** Total: an input that has no meaning in a state (an answer after the deadline, say) changes nothing. */
export function onEnvironmentInput(state: EnvironmentState, input: EnvironmentInput, nowMs: number): Transition {
  switch (input.kind) {
    case "ready":
      return ready(state, nowMs);
    case "take":
      return take(state, input.invocation);
    case "handOver":
      return state.kind === "starting" ? { state: { kind: "warming" }, actions: [] } : unchanged(state);
    case "answered":
      return settle(state, input.requestId, { kind: "finished", payload: input.payload }, nowMs);
    case "failed":
      return settle(state, input.requestId, { kind: "failed", error: input.error }, nowMs);
    case "initFailed":
    case "crashed":
      return end(state, { kind: "failed", error: input.error });
    case "deadline":
      return state.kind === "busy" && state.invocation.requestId === input.requestId
        ? end(state, timedOut(input.requestId, "Task", input.limitMs))
        : unchanged(state);
    case "initDeadline":
      return initDeadline(state, input.limitMs);
    case "end":
      return end(state, null);
    case "exited":
      return exited(state, input.exit);
    default:
      return unreachable(input);
  }
}

function unchanged(state: EnvironmentState): Transition {
  return { state, actions: [] };
}

function ready(state: EnvironmentState, nowMs: number): Transition {
  if (state.kind === "starting") return begin(state.invocation, []);
  if (state.kind !== "warming") return unchanged(state);
  return { state: { kind: "frozen", sinceMs: nowMs }, actions: [{ kind: "signal", signal: "SIGSTOP" }] };
}

function take(state: EnvironmentState, invocation: Invocation): Transition {
  if (state.kind === "frozen") return begin(invocation, [{ kind: "signal", signal: "SIGCONT" }]);
  return state.kind === "warming" ? { state: { kind: "starting", invocation }, actions: [] } : unchanged(state);
}

function initDeadline(state: EnvironmentState, limitMs: number): Transition {
  if (state.kind === "warming") return end(state, null);
  if (state.kind !== "starting") return unchanged(state);
  return end(state, timedOut(state.invocation.requestId, "Init phase", limitMs));
}

function begin(invocation: Invocation, before: readonly EnvironmentAction[]): Transition {
  return { state: { kind: "busy", invocation }, actions: [...before, { kind: "send", invocation }] };
}

function settle(state: EnvironmentState, requestId: string, outcome: Outcome, nowMs: number): Transition {
  if (state.kind !== "busy" || state.invocation.requestId !== requestId) return unchanged(state);
  const settled: EnvironmentAction = { kind: "settle", invocation: state.invocation, outcome };
  return {
    state: { kind: "frozen", sinceMs: nowMs },
    actions: [{ kind: "signal", signal: "SIGSTOP" }, settled],
  };
}

function end(state: EnvironmentState, verdict: Failure | null): Transition {
  switch (state.kind) {
    case "starting":
    case "busy":
      return { state: { kind: "ending", open: { invocation: state.invocation, verdict } }, actions: [kill] };
    case "warming":
    case "frozen":
      return { state: { kind: "ending", open: null }, actions: [kill] };
    case "ending":
    case "gone":
      return unchanged(state);
    default:
      return unreachable(state);
  }
}

function exited(state: EnvironmentState, exit: Exit): Transition {
  const gone: EnvironmentState = { kind: "gone" };
  switch (state.kind) {
    case "starting":
    case "busy": {
      const outcome = failureOfExit(state.invocation.requestId, exit);
      return { state: gone, actions: [{ kind: "settle", invocation: state.invocation, outcome }] };
    }
    case "ending": {
      if (state.open === null) return { state: gone, actions: [] };
      const { invocation, verdict } = state.open;
      const outcome = verdict ?? failureOfExit(invocation.requestId, exit);
      return { state: gone, actions: [{ kind: "settle", invocation, outcome }] };
    }
    case "warming":
    case "frozen":
    case "gone":
      return { state: gone, actions: [] };
    default:
      return unreachable(state);
  }
}

function timedOut(requestId: string, what: string, limitMs: number): Failure {
  const errorMessage = `RequestId: ${requestId} Error: ${what} timed out after ${(limitMs / 1000).toFixed(2)} seconds`;
  return { kind: "timedOut", error: { errorType: "Sandbox.Timedout", errorMessage } };
}

const signalNames: Readonly<Record<string, string>> = {
  SIGKILL: "killed",
  SIGABRT: "aborted",
  SIGTERM: "terminated",
  SIGSEGV: "segmentation fault",
};

/** The words are Lambda's. */
export function failureOfExit(requestId: string, exit: Exit): Failure {
  const { code, signal, spawnError } = exit;
  const how = (): string => {
    if (spawnError !== null) return `Runtime could not be started: ${spawnError}`;
    if (signal !== null) return `Runtime exited with error: signal: ${signalNames[signal] ?? signal}`;
    return code === 0 ? "Runtime exited without providing a reason" : `Runtime exited with error: exit status ${code}`;
  };
  const error = { errorType: "Runtime.ExitError", errorMessage: `RequestId: ${requestId} Error: ${how()}` };
  return { kind: signal === null ? "failed" : "killed", error };
}
