import { Readable } from "node:stream";
import { refusal } from "./answers.js";
import type { Answer, Fields } from "./emulators.js";
import {
  type Entry,
  entriesIn,
  type KinesisParts,
  type Range,
  type RecordsDb,
  type Shard,
  type Stream,
  streamNamed,
} from "./kinesis-store.js";
import type { ShardLimits } from "./shard-limits.js";

/** GetRecords answers with at most so many bytes of data and keys (10 MiB), and at least one record. */
const bytesPerRead = 10 * 1024 * 1024;
const recordsPerRead = 10_000;

/** What one GetRecords saw, beside what kinesalite answers. */
interface Look {
  kind: "none" | "read" | "throttled";
  more: boolean;
  shard: string;
  stream: string;
}

/**
 * GetRecords with what kinesalite lacks: the 10 MiB limit, MillisBehindLatest while behind, ChildShards at a shard's end, throttling.
 *
 * @see https://docs.aws.amazon.com/kinesis/latest/APIReference/API_GetRecords.html
 */
export async function getRecords(
  parts: KinesisParts,
  input: Fields,
  limits: ShardLimits,
  nowMs: number,
): Promise<Answer> {
  const { emulator, store } = parts;
  const checked = emulator.check("GetRecords", input, store);
  const look: Look = { kind: "none", more: false, shard: "", stream: "" };
  const count = Number(checked.Limit ?? recordsPerRead);
  const looking = {
    ...store,
    getStreamDb: (name: string) => bounded(store.getStreamDb(name), { name, count, look, limits, nowMs }),
  };
  const answer = await emulator.perform("GetRecords", checked, looking);
  if (look.kind === "throttled") return throttled(look);
  if (answer.status !== 200 || answer.body === undefined) return answer;
  return { status: 200, body: await completed(parts, answer.body, look, nowMs) };
}

const throttled = (look: Look): Answer =>
  refusal("ProvisionedThroughputExceededException", `Rate exceeded for shard ${look.shard} in stream ${look.stream}.`);

interface Bounds {
  readonly name: string;
  readonly count: number;
  readonly look: Look;
  readonly limits: ShardLimits;
  readonly nowMs: number;
}

// kinesalite reads a shard through this view of its database, which ends after the records that one answer may hold.
function bounded(db: RecordsDb, bounds: Bounds): RecordsDb {
  return {
    iterator: db.iterator.bind(db),
    batch: db.batch.bind(db),
    createReadStream: (range) => Readable.from(entriesWithin(db, range, bounds)),
  };
}

async function* entriesWithin(db: RecordsDb, range: Range, bounds: Bounds): AsyncGenerator<Entry> {
  const { look, limits, count, name, nowMs } = bounds;
  look.stream = name;
  look.shard = shardIdAt(Number.parseInt(range.lt, 16) - 1);
  const shard = `${name}/${look.shard}`;
  look.kind = limits.mayRead(shard, nowMs) ? "read" : "throttled";
  if (look.kind === "throttled") return;
  let bytes = 0;
  const entries = await entriesIn(db, { ...range, limit: count + 1 }, (entry) => {
    bytes += sizeOf(entry);
    return bytes > bytesPerRead;
  });
  const over = entries.length > 1 && (entries.length > count || bytes > bytesPerRead);
  look.more = over;
  const within = over ? entries.slice(0, -1) : entries;
  limits.hasRead(shard, { bytes: Math.min(bytes, bytesPerRead), nowMs });
  yield* within;
}

const shardIdAt = (shardIx: number): string => `shardId-${String(shardIx).padStart(12, "0")}`;
const sizeOf = (entry: Entry): number =>
  Math.floor((entry.value.Data.length * 3) / 4) + Buffer.byteLength(entry.value.PartitionKey);

async function completed(parts: KinesisParts, body: Fields, look: Look, nowMs: number): Promise<Fields> {
  const last = (body.Records as { ApproximateArrivalTimestamp: number }[]).at(-1);
  if (look.more) {
    const behindMs = last === undefined ? 1 : nowMs - Math.floor(last.ApproximateArrivalTimestamp * 1_000);
    return { ...body, MillisBehindLatest: Math.max(1, behindMs) };
  }
  if (body.NextShardIterator !== undefined) return body;
  const stream = await streamNamed(parts.store, look.stream);
  return { ...body, ChildShards: (stream?.Shards ?? []).filter((shard) => isChild(shard, look.shard)).map(childShard) };
}

