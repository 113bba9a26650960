import type { LogEvent } from "../../connectors/cloudwatch-logs.js";

/** A line of a function's log. */
export interface LogLine {
  /** ISO 8601. */
  readonly at: string;
  readonly function: "task" | "supervisor";
  /** Such as "0.0"; null of the supervisor, and where nothing says which. */
  readonly task: string | null;
  /** Of the invocation, that is of the session; null where the line does not say. */
  readonly requestId: string | null;
  readonly level: string;
  readonly message: string;
  /** All members of a line that is an object of JSON; else null. */
  readonly fields: Readonly<Record<string, unknown>> | null;
}

/** What Lambda's runtime writes before a text: time, request, level. */
const prefixed = /^\S+Z\t([0-9a-f-]{36})\t([A-Z]+)\t([\s\S]*)$/;
/** What Lambda itself writes, at the beginning and at the end of an invocation. */
const platform = /^(?:START|END|REPORT) RequestId: ([0-9a-f-]{36})/;

/** A line of a log, taken apart: ours are JSON, those of `console` have a prefix, Lambda's own name the request. */
export function parseLine(event: Pick<LogEvent, "at" | "message">, of: LogLine["function"]): LogLine {
  const text = event.message.trimEnd();
  const at = new Date(event.at).toISOString();
  const fields = objectIn(text);
  if (fields !== null)
    return {
      at,
      function: of,
      task: textIn(fields.task),
      requestId: textIn(fields.function_request_id) ?? textIn(fields.requestId),
      level: textIn(fields.level) ?? "INFO",
      message: textIn(fields.message) ?? textIn(fields.event) ?? text,
      fields,
    };
  const [, request = null, level = "INFO", said = text] = prefixed.exec(text) ?? [];
  const requestId = request ?? platform.exec(text)?.[1] ?? null;
  return { at, function: of, task: null, requestId, level, message: said, fields: null };
}

const textIn = (value: unknown): string | null => (typeof value === "string" && value !== "" ? value : null);

function objectIn(text: string): Readonly<Record<string, unknown>> | null {
  if (!text.startsWith("{")) return null;
  try {
    const found: unknown = JSON.parse(text);
    return typeof found === "object" && found !== null ? (found as Readonly<Record<string, unknown>>) : null;
  } catch {
    return null;
  }
}

/**
 * Which task a line is of: an invocation is a session of one task, so that one line of it that says so tells of all others.
 * It remembers what it was given, across calls.
 */
export class TaskNames {
  readonly #byRequest = new Map<string, string>();

  /** The lines, with their tasks where these are known by now. */
  name(lines: readonly LogLine[]): readonly LogLine[] {
    for (const { requestId, task } of lines)
      if (requestId !== null && task !== null) this.#byRequest.set(requestId, task);
    return lines.map((line) => ({ ...line, task: line.task ?? this.#byRequest.get(line.requestId ?? "") ?? null }));
  }
}

/** What a person is not told: they are in all lines, or the metrics'. */
const unsaid: ReadonlySet<string> = new Set(["level", "message", "timestamp", "service", "task", "event", "_aws"]);

/** For people: time, function, level, message; then those members of ours that say more. */
export function lineText({ at, function: of, task, level, message, fields }: LogLine): string {
  const who = (task === null ? of : `${of} ${task}`).padEnd(10);
  const metrics = new Set(metricNames(fields));
  const more = Object.entries(fields ?? {})
    .filter(([name]) => !unsaid.has(name) && !metrics.has(name) && !/^(function_|cold_start|xray_)/.test(name))
    .map(([name, value]) => ` ${name}=${typeof value === "string" ? value : JSON.stringify(value)}`);
  return `${at.replace("T", " ").slice(0, 23)}  ${who}  ${level.padEnd(5)}  ${message}${more.join("")}\n`;
}

/** In the embedded metric format the members that are metrics or dimensions are listed. */
function metricNames(fields: LogLine["fields"]): readonly string[] {
  const { CloudWatchMetrics = [] } = (fields?._aws ?? {}) as {
    readonly CloudWatchMetrics?: readonly MetricDirective[];
  };
  return CloudWatchMetrics.flatMap(({ Metrics = [], Dimensions = [] }) => [
    ...Metrics.map(({ Name }) => Name),
    ...Dimensions.flat(),
  ]);
}

interface MetricDirective {
  readonly Metrics?: readonly { readonly Name: string }[];
  readonly Dimensions?: readonly (readonly string[])[];
}
