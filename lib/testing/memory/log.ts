import { StreamError } from "../../model/errors.js";
import type { Millis } from "../../model/ids.js";
import type { Clock } from "../../ports/clock.js";
import type { Log, LogRead, LogRecord, LogShard, LogStart } from "../../ports/log.js";
import type { Streams } from "../../ports/streams.js";
import {
  type MemoryShard,
  type MemoryStream,
  mergeShards,
  newStream,
  putRecord,
  serverTime,
  splitShard,
  trimStream,
} from "./log-streams.js";
import { memoryStreams } from "./streams.js";

/** What else happens to streams: others write to them, reshard them, and time passes. */
export interface MemoryLogControl {
  createStream(name: string, shardCount: number): void;
  deleteStream(name: string): void;
  /** To the open shard whose range holds the MD5 of the partition key. */
  put(
    stream: string,
    partitionKey: string,
    data: Uint8Array,
  ): { readonly shardId: string; readonly sequenceNumber: string };
  /** Halves an open shard and returns its children. */
  split(stream: string, shardId: string): readonly [string, string];
  /** Joins two open shards that lie side by side and returns their child. */
  merge(stream: string, first: string, second: string): string;
  /** What arrived before `before` is lost now, retention or not. */
  trim(stream: string, before: Millis): void;
  setRetention(stream: string, retentionMillis: number): void;
  /** Every cursor handed out so far is expired. */
  expireCursors(): void;
  /** The next calls of `cursor` and `read` are throttled. */
  throttle(calls: number): void;
  /** The next reads find nothing, though there may be something. */
  answerEmpty(reads: number): void;
  /** Of the entries that are put next so many are refused: all of them, or every second one. */
  refuse(entries: number, which: "all" | "every second"): void;
  /** The next calls of `shards` answer as if the last split or merge had not been seen yet: without its children. */
  answerOldShards(stream: string, calls: number): void;
  /** All that are still kept, parents before their children. */
  shards(stream: string): readonly LogShard[];
  /** All records of a shard that are still kept. */
  records(stream: string, shardId: string): readonly LogRecord[];
}

export interface MemoryLog {
  readonly log: Log;
  /** The same streams, to be written to. */
  readonly streams: Streams;
  readonly control: MemoryLogControl;
}

const cursorLifeMillis = 5 * 60_000;
const readBytesMax = 10 * 1024 * 1024;

interface Cursor {
  readonly stream: string;
  readonly shardId: string;
  /** The first record with this number or a greater one is next. */
  readonly from: string;
  readonly madeAt: number;
  readonly epoch: number;
}

interface State {
  readonly clock: Pick<Clock, "now">;
  readonly streams: Map<string, MemoryStream>;
  readonly oldShardCalls: Map<string, number>;
  epoch: number;
  throttled: number;
  empty: number;
  refused: number;
  readonly refusedOf: { which: "all" | "every second"; put: number };
}

/**
 * Kinesis in this process: retention, resharding, expiring cursors, sequence numbers that differ in length. Time is the clock's;
 * answers come on the microtask queue, and the same calls in the same order give the same answers.
 *
 * @example
 * const { log, control } = memoryLog(clock);
 * control.createStream("flights", 2);
 * control.put("flights", "ATL", bytes);
 */
export function memoryLog(clock: Pick<Clock, "now">): MemoryLog {
  const state: State = {
    clock,
    streams: new Map(),
    oldShardCalls: new Map(),
    epoch: 0,
    throttled: 0,
    empty: 0,
    refused: 0,
    refusedOf: { which: "all", put: 0 },
  };
  return { log: portOf(state), streams: streamsOf(state), control: controlOf(state) };
}

function portOf(state: State): Log {
  return {
    async describe(name) {
      const stream = current(state, name);
      if (stream === null) return { kind: "absent" };
      const { arn, createdAt, retentionMillis } = stream;
      return { kind: "found", arn, createdAt, retentionMillis, serverNow: serverTime(state.clock.now()) };
    },
    shards: async (name) => listShards(state, existing(state, name)),
    async cursor(name, shardId, start) {
      if (spend(state, "throttled")) return { kind: "throttled" };
      const stream = current(state, name);
      const shard = stream?.shards.find((candidate) => candidate.shardId === shardId);
      if (stream === null || shard === undefined) return { kind: "absent" };
      if (start.kind === "timestamp" && start.at > state.clock.now()) return { kind: "throttled" };
      return {
        kind: "cursor",
        cursor: writeCursor(state, { stream: name, shardId, from: startOf(stream, shard, start) }),
      };
    },
    async read(name, text, limit) {
      if (spend(state, "throttled")) return { kind: "throttled" };
      const cursor = JSON.parse(text) as Cursor;
      const expired = cursor.epoch < state.epoch || cursor.madeAt + cursorLifeMillis < state.clock.now();
      const shard = current(state, name)?.shards.find((candidate) => candidate.shardId === cursor.shardId);
      if (expired || shard === undefined) return { kind: "expired" };
      return readShard(state, shard, cursor, spend(state, "empty") ? 0 : limit);
    },
  };
}