const isChild = (shard: Shard, parent: string): boolean =>
  shard.ParentShardId === parent || shard.AdjacentParentShardId === parent;

const childShard = (shard: Shard): Fields => ({
  ShardId: shard.ShardId,
  ParentShards: [shard.ParentShardId, shard.AdjacentParentShardId].filter((parent) => parent !== undefined),
  HashKeyRange: shard.HashKeyRange,
});

/**
 * GetShardIterator. AT_TIMESTAMP is ours: kinesalite reads the whole shard for it, and never answers when nothing is late enough.
 *
 * @see https://docs.aws.amazon.com/kinesis/latest/APIReference/API_GetShardIterator.html
 */
export async function getShardIterator(parts: KinesisParts, input: Fields, nowMs: number): Promise<Answer> {
  const { emulator, store } = parts;
  const checked = emulator.check("GetShardIterator", input, store);
  const { ShardIteratorType: kind, Timestamp: at, StreamName: name } = checked;
  const ours = kind === "AT_TIMESTAMP" && typeof at === "number" && at * 1_000 <= nowMs;
  if (!ours) return emulator.perform("GetShardIterator", checked, store);
  const iterator = await iteratorAt(parts, checked, at);
  if (iterator !== undefined) return { status: 200, body: { ShardIterator: iterator } };
  return emulator.perform(
    "GetShardIterator",
    { StreamName: name, ShardId: checked.ShardId, ShardIteratorType: "LATEST" },
    store,
  );
}

async function iteratorAt(parts: KinesisParts, input: Fields, atSeconds: number): Promise<string | undefined> {
  const { database } = parts.emulator;
  const stream = await streamNamed(parts.store, String(input.StreamName));
  const shardIx = shardIndex(parts, String(input.ShardId));
  const shard = shardIx === undefined ? undefined : stream?.Shards[shardIx];
  // Without them kinesalite words the refusal.
  if (stream === undefined || shardIx === undefined || shard === undefined) return undefined;
  const sequence = await firstSince({ parts, stream, shard, shardIx, atSeconds });
  return database.createShardIterator(stream.StreamName, shard.ShardId, sequence);
}

function shardIndex(parts: KinesisParts, shardId: string): number | undefined {
  try {
    return parts.emulator.database.resolveShardId(shardId).shardIx;
  } catch {
    return undefined;
  }
}

interface Search {
  readonly parts: KinesisParts;
  readonly stream: Stream;
  readonly shard: Shard;
  readonly shardIx: number;
  readonly atSeconds: number;
}

// The sequence number of the first record that arrived at the time or later; if there is none, the lowest number after all earlier
// records, for a record that is just being put has its number already and must not be passed over.
// Records are in order of an index within their sequence number, and of arrival: so a search by halves.
async function firstSince(search: Search): Promise<string> {
  const { parts, stream, shard, shardIx, atSeconds } = search;
  const { database } = parts.emulator;
  const { shardCreateTime } = database.parseSequence(shard.SequenceNumberRange.StartingSequenceNumber);
  const db = parts.store.getStreamDb(stream.StreamName);
  const sequenceAt = (seqIx: number) => database.stringifySequence({ shardCreateTime, shardIx, seqIx });
  const prefix = `${database.shardIxToHex(shardIx)}/`;
  const lt = database.shardIxToHex(shardIx + 1);
  let low = 0;
  let high = stream._seqIx[Math.floor(shardIx / 5)] ?? 0;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const [entry] = await entriesIn(db, { gte: prefix + sequenceAt(middle), lt, limit: 1 }, () => true);
    if (entry !== undefined && entry.value.ApproximateArrivalTimestamp < atSeconds) low = middle + 1;
    else high = middle;
  }
  const [first] = await entriesIn(db, { gte: prefix + sequenceAt(low), lt, limit: 1 }, () => true);
  return first === undefined ? sequenceAt(low) : first.key.slice(prefix.length);
}
