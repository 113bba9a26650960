import { describe, expect, it } from "vitest";
import {
  type EnvironmentInput,
  type EnvironmentState,
  failureOfExit,
  type Invocation,
  onEnvironmentInput,
} from "../../lib/local/runner/environment-state.js";

const mine: Invocation = { requestId: "r1", payload: "{}", invokedFunctionArn: "arn" };
const next: Invocation = { requestId: "r2", payload: "{}", invokedFunctionArn: "arn" };
const error = { errorType: "Error", errorMessage: "no" };
const timeOut = {
  kind: "timedOut",
  error: { errorType: "Sandbox.Timedout", errorMessage: "RequestId: r1 Error: Task timed out after 3.00 seconds" },
} as const;

const states: Readonly<Record<string, EnvironmentState>> = {
  starting: { kind: "starting", invocation: mine },
  warming: { kind: "warming" },
  busy: { kind: "busy", invocation: mine },
  frozen: { kind: "frozen", sinceMs: 1 },
  ending: { kind: "ending", open: { invocation: mine, verdict: null } },
  judged: { kind: "ending", open: { invocation: mine, verdict: timeOut } },
  reaped: { kind: "ending", open: null },
  gone: { kind: "gone" },
};
const inputs: Readonly<Record<string, EnvironmentInput>> = {
  ready: { kind: "ready" },
  answered: { kind: "answered", requestId: "r1", payload: "1" },
  answeredOther: { kind: "answered", requestId: "r2", payload: "1" },
  failed: { kind: "failed", requestId: "r1", error },
  initFailed: { kind: "initFailed", error },
  crashed: { kind: "crashed", error },
  take: { kind: "take", invocation: next },
  handOver: { kind: "handOver" },
  deadline: { kind: "deadline", requestId: "r1", limitMs: 3_000 },
  deadlineOther: { kind: "deadline", requestId: "r2", limitMs: 3_000 },
  initDeadline: { kind: "initDeadline", limitMs: 3_000 },
  end: { kind: "end" },
  exited: { kind: "exited", exit: { code: 1, signal: null, spawnError: null } },
};

/** state, input → next state: what is done. Whatever is not in the table changes nothing. */
const table: Readonly<Record<string, string>> = {
  "starting ready": "busy: send r1",
  "starting initFailed": "ending r1 failed: SIGKILL",
  "starting crashed": "ending r1 failed: SIGKILL",
  "starting initDeadline": "ending r1 timedOut: SIGKILL",
  "starting end": "ending r1 open: SIGKILL",
  "starting exited": "gone: settle r1 failed",
  "starting handOver": "warming",
  "warming ready": "frozen: SIGSTOP",
  "warming take": "starting",
  "warming initFailed": "ending: SIGKILL",
  "warming crashed": "ending: SIGKILL",
  "warming initDeadline": "ending: SIGKILL",
  "warming end": "ending: SIGKILL",
  "warming exited": "gone",
  "busy answered": "frozen: SIGSTOP, settle r1 finished",
  "busy failed": "frozen: SIGSTOP, settle r1 failed",
  "busy initFailed": "ending r1 failed: SIGKILL",
  "busy crashed": "ending r1 failed: SIGKILL",
  "busy deadline": "ending r1 timedOut: SIGKILL",
  "busy end": "ending r1 open: SIGKILL",
  "busy exited": "gone: settle r1 failed",
  "frozen take": "busy: SIGCONT, send r2",
  "frozen initFailed": "ending: SIGKILL",
  "frozen crashed": "ending: SIGKILL",
  "frozen end": "ending: SIGKILL",
  "frozen exited": "gone",
  "ending exited": "gone: settle r1 failed",
  "judged exited": "gone: settle r1 timedOut",
  "reaped exited": "gone",
};

function told(state: EnvironmentState): string {
  if (state.kind !== "ending" || state.open === null) return state.kind;
  return `ending ${state.open.invocation.requestId} ${state.open.verdict?.kind ?? "open"}`;
}

describe("the state of an environment", () => {
  const pairs = Object.keys(states).flatMap((state) => Object.keys(inputs).map((input) => [state, input] as const));

  it.each(pairs)("%s, %s", (stateName, inputName) => {
    const state = states[stateName];
    const input = inputs[inputName];
    if (state === undefined || input === undefined) throw new Error("not in the tables");
    const transition = onEnvironmentInput(state, input, 9);
    const done = transition.actions.map((action) => {
      if (action.kind === "signal") return action.signal;
      if (action.kind === "send") return `send ${action.invocation.requestId}`;
      return `settle ${action.invocation.requestId} ${action.outcome.kind}`;
    });
    const actual = [told(transition.state), ...(done.length > 0 ? [done.join(", ")] : [])].join(": ");
    expect(actual).toBe(table[`${stateName} ${inputName}`] ?? told(state));
    if (!(`${stateName} ${inputName}` in table) && stateName !== "gone") expect(transition.state).toBe(state);
  });

  it("tells after the end of a process what its verdict was, word for word", () => {
    const killed = onEnvironmentInput(
      { kind: "busy", invocation: mine },
      { kind: "deadline", requestId: "r1", limitMs: 3_000 },
      9,
    );
    const exit = { code: null, signal: "SIGKILL", spawnError: null } as const;
    const { actions } = onEnvironmentInput(killed.state, { kind: "exited", exit }, 9);
    expect(actions).toEqual([{ kind: "settle", invocation: mine, outcome: timeOut }]);
  });

  it.each([
    [{ code: 0, signal: null, spawnError: null }, "failed", "Runtime exited without providing a reason"],
    [{ code: 3, signal: null, spawnError: null }, "failed", "Runtime exited with error: exit status 3"],
    [{ code: null, signal: "SIGKILL", spawnError: null }, "killed", "Runtime exited with error: signal: killed"],
    [{ code: null, signal: "SIGABRT", spawnError: null }, "killed", "Runtime exited with error: signal: aborted"],
    [{ code: null, signal: "SIGBUS", spawnError: null }, "killed", "Runtime exited with error: signal: SIGBUS"],
    [{ code: null, signal: null, spawnError: "ENOENT" }, "failed", "Runtime could not be started: ENOENT"],
  ] as const)("describes %j", (exit, kind, message) => {
    const errorMessage = `RequestId: r1 Error: ${message}`;
    expect(failureOfExit("r1", exit)).toEqual({ kind, error: { errorType: "Runtime.ExitError", errorMessage } });
  });
});
