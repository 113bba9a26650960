import { asStreamError } from "../../model/errors.js";
import type { FailureReport, Invocation, SupervisorCall } from "../../model/head.js";
import { millis } from "../../model/ids.js";
import type { Plan } from "../../pipeline/plan.js";
import type { Deployment } from "../../runtime/deployment.js";
import { runSession } from "../../runtime/run-session.js";
import { runSupervisor } from "../../runtime/supervisor.js";
import { Process } from "../faults/process.js";
import type { Deliveries } from "../memory/functions.js";
import { sameNames } from "../same-names.js";
import { type Cloud, type LaneDelay, type Watch, worldOf } from "./cloud.js";
import { isWrong, type Profile } from "./profile.js";
import type { Stage } from "./stage.js";

/** What a run is made of. */
export interface Setup {
  readonly stage: Stage;
  readonly cloud: Cloud;
  readonly watch: Watch;
  readonly profile: Profile;
  readonly laneDelay: LaneDelay;
  /** The code of a version of the functions: versions differ in how many tasks they ask for. */
  readonly planOf: (functionVersion: string) => Plan;
  /** Operators run in tasks of their own. */
  readonly apart: boolean;
  /** Whether a later generation was opened. */
  readonly isOver: (generation: number) => boolean;
}

const supervisorMillis = 30_000;
/** A death that no caller of ours survives: what it means must be looked at by a person. */
const hopeless: ReadonlySet<string> = new Set(["bug", "corrupt", "invalid"]);

/** G3: a person asked for a checkpoint that is not kept any more, and is told so. */
const isRefusedRestore = (kind: string, message: string): boolean => kind === "invalid" && message.includes("(G3)");

/** P1: records are gone, and the pipeline says so. */
export const isPastRetention = (kind: string, message: string): boolean =>
  kind === "invalid" && message.includes("(P1)");

/** The functions of a pipeline as Lambda runs them: asynchronous, at least once, killed at their deadline, with a failure destination. */
export class Platform implements Deliveries {
  /** The version that schedule and failure destination call: what was deployed last. */
  deployed = 1;
  /** P1: a start was refused, because records are gone. */
  refusedStart = false;
  refusedRestores = 0;
  alive = 0;
  readonly #setup: Setup;
  #processes = 0;
  #requests = 0;

  constructor(setup: Setup) {
    this.#setup = setup;
  }

