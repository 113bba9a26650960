import { setTimeout as delay } from "node:timers/promises";
import { type Done, type Emulator, type Fields, loadEmulator } from "./emulators.js";
import { openStore } from "./storage.js";

/** One shard as kinesalite keeps it. */
export interface Shard {
  readonly ShardId: string;
  readonly ParentShardId?: string;
  readonly AdjacentParentShardId?: string;
  readonly HashKeyRange: { readonly StartingHashKey: string; readonly EndingHashKey: string };
  readonly SequenceNumberRange: { readonly StartingSequenceNumber: string; readonly EndingSequenceNumber?: string };
}

/** One stream as kinesalite keeps it; `_seqIx` holds, for every five shards, the index that the next record gets. */
export interface Stream {
  readonly StreamName: string;
  readonly StreamStatus: "CREATING" | "ACTIVE" | "UPDATING" | "DELETING";
  readonly StreamCreationTimestamp: number;
  readonly RetentionPeriodHours: number;
  readonly Shards: readonly Shard[];
  readonly _seqIx: readonly (number | null)[];
}

export interface RecordValue {
  readonly PartitionKey: string;
  readonly Data: string;
  /** Seconds since 1970. */
  readonly ApproximateArrivalTimestamp: number;
}
export interface Entry {
  readonly key: string;
  readonly value: RecordValue;
}
export interface Range {
  readonly gte: string;
  readonly lt: string;
  readonly limit?: number;
}

interface Iterator {
  next(done: (error: Error | null, key: string, value: RecordValue) => void): void;
  end(done: Done): void;
}
export interface RecordsDb {
  readonly iterator: (range: Range) => Iterator;
  readonly createReadStream: (range: Range) => NodeJS.ReadableStream;
  readonly batch: (operations: readonly Fields[], done: Done) => void;
}
interface StreamsDb {
  createValueStream(): AsyncIterable<Stream>;
  put(name: string, stream: Stream, done: Done): void;
  del(name: string, done: Done): void;
  on(event: "error", listener: () => void): void;
}
export interface KinesisStore {
  readonly db: { close(): Promise<unknown>; on(event: "open" | "error", listener: (error: unknown) => void): void };
  readonly metaDb: StreamsDb;
  getStream(name: string, done: Done<Stream>): void;
  getStreamDb(name: string): RecordsDb;
  deleteStreamDb(name: string, done: Done): void;
}

interface Sequence {
  readonly shardCreateTime: number;
  readonly seqTime: number;
}
/** What is used of `kinesalite/db`. */
export interface KinesisDatabase {
  create(options: Fields): KinesisStore;
  parseSequence(sequence: string): Sequence;
  stringifySequence(parts: { shardCreateTime: number; shardIx: number; seqIx?: number; seqTime?: number }): string;
  shardIxToHex(shardIx: number): string;
  resolveShardId(shardId: string): { readonly shardIx: number; readonly shardId: string };
  partitionKeyToHashKey(partitionKey: string): { toFixed(): string };
  createShardIterator(streamName: string, shardId: string, sequence: string): string;
}

export interface KinesisParts {
  readonly emulator: Emulator<KinesisDatabase>;
  readonly store: KinesisStore;
}

// biome-ignore format: a list
const operations = [
  "AddTagsToStream", "CreateStream", "DeleteStream", "DescribeStream", "DescribeStreamSummary", "GetRecords", "GetShardIterator",
  "ListShards", "ListStreams", "ListTagsForStream", "MergeShards", "PutRecord", "PutRecords", "RemoveTagsFromStream", "SplitShard",
  "IncreaseStreamRetentionPeriod", "DecreaseStreamRetentionPeriod",
];
const shardsPerAccount = 100_000;
const atOnce = { createStreamMs: 0, deleteStreamMs: 0, updateStreamMs: 0, shardLimit: shardsPerAccount };

/** Opens kinesalite's store in `folder` (null: in memory), with the streams that a killed process left half changed put right. */
export async function openKinesisStore(folder: string | null): Promise<KinesisParts> {
  const emulator = loadEmulator<KinesisDatabase>("kinesalite", operations);
  const store = await openStore(folder, () => {
    const opening = emulator.database.create({ ...atOnce, ...(folder === null ? {} : { path: folder }) });
    // Not by `open()`, which never answers when the opening that has begun fails.
    const opened = new Promise<void>((resolve, reject) => {
      opening.db.on("open", () => resolve());
      opening.db.on("error", reject);
    });
    // Told of the same failure; without a listener that would end the process.
    opening.metaDb.on("error", () => undefined);
    return { store: opening, opened };
  });
  await settleStreams(store);
  return { emulator, store };
}

/** The stream, or undefined when there is none of that name. */
export function streamNamed(store: KinesisStore, name: string): Promise<Stream | undefined> {
  return new Promise((resolve, reject) => {
    store.getStream(name, (error, stream) => {
      if (!error) resolve(stream);
      else if (error.name === "NotFoundError") resolve(undefined);
      else reject(error);
    });
  });
}

/** Waits until a change that has been accepted is done, so that an answer means that it is on disk. */
export async function untilSettled(store: KinesisStore, name: string): Promise<void> {
  for (;;) {
    const stream = await streamNamed(store, name);
    if (stream === undefined || stream.StreamStatus === "ACTIVE") return;
    await delay(1);
  }
}

/** The records of one range, in order; at most `range.limit`, and it stops early where `enough` says so. */
export function entriesIn(db: RecordsDb, range: Range, enough: (entry: Entry) => boolean): Promise<Entry[]> {
  const iterator = db.iterator(range);
  const entries: Entry[] = [];
  return new Promise((resolve, reject) => {
    const step = () =>
      iterator.next((error, key, value) => {
        if (error) return iterator.end(() => reject(error));
        if (key === undefined) return iterator.end(() => resolve(entries));
        const entry = { key, value };
        entries.push(entry);
        if (enough(entry)) return iterator.end(() => resolve(entries));
        step();
      });
    step();
  });
}

// A change is accepted by one write and done by a second one. Who was killed between them never answered, so either way is right:
// what was being created or deleted is gone, what was being split or merged is as before.
async function settleStreams(store: KinesisStore): Promise<void> {
  const unsettled: Stream[] = [];
  for await (const stream of store.metaDb.createValueStream()) {
    if (stream.StreamStatus !== "ACTIVE") unsettled.push(stream);
  }
  for (const stream of unsettled) await settleStream(store, stream);
}

async function settleStream(store: KinesisStore, stream: Stream): Promise<void> {
  const name = stream.StreamName;
  if (stream.StreamStatus === "UPDATING") {
    return done((end) => store.metaDb.put(name, { ...stream, StreamStatus: "ACTIVE" }, end));
  }
  await done((end) => store.deleteStreamDb(name, end));
  await done((end) => store.metaDb.del(name, end));
}

function done(start: (end: Done) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    start((error) => (error ? reject(error) : resolve()));
  });
}
