import { asStreamError, type StreamError } from "../../model/errors.js";
import type { Invocation, SupervisorCall } from "../../model/head.js";
import { millis } from "../../model/ids.js";
import type { Deployment } from "../../runtime/deployment.js";
import { runSession } from "../../runtime/run-session.js";
import { runSupervisor } from "../../runtime/supervisor.js";
import { Process, type Venue } from "../faults/process.js";
import type { Deliveries } from "../memory/functions.js";

const lifetimeMillis = 15 * 60_000;
const scheduleMillis = 60_000;
const startMillisMax = 100;

/** The functions of a pipeline in virtual time: sessions that are killed are reported, the supervisor is called once a minute. */
export class VirtualLambda implements Deliveries {
  readonly #venue: Venue;
  readonly #deploy: (process: Process) => Deployment;
  readonly #failed: (error: StreamError) => void;
  readonly #sessions = new Set<Process>();
  #started = 0;

  /** @param failed told where a start cannot be carried out */
  constructor(venue: Venue, deploy: (process: Process) => Deployment, failed: (error: StreamError) => void) {
    this.#venue = venue;
    this.#deploy = deploy;
    this.#failed = failed;
  }

  isSession(process: Process): boolean {
    return this.#sessions.has(process);
  }

  schedule(pipeline: string): void {
    this.supervisor({ pipeline, report: null });
    this.#venue.timeline.after(scheduleMillis, () => this.schedule(pipeline));
  }

  task(_functionVersion: string, invocation: Invocation): void {
    this.#soon(() => {
      const { venue, name } = { venue: this.#venue, name: `session ${++this.#started}` };
      venue.tell(`${name} of generation ${invocation.generation} starts`);
      const process = new Process(name, venue, (why) => this.#died(process, invocation, why));
      this.#sessions.add(process);
      const execution = { requestId: name, deadline: millis(process.now + lifetimeMillis) };
      runSession(this.#deploy(process), invocation, execution).then(
        (outcome) => {
          venue.tell(`${name} ends: ${JSON.stringify(outcome)}`);
          this.#ended(process);
        },
        (error: unknown) => process.kill(asStreamError(error).message),
      );
    });
  }

  supervisor(call: SupervisorCall): void {
    this.#soon(() => {
      const process = new Process(`supervisor ${++this.#started}`, this.#venue, () => undefined);
      const execution = { deadline: millis(process.now + lifetimeMillis) };
      runSupervisor(this.#deploy(process), call, execution).then(
        () => this.#ended(process),
        (error: unknown) => {
          this.#ended(process);
          const found = asStreamError(error);
          // What passes is tried again at the next call.
          if (found.kind !== "transient" && found.kind !== "ambiguous") this.#failed(found);
        },
      );
    });
  }

  #soon(run: () => void): void {
    this.#venue.timeline.after(this.#venue.random.between(1, startMillisMax), run);
  }

  #ended(process: Process): void {
    process.end();
    this.#sessions.delete(process);
  }

  #died(process: Process, invocation: Invocation, message: string): void {
    this.#sessions.delete(process);
    this.supervisor({ pipeline: invocation.pipeline, report: { invocation, kind: "died", message } });
  }
}