  task(functionVersion: string, invocation: Invocation): void {
    const { stage } = this.#setup;
    const requestId = ++this.#requests;
    for (const delay of this.#deliveries()) {
      stage.scheduler.after(delay, () => this.#startTask(functionVersion, invocation, requestId));
    }
    // Given up by the service: the failure destination hears of it, or does not.
    if (stage.random.chance(stage.faults().delivery / 5)) this.#report(invocation, "the invocation was given up");
  }

  supervisor(call: SupervisorCall): void {
    for (const delay of this.#deliveries()) this.#setup.stage.scheduler.after(delay, () => this.#startSupervisor(call));
  }

  /** A process that is none of the functions: a person at a terminal. */
  person(name: string, died: () => void): { readonly process: Process; readonly deployment: Deployment } {
    const process = new Process(name, this.#setup.stage, died);
    return { process, deployment: this.#deploymentFor(process, String(this.deployed)) };
  }

  /** Once, twice or never; soon or late. */
  #deliveries(): readonly number[] {
    const { random, faults } = this.#setup.stage;
    const soon = () => random.between(5, 200);
    if (!random.chance(faults().delivery)) return [soon()];
    const late = () => (random.chance(0.5) ? random.between(200, 5_000) : random.between(5_000, 60_000));
    const first = soon();
    // Twins: the service delivers one event to two environments at once.
    const twins = [first, first + random.between(0, 10)];
    return random.pick([[], [late()], twins, [soon(), soon()], [soon(), late()], [late(), late()]]);
  }

  #startTask(functionVersion: string, invocation: Invocation, requestId: number): void {
    const { stage, profile } = this.#setup;
    const { generation, leaseVersion, task } = invocation;
    const died = (why: string) => this.#taskDied(functionVersion, invocation, requestId, why);
    const process = this.#start(`task ${task} ${++this.#processes} (g${generation} v${leaseVersion})`, died);
    const [least, most] = profile.sessionMillis;
    const length = stage.random.between(least, most);
    const overtime = stage.random.chance(stage.faults().overtime) ? stage.random.between(1_000, 120_000) : 0;
    stage.scheduler.after(length + overtime, () => process.kill("its time is up"));
    const execution = { requestId: `request-${requestId}`, deadline: millis(process.now + length) };
    runSession(this.#deploymentFor(process, functionVersion), invocation, execution).then(
      (outcome) => {
        // A session whose generation is over meets a world that others go on in.
        const counts = outcome.kind === "failed" && !this.#setup.isOver(invocation.generation);
        if (counts && !isWrong(profile, functionVersion)) this.#judge(process, outcome.failure, outcome.message);
        this.#ended(process, JSON.stringify(outcome));
      },
      (error: unknown) => this.#threw(process, error),
    );
  }

  #startSupervisor(call: SupervisorCall): void {
    const { stage } = this.#setup;
    const version = call.by ?? String(this.deployed);
    const process = this.#start(`supervisor ${++this.#processes} (${version})`, () => undefined);
    stage.scheduler.after(supervisorMillis, () => process.kill("its time is up"));
    const execution = { deadline: millis(process.now + supervisorMillis) };
    runSupervisor(this.#deploymentFor(process, version), call, execution).then(
      (head) => this.#ended(process, head?.status ?? "no head"),
      (error: unknown) => this.#threw(process, error),
    );
  }

  #start(name: string, died: (why: string) => void): Process {
    const { stage } = this.#setup;
    this.alive++;
    stage.tell(`${name} starts`);
    return new Process(name, stage, (why) => {
      this.alive--;
      died(why);
    });
  }

  #ended(process: Process, how: string): void {
    if (!process.isAlive) return;
    this.alive--;
    process.end();
    this.#setup.stage.tell(`${process.name} ends: ${how}`);
  }

  /** To the service an error is a death; the process itself has run to its end. */
  #threw(process: Process, error: unknown): void {
    const { kind, message } = asStreamError(error);
    if (isPastRetention(kind, message)) this.refusedStart = true;
    if (isRefusedRestore(kind, message)) this.refusedRestores++;
    this.#judge(process, kind, message);
    process.kill(`${kind}: ${message}`);
  }

  #judge(process: Process, kind: string, message: string): void {
    const isForeseen = isPastRetention(kind, message) || isRefusedRestore(kind, message);
    if (process.isAlive && hopeless.has(kind) && !isForeseen)
      this.#setup.stage.violated(`${kind}: ${process.name} fails: ${message}`);
  }

  /** The service starts it again, or tells the failure destination, or that is lost too. */
  #taskDied(functionVersion: string, invocation: Invocation, requestId: number, why: string): void {
    const { stage } = this.#setup;
    if (stage.random.chance(stage.faults().delivery)) {
      stage.scheduler.after(stage.random.between(100, 20_000), () =>
        this.#startTask(functionVersion, invocation, requestId),
      );
    } else this.#report(invocation, why);
  }

  #report(invocation: Invocation, message: string): void {
    const report: FailureReport = { invocation, kind: "died", message };
    this.supervisor({ pipeline: invocation.pipeline, report });
  }

  #deploymentFor(process: Process, functionVersion: string): Deployment {
    const { stage, cloud, watch, planOf, laneDelay, profile } = this.#setup;
    watch.started(process, functionVersion);
    return {
      world: worldOf(stage, cloud, watch, this, process, laneDelay),
      plan: planOf(functionVersion),
      bindings: sameNames,
      functionVersion,
      release: profile.releases > 0 ? Number(functionVersion) : null,
      library: "simulated",
      log: () => undefined,
    };
  }
}
