import type { RunnerEvent } from "../../local/runner/events.js";
import { type ErrorKind, StreamError } from "../../model/errors.js";
import type { DevListener } from "./events.js";
import { Recovery } from "./recovery.js";

/** So many calls in a row in which the supervisor did not reach the endpoint, or the endpoint it, are no passing trouble. */
const transientsMax = 3;

const stateAfter = {
  started: "started",
  finished: "ended",
  killed: "killed",
  failed: "failed",
  timedOut: "failed",
} as const;

/** What the runner tells, sorted: for the listener, and why the start that was asked for cannot be. */
export class Told {
  startFailure: StreamError | null = null;
  readonly #recovery: Recovery;
  #transients = 0;

  constructor(
    private readonly names: { readonly task: string; readonly supervisor: string },
    private readonly listener: DevListener,
  ) {
    this.#recovery = new Recovery(listener);
  }

  onEvent(event: RunnerEvent): void {
    if (event.kind === "log") this.#onLog(event);
    else if (event.kind === "dropped" || event.kind === "frozen") return;
    else if (event.functionName === this.names.task) this.#onSession(event);
    else if (event.kind === "finished") this.#transients = 0;
    else if (event.kind === "failed" && event.error.errorType !== "StreamError")
      this.startFailure ??= new StreamError("bug", `${event.functionName}: ${event.error.errorMessage}`);
  }

  #onLog({ functionName, pid, line }: Extract<RunnerEvent, { readonly kind: "log" }>): void {
    this.#recovery.onLog(line);
    if (functionName === this.names.supervisor) this.#onSupervisor(line);
    this.listener({ event: "log", function: functionName, pid, line });
  }

  /** The supervisor fails where the start or restore that was asked for cannot be, and logs the reason. */
  #onSupervisor(line: string): void {
    if (!line.startsWith('{"event":"refused"')) return;
    const { kind, message } = JSON.parse(line) as { readonly kind: ErrorKind; readonly message: string };
    const passing = kind === "transient" || kind === "ambiguous";
    if (passing && ++this.#transients < transientsMax) return;
    this.startFailure ??= new StreamError(kind, message);
  }

  #onSession(event: Exclude<RunnerEvent, { readonly kind: "log" | "dropped" | "frozen" }>): void {
    const state = stateAfter[event.kind];
    if (state === "killed" || state === "failed") this.#recovery.onKilled();
    this.listener({ event: "session", state, pid: event.pid, requestId: event.requestId });
  }
}
