import { dynamoTables } from "../../connectors/dynamo-tables.js";
import { kinesisStreams } from "../../connectors/kinesis-streams.js";
import { isStreamReady, provisioner } from "../../connectors/provision.js";
import { asStreamError, StreamError } from "../../model/errors.js";
import type { Plan } from "../../pipeline/plan.js";
import type { SinkModes } from "../../pipeline/sink-modes.js";
import { checkPresent, makeMissing, type SinkTarget, sinkTargets } from "../dev/resources.js";
import type { Target } from "../environment.js";
import { pause } from "../interrupt.js";

/** Whoever is to write looks at the targets in these modes. @throws StreamError `invalid`: what is wrong with them */
export type LookAtTargets = (modes: SinkModes) => Promise<void>;

/**
 * W2: the targets that a redirect names are there, or are made: on this machine all that are missing, elsewhere tables and streams, like
 * those that they stand beside. Buckets and databases stay: what a redirect names in them is a prefix, and a table of the user's making.
 *
 * @param look null: this machine writes
 * @returns what was made, or with `dryRun` would be
 * @throws StreamError `invalid`: something is missing, and what to make
 */
export async function haveTargets(
  target: Target,
  plan: Plan,
  modes: SinkModes,
  options: { readonly create: boolean; readonly dryRun: boolean; readonly look?: LookAtTargets | null },
): Promise<readonly string[]> {
  const look = options.look ?? ((looked: SinkModes) => checkPresent(target, plan, looked));
  const absent = await absentTargets(target, plan, modes);
  if (!target.local && !options.create && absent.length > 0) throw missing(absent);
  if (options.dryRun) {
    // What would be made cannot be looked at.
    if (!target.local && absent.length === 0) await look(modes);
    return absent.map(({ kind, name }) => `${kind} ${name}`);
  }
  const made = target.local ? await makeMissing(target, plan, modes) : await makeAll(target, absent);
  await look(modes);
  return made;
}

/** What a redirect stands beside. */
interface AbsentTarget extends SinkTarget {
  readonly beside: string;
}

async function absentTargets(target: Target, plan: Plan, modes: SinkModes): Promise<readonly AbsentTarget[]> {
  const own = new Map(sinkTargets(target, plan, {}).map(({ sink, name }) => [sink, name]));
  const tables = dynamoTables(target.clients.dynamo);
  const streams = kinesisStreams(target.clients.kinesis);
  const absent: AbsentTarget[] = [];
  for (const one of sinkTargets(target, plan, modes)) {
    if (modes[one.sink]?.kind !== "redirect" || one.kind === "bucket") continue;
    const { kind } = await (one.kind === "table" ? tables : streams).describe(one.name);
    if (kind === "absent") absent.push({ ...one, beside: own.get(one.sink) ?? one.name });
  }
  return absent;
}

function missing(absent: readonly AbsentTarget[]): StreamError {
  const lines = absent.map(({ sink, kind, name, key, beside }) =>
    kind === "table"
      ? `sink "${sink}": there is no table "${name}"; make it with the key ${key.map((part) => `${part.name} (${part.type})`).join(", ")}`
      : `sink "${sink}": there is no stream "${name}"; make it with as many shards as "${beside}" has`,
  );
  return new StreamError(
    "invalid",
    `${lines.join("\n")}\nor give --create, which makes tables on demand, and streams like those that they stand beside`,
  );
}

async function makeAll(target: Target, absent: readonly AbsentTarget[]): Promise<readonly string[]> {
  const make = provisioner(target.clients);
  for (const { kind, name, key, beside } of absent)
    await (kind === "table" ? make.table(name, key) : make.streamLike(name, beside));
  for (const one of absent) await untilThere(target, one);
  return absent.map(({ kind, name }) => `${kind} ${name}`);
}

const makingMillisMax = 120_000;
const lookMillis = 1_000;

/** What is still being made is described, and refuses reads and writes as if it were absent. */
async function untilThere(target: Target, one: SinkTarget): Promise<void> {
  for (const end = performance.now() + makingMillisMax; ; await pause(lookMillis, null)) {
    const failure = await (one.kind === "table" ? readSome(target, one) : awaitWritable(target, one)).catch(
      (error: unknown) => asStreamError(error),
    );
    if (failure === null) return;
    if (performance.now() > end) throw failure;
  }
}

const anyKey = { string: "~", number: 0, bytes: Buffer.from("~") } as const;

async function readSome(target: Target, { name, key }: SinkTarget): Promise<null> {
  const some = Object.fromEntries(key.map((part) => [part.name, anyKey[part.type]]));
  await dynamoTables(target.clients.dynamo).read(name, some);
  return null;
}

const awaitWritable = async (target: Target, { name }: SinkTarget): Promise<StreamError | null> =>
  (await isStreamReady(target.clients.kinesis, name))
    ? null
    : new StreamError("transient", `stream "${name}" is still being made; ask again in a minute`);