const streamsOf = (state: State): Streams =>
  memoryStreams({
    has: (name) => current(state, name) !== null,
    put: (name, { partitionKey, data }) => putRecord(existing(state, name), partitionKey, data, state.clock.now()),
    refuses() {
      const { refusedOf } = state;
      refusedOf.put += 1;
      return (refusedOf.which === "all" || refusedOf.put % 2 === 0) && spend(state, "refused");
    },
  });

function controlOf(state: State): MemoryLogControl {
  const stream = (name: string) => existing(state, name);
  const now = () => state.clock.now();
  return {
    createStream(name, shards) {
      if (current(state, name) !== null) throw new StreamError("invalid", `stream "${name}" exists`);
      state.streams.set(name, newStream(name, { shards, createdAt: now() }));
    },
    deleteStream(name) {
      state.streams.delete(name);
      state.epoch += 1;
    },
    put: (name, partitionKey, data) => putRecord(stream(name), partitionKey, data, now()),
    split: (name, shardId) => splitShard(stream(name), shardId, now()),
    merge: (name, first, second) => mergeShards(stream(name), [first, second], now()),
    trim: (name, before) => trimStream(stream(name), before),
    setRetention(name, retentionMillis) {
      stream(name).retentionMillis = retentionMillis;
    },
    expireCursors() {
      state.epoch += 1;
    },
    throttle(calls) {
      state.throttled = calls;
    },
    answerEmpty(reads) {
      state.empty = reads;
    },
    refuse(entries, which) {
      state.refused = entries;
      Object.assign(state.refusedOf, { which, put: 0 });
    },
    answerOldShards: (name, calls) => void state.oldShardCalls.set(name, calls),
    shards: (name) => stream(name).shards.map(describeShard),
    records: (name, shardId) =>
      stream(name)
        .shards.find((shard) => shard.shardId === shardId)
        ?.records.map(copyOf) ?? [],
  };
}

/** The stream as it is now: what is older than its retention is gone. */
function current(state: State, name: string): MemoryStream | null {
  const stream = state.streams.get(name);
  if (stream === undefined) return null;
  trimStream(stream, (state.clock.now() - stream.retentionMillis) as Millis);
  return stream;
}

function existing(state: State, name: string): MemoryStream {
  const stream = current(state, name);
  if (stream !== null) return stream;
  throw new StreamError("invalid", `stream "${name}" does not exist; create it, or bind the source to another`);
}

function listShards(state: State, stream: MemoryStream): readonly LogShard[] {
  const calls = state.oldShardCalls.get(stream.name) ?? 0;
  state.oldShardCalls.set(stream.name, Math.max(0, calls - 1));
  const lastParents = stream.shards.at(-1)?.parents ?? [];
  const isNew = (shard: MemoryShard) => lastParents.length > 0 && shard.parents.join() === lastParents.join();
  return stream.shards.filter((shard) => calls === 0 || !isNew(shard)).map(describeShard);
}

const describeShard = ({ shardId, parents, hashKeys }: MemoryShard): LogShard => ({ shardId, parents, hashKeys });

/** A time with nothing later stands for the end of the shard, as it is now. */
function startOf(stream: MemoryStream, shard: MemoryShard, start: LogStart): string {
  switch (start.kind) {
    case "horizon":
      return "0";
    case "timestamp":
      return (
        shard.records.find((record) => record.arrivedAt >= start.at)?.sequenceNumber ??
        String(stream.nextSequenceNumber)
      );
    case "at":
      return start.sequenceNumber;
  }
}

function readShard(state: State, shard: MemoryShard, cursor: Cursor, limit: number): LogRead {
  const left = shard.records.slice(indexFrom(shard.records, BigInt(cursor.from)));
  const taken = left.slice(0, countWithin(left, limit));
  const following = left[taken.length];
  const last = taken.at(-1);
  const from = last === undefined ? cursor.from : String(BigInt(last.sequenceNumber) + 1n);
  const ended = shard.closedAt !== null && following === undefined;
  return {
    kind: "records",
    records: taken.map(copyOf),
    next: ended ? null : writeCursor(state, { ...cursor, from }),
    behindMillis: following === undefined ? 0 : Math.max(0, state.clock.now() - following.arrivedAt),
    serverNow: serverTime(state.clock.now()),
  };
}

/** Where the first record with this number or a greater one stands. */
function indexFrom(records: readonly LogRecord[], from: bigint): number {
  let [low, high] = [0, records.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (BigInt(records[middle]?.sequenceNumber ?? 0) < from) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** How many come in one answer: at most `limit`, and 10 MB, but one in any case. */
function countWithin(records: readonly LogRecord[], limit: number): number {
  let bytes = 0;
  const over = records.findIndex((record, index) => {
    bytes += record.data.byteLength;
    return index >= limit || (index > 0 && bytes > readBytesMax);
  });
  return over === -1 ? records.length : over;
}

function writeCursor(state: State, cursor: Pick<Cursor, "stream" | "shardId" | "from">): string {
  const { stream, shardId, from } = cursor;
  return JSON.stringify({ stream, shardId, from, madeAt: state.clock.now(), epoch: state.epoch } satisfies Cursor);
}

/** Takes one off a counter; false where there is none left. */
function spend(state: State, counter: "throttled" | "empty" | "refused"): boolean {
  if (state[counter] === 0) return false;
  state[counter] -= 1;
  return true;
}

const copyOf = (record: LogRecord): LogRecord => ({ ...record, data: record.data.slice() });
