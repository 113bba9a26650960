import { embeddedMetrics, type MetricPlace, type Metrics } from "./metrics.js";
import type { SessionLog } from "./session-parts.js";

type Event = Parameters<SessionLog>[0];

/** What is the same in all lines of an invocation. */
export interface LogContext {
  /** Metrics are told where it is not "". */
  readonly namespace: string;
  /** The table of checkpoints. */
  readonly environment: string;
  readonly pipeline: string;
  /** By the names that Powertools for AWS Lambda gives them. */
  readonly fields: Readonly<Record<string, unknown>>;
}

/** The variables that Lambda sets, as fields of a line. */
export function lambdaFields(
  variables: Readonly<Record<string, string | undefined>>,
  invocation: { readonly requestId: string; readonly isCold: boolean },
): Readonly<Record<string, unknown>> {
  const fields = {
    cold_start: invocation.isCold,
    function_name: variables.AWS_LAMBDA_FUNCTION_NAME,
    function_version: variables.AWS_LAMBDA_FUNCTION_VERSION,
    function_memory_size: variables.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    function_request_id: invocation.requestId,
    xray_trace_id: /Root=([^;]+)/.exec(variables._X_AMZN_TRACE_ID ?? "")?.[1],
  };
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

const levels: Readonly<Record<string, "WARN" | "ERROR">> = {
  refused: "ERROR",
  quarantined: "WARN",
  "not collected": "WARN",
};

/** Events whose figures are all that they say: without metrics there is no line of them. */
const figuresOnly: ReadonlySet<string> = new Set(["supervised", "checkpoint", "usage"]);

/**
 * An event as an object of the log: its own members first, then those that Powertools' logger would write (level, message, timestamp,
 * service, …), then its metrics. null: nothing is to be logged.
 *
 * @param now milliseconds since the epoch
 */
export function lineOf({ at = null, metrics, ...event }: Event, context: LogContext, now: number) {
  const { namespace, environment, pipeline, fields } = context;
  if (namespace === "" && figuresOnly.has(event.event)) return null;
  const place: MetricPlace = { namespace, environment, pipeline, at: typeof at === "number" ? at : now };
  const told = metricsOf(event, metrics as Metrics | undefined);
  return {
    ...event,
    level: levelOf(event),
    message: event.message ?? event.event,
    timestamp: new Date(place.at).toISOString(),
    service: pipeline,
    ...fields,
    ...(namespace === "" || told === null ? {} : embeddedMetrics(told, place)),
  };
}

function metricsOf({ event, records }: Event, metrics: Metrics | undefined): Metrics | null {
  if (event === "quarantined") return { numRecordsInErrors: Number(records) };
  return metrics ?? null;
}

function levelOf({ event, outcome }: Event): "INFO" | "WARN" | "ERROR" {
  const isFailed = (outcome as { readonly kind?: unknown } | undefined)?.kind === "failed";
  return isFailed ? "ERROR" : (levels[event] ?? "INFO");
}
