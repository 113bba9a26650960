import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { StreamError } from "../model/errors.js";
import { type Millis, millis } from "../model/ids.js";
import { awsError } from "./aws-errors.js";

/** An event of a log group. */
export interface LogEvent {
  readonly id: string;
  readonly at: Millis;
  readonly message: string;
}

/** Log groups of CloudWatch. */
export interface LogGroups {
  /** Events from a time on, oldest first. A group that is not there has none. @throws StreamError `invalid`, `transient` */
  events(group: string, from: Millis): AsyncIterable<LogEvent>;
  close(): void;
}

/** What of the package is used: it may not be installed, and so its types may not be there. */
interface LogsPackage {
  readonly CloudWatchLogsClient: new (config: { readonly maxAttempts: number }) => LogsClient;
  readonly FilterLogEventsCommand: new (input: FilterInput) => object;
}

interface LogsClient {
  send(command: object): Promise<FilterOutput>;
  destroy(): void;
}

interface FilterInput {
  readonly logGroupName: string;
  readonly startTime: number;
  readonly nextToken?: string;
}

interface FilterOutput {
  readonly events?: readonly {
    readonly eventId?: string;
    readonly timestamp?: number;
    readonly message?: string;
  }[];
  readonly nextToken?: string;
}

const packageName = "@aws-sdk/client-cloudwatch-logs";
const attemptsMax = 4;

/**
 * CloudWatch Logs, by the client of the SDK that users install for it: pipelines do not need it.
 * https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html
 *
 * @throws StreamError `invalid`: the package is not installed
 * @example for await (const { message } of (await openLogGroups()).events("/aws/lambda/flights-task", since)) console.log(message);
 */
export async function openLogGroups(): Promise<LogGroups> {
  const { CloudWatchLogsClient, FilterLogEventsCommand } = await importPackage();
  const client = new CloudWatchLogsClient({ maxAttempts: attemptsMax });
  async function* events(group: string, from: Millis) {
    let nextToken: string | undefined;
    do {
      const more = nextToken === undefined ? {} : { nextToken };
      const page: FilterOutput | null = await client
        .send(new FilterLogEventsCommand({ logGroupName: group, startTime: from, ...more }))
        .catch((error: unknown) => absentOr(error, group));
      for (const { eventId = "", timestamp = 0, message = "" } of page?.events ?? [])
        yield { id: eventId, at: millis(timestamp), message };
      nextToken = page?.nextToken;
    } while (nextToken !== undefined);
  }
  return { events, close: () => client.destroy() };
}

function absentOr(error: unknown, group: string): null {
  if (error instanceof Error && error.name === "ResourceNotFoundException") return null;
  const target = { name: `log group "${group}"`, actions: "logs:FilterLogEvents on it", whenAbsent: "" };
  throw awsError(error, { intent: "read", target, doing: "read" });
}

/** Beside the library first, where a package manager puts optional peers; then in the project that runs it (linked checkouts). */
async function importPackage(): Promise<LogsPackage> {
  for (const from of [import.meta.url, pathToFileURL(join(process.cwd(), "package.json"))]) {
    try {
      const path = createRequire(from).resolve(packageName);
      return (await import(pathToFileURL(path).href)) as LogsPackage;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "MODULE_NOT_FOUND") throw error;
    }
  }
  throw new StreamError(
    "invalid",
    `reading logs needs the npm package ${packageName}, which is not installed: run \`npm i -D ${packageName}\`. Without it: aws logs tail GROUP --follow`,
  );
}
