/** Handlers for the functions of a pipeline. */
import { awsWorld, bindingsOf, readEnvironment } from "./compose.js";
import { asStreamError, keptMessage, StreamError } from "./model/errors.js";
import type { FailureReport, Invocation, SupervisorCall } from "./model/head.js";
import { millis } from "./model/ids.js";
import { libraryVersion } from "./model/library.js";
import { isPipeline, type Pipeline } from "./pipeline/pipeline.js";
import type { Plan } from "./pipeline/plan.js";
import type { Deployment } from "./runtime/deployment.js";
import { embeddedMetrics, type Measures } from "./runtime/measures.js";
import { runSession } from "./runtime/run-session.js";
import type { SessionLog } from "./runtime/session-parts.js";
import { runSupervisor } from "./runtime/supervisor.js";

/** What we need of Lambda's context. */
export interface LambdaContext {
  readonly awsRequestId: string;
  readonly functionVersion: string;
  getRemainingTimeInMillis(): number;
}

export type LambdaHandler = (event: unknown, context: LambdaContext) => Promise<unknown>;

/**
 * The handler of the function that runs a pipeline's tasks: one invocation is one session.
 *
 * @example export const handler = taskHandler(pipeline);
 */
export function taskHandler(pipeline: Pipeline<unknown, unknown>): LambdaHandler {
  const deployed = once(() => deploy(pipeline));
  return async (event, context) => {
    const deployment = deployed(context.functionVersion);
    if (isSupervisorCall(event)) return superviseHere(deployment, event, context);
    const execution = { requestId: context.awsRequestId, deadline: deadlineOf(deployment, context) };
    const outcome = await runSession(
      deployment,
      checkInvocation(event, "this function runs a task of a pipeline"),
      execution,
    );
    log({ event: "session", pipeline: deployment.plan.graph.name, outcome });
    return outcome;
  };
}

/**
 * The handler of the pipeline's supervisor: called on a schedule, by the tasks' failure destination, and by sessions that failed.
 *
 * @example export const handler = supervisorHandler(pipeline);
 */
export function supervisorHandler(pipeline: Pipeline<unknown, unknown>): LambdaHandler {
  const deployed = once(() => deploy(pipeline));
  return async (event, context) => {
    // P4: it stands for the version of the task function that was deployed with it, which may have another number than its own.
    const deployment = deployed(process.env.TIDEMARK_TASK_VERSION ?? context.functionVersion);
    const execution = { deadline: deadlineOf(deployment, context) };
    const supervise = async () =>
      runSupervisor(deployment, supervisorCall(deployment.plan.graph.name, event), execution);
    const head = await supervise().catch(refused);
    return { status: head?.status ?? null, generation: head?.generation ?? null, completed: head?.completed ?? null };
  };
}

/** As long as the function of its own would have. */
const superviseMillis = 60_000;

const isSupervisorCall = (event: unknown): boolean => typeof (event as Partial<SupervisorCall> | null)?.by === "string";

/** P4: code that a deployment was taken back to is not the supervisor's own. Told in the log alone: an error is the end of a session. */
async function superviseHere(deployment: Deployment, event: unknown, context: LambdaContext): Promise<unknown> {
  const { clock } = deployment.world;
  const deadline = millis(Math.min(deadlineOf(deployment, context), clock.now() + superviseMillis));
  try {
    const head = await runSupervisor(deployment, supervisorCall(deployment.plan.graph.name, event), { deadline });
    return { status: head?.status ?? null, generation: head?.generation ?? null };
  } catch (error) {
    const { kind, message } = asStreamError(error);
    log({ event: "refused", kind, message });
    return null;
  }
}

/** The error that Lambda passes on has no kind: the log has. */
function refused(error: unknown): never {
  const { kind, message } = asStreamError(error);
  log({ event: "refused", kind, message });
  throw error;
}

/** Clients are made at the first invocation and kept by a warm environment. */
function once(make: () => Omit<Deployment, "functionVersion">): (functionVersion: string) => Deployment {
  let made: Omit<Deployment, "functionVersion"> | null = null;
  return (functionVersion) => {
    made ??= make();
    return { ...made, functionVersion };
  };
}

