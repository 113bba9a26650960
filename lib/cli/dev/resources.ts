import { awsWorld } from "../../compose.js";
import { dynamoTables } from "../../connectors/dynamo-tables.js";
import { fileLog } from "../../connectors/file-log.js";
import { kinesisLog } from "../../connectors/kinesis-log.js";
import { logs } from "../../connectors/logs.js";
import { nodeFiles } from "../../connectors/node-files.js";
import { provisioner, registersKey } from "../../connectors/provision.js";
import { s3Blobs } from "../../connectors/s3-blobs.js";
import { StreamError } from "../../model/errors.js";
import type { Plan } from "../../pipeline/plan.js";
import type { SinkResources } from "../../pipeline/sink.js";
import { modeOf, resourcesIn, type SinkModes } from "../../pipeline/sink-modes.js";
import { isFile } from "../../pipeline/source.js";
import type { AttributeType } from "../../ports/tables.js";
import { checkTargets, lookResources } from "../../runtime/replay-check.js";
import type { Target } from "../environment.js";

/** Shards of a stream that `dev` makes, and one for each task that may read it. */
const shardsMade = 2;

/** On a local endpoint: makes the streams, tables and bucket that are missing, and returns their names. */
export async function makeMissing(target: Target, plan: Plan, modes: SinkModes = {}): Promise<readonly string[]> {
  const make = provisioner(target.clients);
  const made: string[] = [];
  const note = async (what: string, making: Promise<boolean>) => {
    if (await making) made.push(what);
  };
  await note(`bucket ${target.environment.bucket}`, make.bucket(target.environment.bucket));
  await note(`table ${target.environment.table}`, make.table(target.environment.table, registersKey));
  for (const source of plan.sources.values()) {
    if (isFile(source)) continue;
    const stream = target.bindings.stream(source.config.stream);
    await note(`stream ${stream}`, make.stream(stream, Math.max(shardsMade, plan.settings.parallelism)));
  }
  for (const { kind, name, key } of sinkTargets(target, plan, modes)) {
    if (kind === "stream")
      await note(`stream ${name}`, make.stream(name, Math.max(shardsMade, plan.settings.parallelism)));
    else if (kind === "bucket") await note(`bucket ${name}`, make.bucket(name));
    else await note(`table ${name}`, make.table(name, key));
  }
  return made;
}

/**
 * What is missing or unfit is told before the start, which would fence what runs.
 *
 * @throws StreamError `invalid` naming all streams, tables and the bucket that are absent, or a table with another key
 */
export async function checkPresent(target: Target, plan: Plan, modes: SinkModes = {}): Promise<void> {
  const absent = [
    ...(await absentStreams(target, plan)),
    ...(await absentRegisters(target)),
    ...(await absentBucket(target)),
    ...(await absentTables(target, plan, modes)),
  ];
  if (absent.length > 0) {
    const advice = target.local
      ? "leave out --no-create to have it made, or bind another in tidemark.config.ts"
      : "create it, or bind another in tidemark.config.ts";
    throw new StreamError(
      "invalid",
      `${absent.join(", and ")} in ${target.endpoint ?? "this account and region"}; ${advice}`,
    );
  }
  await checkTargets(plan, modes, resourcesOf(target));
}

async function absentStreams(target: Target, plan: Plan): Promise<readonly string[]> {
  const log = logs(kinesisLog(target.clients.kinesis), fileLog(nodeFiles()));
  const absent: string[] = [];
  for (const [name, source] of plan.sources) {
    const stream = target.bindings.stream(source.config.stream);
    if ((await log.describe(stream)).kind === "absent")
      absent.push(`source "${name}": there is no ${isFile(source) ? "" : "stream "}"${stream}"`);
  }
  return absent;
}

const describeRegisters = (key: readonly { readonly name: string; readonly type: AttributeType }[]) =>
  key.map(({ name, type }) => `${name}: ${type}`).join(", ");

/** @throws StreamError `invalid` where it has another key */
export async function absentRegisters(target: Target): Promise<readonly string[]> {
  const { table } = target.environment;
  const found = await dynamoTables(target.clients.dynamo).describe(table);
  if (found.kind === "absent") return [`there is no table "${table}" for checkpoints`];
  const wanted = describeRegisters(registersKey);
  if (describeRegisters(found.key) === wanted) return [];
  throw new StreamError(
    "invalid",
    `table "${table}" cannot hold checkpoints: its key is (${describeRegisters(found.key)}), not (${wanted}); name another in tidemark.config.ts`,
  );
}

/** An absent bucket is `invalid` for the adapter, as is one that may not be listed: its message says which. */
async function absentBucket(target: Target): Promise<readonly string[]> {
  const { bucket } = target.environment;
  try {
    for await (const _ of s3Blobs(target.clients.s3, { bucket }).list("~")) break;
    return [];
  } catch (error) {
    if (error instanceof StreamError && error.message.includes("does not exist")) {
      return [`there is no bucket "${bucket}" for checkpoints`];
    }
    throw error;
  }
}

export const resourcesOf = (target: Target): SinkResources =>
  lookResources(awsWorld(target.environment, target.clients), target.bindings);

async function absentTables(target: Target, plan: Plan, modes: SinkModes): Promise<readonly string[]> {
  const tables = dynamoTables(target.clients.dynamo);
  const absent: string[] = [];
  for (const { kind, sink, name } of sinkTargets(target, plan, modes)) {
    if (kind === "table" && (await tables.describe(name)).kind === "absent")
      absent.push(`sink "${sink}": there is no table "${name}"`);
  }
  return absent;
}

/** What a sink writes to that a service makes. */
export interface SinkTarget {
  readonly sink: string;
  readonly kind: "table" | "stream" | "bucket";
  /** The physical one. */
  readonly name: string;
  /** Of a table. */
  readonly key: readonly { readonly name: string; readonly type: AttributeType }[];
}

/** In the order of streams, buckets, tables. W2: of a dry run none, of a redirect the other ones. */
export function sinkTargets(target: Target, plan: Plan, modes: SinkModes): readonly SinkTarget[] {
  const found = [...plan.sinks].flatMap(([sink, { kind, config }]): readonly SinkTarget[] => {
    const mode = modeOf(modes, sink);
    const of = targetKinds.get(kind);
    if (of === undefined || mode.kind === "dry-run") return [];
    const { key = [], ...names } = config as unknown as Partial<SinkTarget> & Readonly<Record<string, string>>;
    const { bind } = resourcesIn(mode, resourcesOf(target));
    return [{ sink, kind: of, name: bind(of, names[of] ?? ""), key }];
  });
  return (["stream", "bucket", "table"] as const).flatMap((kind) => found.filter((one) => one.kind === kind));
}

/** By the kinds of sinks; each has the logical name in its config, under that word. */
const targetKinds: ReadonlyMap<string, SinkTarget["kind"]> = new Map([
  ["dynamo-table", "table"],
  ["dynamo-counters", "table"],
  ["kinesis-stream", "stream"],
  ["s3-files", "bucket"],
]);
