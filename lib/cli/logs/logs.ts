import { awsClients } from "../../connectors/clients.js";
import { type LogEvent, type LogGroups, openLogGroups } from "../../connectors/cloudwatch-logs.js";
import { type DeployedFunction, describeFunction, taskFunctionOf } from "../../connectors/deployed-functions.js";
import { StreamError } from "../../model/errors.js";
import { millis } from "../../model/ids.js";
import { readConfig } from "../config.js";
import { checkAnswers, isLocal } from "../endpoint.js";
import { defaultVariables, functionNames } from "../environment.js";
import { interruptSignal, pause } from "../interrupt.js";
import { loadPipeline } from "../load-pipeline.js";
import { Follower } from "./follow.js";
import { type LogLine, lineText, parseLine, TaskNames } from "./lines.js";

export interface LogFlags {
  readonly task?: string;
  readonly since: number;
  readonly follow: boolean;
  readonly aws: boolean;
  readonly json: boolean;
}

const lookMillis = 2_000;

/** @throws StreamError `invalid`: the pipeline runs on this machine; there are no such functions; the client's package is not installed */
export async function readLogs(file: string, flags: LogFlags): Promise<void> {
  const { plan, root } = await loadPipeline(file);
  const endpoint = process.env.AWS_ENDPOINT_URL || null;
  const supervisor = process.env.TIDEMARK_SUPERVISOR_FUNCTION;
  const isHere = !flags.aws && supervisor === undefined && (endpoint === null || isLocal(endpoint));
  if (isHere) throw onlyDeployed(plan.graph.name);
  if (endpoint !== null) await checkAnswers(endpoint);
  Object.assign(process.env, defaultVariables({ endpoint, local: false }, await readConfig(root), process.env));
  const interrupt = interruptSignal(null);
  const logGroups = await openLogGroups();
  try {
    const groups = await groupsOf(supervisor ?? functionNames(plan.graph.name).supervisor);
    const since = millis(Date.now() - flags.since);
    await tell(logGroups, {
      groups: groups.map((group) => ({ ...group, follower: new Follower(since) })),
      flags,
      interrupt,
    });
  } finally {
    logGroups.close();
  }
}

const onlyDeployed = (pipeline: string) =>
  new StreamError(
    "invalid",
    `"${pipeline}" is looked for on this machine, where its functions log into the output of "tidemark dev" (with --json as events "log"). Of a deployed one: give --aws, and set TIDEMARK_SUPERVISOR_FUNCTION to the stack's output`,
  );

interface Group {
  readonly name: string;
  readonly of: LogLine["function"];
}

/** A function wrote into the group of its own name before it had another. */
async function groupsOf(supervisorName: string): Promise<readonly Group[]> {
  const { lambda, destroy } = awsClients();
  try {
    const supervisor = await describeFunction(lambda, supervisorName);
    const taskName = taskFunctionOf(supervisor);
    return [...groupsIn(await describeFunction(lambda, taskName), "task"), ...groupsIn(supervisor, "supervisor")];
  } finally {
    destroy();
  }
}

const groupsIn = ({ name, logGroup }: DeployedFunction, of: LogLine["function"]): readonly Group[] =>
  [...new Set([logGroup, `/aws/lambda/${name}`])].map((group) => ({ name: group, of }));

interface Telling {
  readonly groups: readonly (Group & { readonly follower: Follower })[];
  readonly flags: LogFlags;
  readonly interrupt: AbortSignal;
}

async function tell(logGroups: LogGroups, { groups, flags, interrupt }: Telling): Promise<void> {
  const names = new TaskNames();
  for (;;) {
    const found: LogLine[] = [];
    for (const { name, of, follower } of groups) {
      const events = await all(logGroups.events(name, follower.from));
      found.push(...follower.fresh(events).map((event) => parseLine(event, of)));
    }
    const lines = names.name(found).filter(({ task }) => flags.task === undefined || task === flags.task);
    for (const line of [...lines].sort(byTime))
      process.stdout.write(flags.json ? `${JSON.stringify(line)}\n` : lineText(line));
    if (!flags.follow) return;
    await pause(lookMillis, interrupt);
    if (interrupt.aborted) return;
  }
}

/** Stable: lines of one time stay as they came. */
const byTime = (a: LogLine, b: LogLine): number => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0);

async function all(events: AsyncIterable<LogEvent>): Promise<readonly LogEvent[]> {
  const found: LogEvent[] = [];
  for await (const event of events) found.push(event);
  return found;
}
