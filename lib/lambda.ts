/** Handlers for the functions of a pipeline. */
import { awsWorld, bindingsOf, readEnvironment } from "./compose.js";
import { awsClients } from "./connectors/clients.js";
import { meterClients } from "./connectors/meter.js";
import { asStreamError, keptMessage, StreamError } from "./model/errors.js";
import type { FailureReport, Invocation, SupervisorCall } from "./model/head.js";
import { millis } from "./model/ids.js";
import { libraryVersion } from "./model/library.js";
import { isPipeline, type Pipeline } from "./pipeline/pipeline.js";
import type { Plan } from "./pipeline/plan.js";
import type { Clock } from "./ports/clock.js";
import type { Deployment } from "./runtime/deployment.js";
import { type LogContext, lambdaFields, lineOf } from "./runtime/log-lines.js";
import { answerReplay, isReplayCall } from "./runtime/replay-check.js";
import { runSession } from "./runtime/run-session.js";
import type { SessionLog } from "./runtime/session-parts.js";
import { runSupervisor } from "./runtime/supervisor.js";
import { Usage } from "./runtime/usage.js";

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
  return invoked(pipeline, async (begun, event, context) => {
    const deployment = { ...begun, functionVersion: context.functionVersion };
    if (isReplayCall(event)) return answerReplay(deployment, event);
    if (isSupervisorCall(event)) return superviseHere(deployment, event, context);
    const execution = { requestId: context.awsRequestId, deadline: deadlineOf(deployment, context) };
    const invocation = checkInvocation(event, "this function runs a task of a pipeline");
    const outcome = await runSession(deployment, invocation, execution);
    deployment.log({ event: "session", pipeline: deployment.plan.graph.name, task: invocation.task, outcome });
    return outcome;
  });
}

/**
 * The handler of the pipeline's supervisor: called on a schedule, by the tasks' failure destination, and by sessions that failed.
 *
 * @example export const handler = supervisorHandler(pipeline);
 */
export function supervisorHandler(pipeline: Pipeline<unknown, unknown>): LambdaHandler {
  return invoked(pipeline, async (begun, event, context) => {
    // P4: it stands for the version of the task function that was deployed with it, which may have another number than its own.
    const functionVersion = process.env.TIDEMARK_TASK_VERSION ?? context.functionVersion;
    const deployment = { ...begun, functionVersion };
    const execution = { deadline: deadlineOf(deployment, context) };
    const supervise = async () =>
      runSupervisor(deployment, supervisorCall(deployment.plan.graph.name, event), execution);
    const head = await supervise().catch((error) => refused(deployment, error));
    return { status: head?.status ?? null, generation: head?.generation ?? null, completed: head?.completed ?? null };
  });
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
    deployment.log({ event: "refused", kind, message });
    return null;
  }
}

/** The error that Lambda passes on has no kind: the log has. */
function refused(deployment: Deployment, error: unknown): never {
  const { kind, message } = asStreamError(error);
  deployment.log({ event: "refused", kind, message });
  throw error;
}

type Begun = Omit<Deployment, "functionVersion">;

/** Clients are made at the first invocation and kept by a warm environment. What an invocation used is told at each ack, and when it ends. */
function invoked(
  pipeline: { readonly plan: Plan },
  act: (begun: Begun, event: unknown, context: LambdaContext) => Promise<unknown>,
): LambdaHandler {
  let made: Made | null = null;
  return async (event, context) => {
    const isCold = made === null;
    made ??= make(pipeline);
    const { deployment, metered, about } = made;
    const usage = metered === null ? null : new Usage(metered);
    const fields = lambdaFields(process.env, { requestId: context.awsRequestId, isCold });
    const log = logOf({ ...about, fields }, deployment.world.clock);
    const tellUsage = (task?: unknown) => {
      if (usage !== null) log({ event: "usage", ...(task === undefined ? {} : { task }), ...usage.take() });
    };
    const told: SessionLog = (one) => (one.event === "acked" ? tellUsage(one.task) : log(one));
    try {
      return await act({ ...deployment, log: told }, event, context);
    } finally {
      tellUsage();
    }
  };
}

/** What a warm environment keeps. */
interface Made {
  readonly deployment: Omit<Begun, "log">;
  readonly about: Omit<LogContext, "fields">;
  /** null where no metrics are told. */
  readonly metered: ConstructorParameters<typeof Usage>[0] | null;
}

function make(pipeline: { readonly plan: Plan }): Made {
  if (!isPipeline(pipeline))
    throw new StreamError("invalid", "taskHandler and supervisorHandler take what pipeline() returned");
  const environment = readEnvironment(process.env);
  const clients = awsClients();
  const world = awsWorld(environment, clients);
  const memoryBytes = memoryBytesIn(process.env);
  const { clock } = world;
  const namespace = process.env.TIDEMARK_METRICS ?? "";
  return {
    about: { namespace, environment: environment.table, pipeline: pipeline.plan.graph.name },
    deployment: {
      world,
      plan: pipeline.plan,
      bindings: bindingsOf(environment.bindings),
      library: libraryVersion,
      memoryBytes,
      release: releaseOf(process.env),
    },
    metered:
      namespace === "" ? null : { clock, counted: meterClients(clients), memoryBytes, architecture: process.arch },
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

/**
 * Events are lines of JSON, metrics where `TIDEMARK_METRICS` names their namespace. Written as they are: `console.log` puts time and
 * request before a line, which is no JSON then.
 */
const logOf =
  (context: LogContext, clock: Clock): SessionLog =>
  (event) => {
    const line = lineOf(event, context, clock.now());
    if (line !== null) process.stdout.write(`${JSON.stringify(line)}\n`);
  };