function deploy(pipeline: { readonly plan: Plan }): Omit<Deployment, "functionVersion"> {
  if (!isPipeline(pipeline))
    throw new StreamError("invalid", "taskHandler and supervisorHandler take what pipeline() returned");
  const environment = readEnvironment(process.env);
  return {
    log: logOf({ environment: environment.table, pipeline: pipeline.plan.graph.name }),
    world: awsWorld(environment),
    plan: pipeline.plan,
    bindings: bindingsOf(environment.bindings),
    library: libraryVersion,
    memoryBytes: memoryBytesIn(process.env),
    release: releaseOf(process.env),
  };
}

/** P4: the supervisor's alone. Versions of a function are numbers that grow, as those of deployments do. */
function releaseOf(variables: Readonly<Record<string, string | undefined>>): number | null {
  const number = Number(variables.TIDEMARK_DEPLOYMENT ?? variables.TIDEMARK_TASK_VERSION);
  return Number.isSafeInteger(number) && number > 0 ? number : null;
}

/** Lambda says it in megabytes. */
function memoryBytesIn(variables: Readonly<Record<string, string | undefined>>): number | null {
  const megabytes = Number(variables.AWS_LAMBDA_FUNCTION_MEMORY_SIZE);
  return megabytes > 0 ? megabytes * 1024 * 1024 : null;
}

const deadlineOf = (deployment: Deployment, context: LambdaContext) =>
  millis(deployment.world.clock.now() + context.getRemainingTimeInMillis());

function checkInvocation(event: unknown, what: string): Invocation {
  const found = event as Partial<Invocation> | null;
  const good =
    typeof found === "object" &&
    found !== null &&
    typeof found.pipeline === "string" &&
    typeof found.incarnation === "string" &&
    typeof found.generation === "number" &&
    typeof found.task === "string" &&
    typeof found.leaseVersion === "number";
  if (good) return found as Invocation;
  throw new StreamError("invalid", `${what}; only tidemark invokes it, and this is no invocation of a task`);
}

/** A call of ours, a record of the failure destination, or anything else: the schedule. */
function supervisorCall(pipeline: string, event: unknown): SupervisorCall {
  const found = event as {
    readonly report?: FailureReport;
    readonly by?: unknown;
    readonly requestPayload?: unknown;
    readonly responsePayload?: unknown;
  } | null;
  const what = "this function supervises a pipeline, and is told of tasks that failed";
  const by = typeof found?.by === "string" ? { by: found.by } : {};
  if (found?.report !== undefined && found.report !== null) {
    const { kind, message, invocation } = found.report;
    const report = { invocation: checkInvocation(invocation, what), kind: String(kind), message: String(message) };
    return { pipeline, report, ...by };
  }
  if (found?.requestPayload === undefined) return { pipeline, report: null, ...by };
  return {
    pipeline,
    report: {
      invocation: checkInvocation(found.requestPayload, what),
      kind: "died",
      message: messageOf(found.responsePayload),
    },
  };
}

function messageOf(payload: unknown): string {
  const message = (payload as { readonly errorMessage?: unknown } | null)?.errorMessage;
  return typeof message === "string" ? keptMessage(message) : "the invocation failed";
}

/** Measures become metrics where `TIDEMARK_METRICS` names their namespace: in lines that hold nothing else, as `console.log` writes none there. */
function logOf(about: { readonly environment: string; readonly pipeline: string }): SessionLog {
  const namespace = process.env.TIDEMARK_METRICS ?? "";
  return (event) => {
    if (event.event !== "supervised") return log(event);
    if (namespace === "") return;
    const line = embeddedMetrics(event.measures as Measures, { ...about, namespace, at: Number(event.at) });
    process.stdout.write(`${JSON.stringify(line)}\n`);
  };
}

/** Logs are events with fields. */
function log(event: Readonly<Record<string, unknown>>): void {
  console.log(JSON.stringify(event));
}
