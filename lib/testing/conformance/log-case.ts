import assert from "node:assert/strict";
import { millis } from "../../model/ids.js";
import type { Log, LogLines, LogRead, LogRecord, LogRecords, LogShard, LogStart } from "../../ports/log.js";
import { textOf } from "./suite.js";

export interface OpenLog {
  readonly log: Log;
  /** Makes a stream under a new name, and answers with it. Its retention is a day. */
  createStream(shardCount: number): Promise<string>;
  put(stream: string, partitionKey: string, data: Uint8Array): Promise<{ shardId: string; sequenceNumber: string }>;
  /** Halves an open shard. */
  split(stream: string, shardId: string): Promise<void>;
  merge(stream: string, first: string, second: string): Promise<void>;
  /** Sets the log's clock forward. Not called where the feature is left out. */
  passTime(length: number): Promise<void>;
}

export interface LogCase extends OpenLog {
  /** A new stream of one shard. */
  single(): Promise<{ readonly stream: string; readonly shardId: string }>;
  cursor(stream: string, shardId: string, start: LogStart): Promise<string>;
  /** Lines as records, too. */
  read(stream: string, cursor: string, limit?: number): Promise<LogRecords>;
  /** Reads until nothing more comes, or the shard ends. */
  readAll(stream: string, shardId: string, start: LogStart): Promise<{ records: LogRecord[]; ended: boolean }>;
}

export type It = (name: string, run: (given: LogCase) => Promise<void>) => void;

export const horizon: LogStart = { kind: "horizon" };
/** Reads without a record before a test takes it that there is none: a log may answer empty although there is more. */
const emptyReadsMax = 3;
/** Many times what any test here needs: a cursor that does not move on must not read for ever. */
const readsMax = 60;

/** A log with the steps that its tests have in common. */
export function logCase(opened: OpenLog): LogCase {
  const { log } = opened;
  const cursor = async (stream: string, shardId: string, start: LogStart): Promise<string> => {
    const found = await log.cursor(stream, shardId, start);
    assert.equal(found.kind, "cursor", `no cursor at ${JSON.stringify(start)} of ${shardId}`);
    return found.kind === "cursor" ? found.cursor : "";
  };
  const read = async (stream: string, at: string, limit = 1_000): Promise<LogRecords> => {
    const answer: LogRead = await log.read(stream, at, limit);
    if (answer.kind === "lines") return recordsOf(answer);
    assert.ok(answer.kind === "records", `a read was ${answer.kind}`);
    return answer;
  };
  return {
    ...opened,
    cursor,
    read,
    async single() {
      const stream = await opened.createStream(1);
      const [shard] = await log.shards(stream);
      return { stream, shardId: shard?.shardId ?? "" };
    },
    async readAll(stream, shardId, start) {
      const records: LogRecord[] = [];
      let next: string | null = await cursor(stream, shardId, start);
      for (let reads = 0, empty = 0; next !== null && empty < emptyReadsMax; reads += 1) {
        assert.ok(reads < readsMax, `${readsMax} reads of ${shardId} came to no end`);
        const answer: LogRecords = await read(stream, next);
        records.push(...answer.records);
        empty = answer.records.length === 0 ? empty + 1 : 0;
        next = answer.next;
      }
      return { records, ended: next === null };
    },
  };
}

/** Each line that is not empty, without its end; found by its bytes, whatever the log made of them. */
function recordsOf({ bytes, text, offset, next }: LogLines): LogRecords {
  assert.ok(text === null || Buffer.from(text).equals(bytes), "the text is that of the bytes");
  const records: LogRecord[] = [];
  const block = Buffer.from(bytes);
  for (let from = 0; from < block.length; ) {
    const found = block.indexOf("\n", from);
    const end = found === -1 ? block.length : found;
    const to = end > from && block[end - 1] === 13 ? end - 1 : end;
    const data = block.subarray(from, to);
    if (to > from)
      records.push({ sequenceNumber: String(offset + from), partitionKey: "", data, arrivedAt: millis(0) });
    from = end + 1;
  }
  return { kind: "records", records, next, behindMillis: 0, serverNow: millis(0) };
}

export const texts = (records: readonly LogRecord[]): string[] => records.map((record) => textOf(record.data));
/** First and last hash key. */
export const range = (shard: LogShard | undefined): bigint[] => (shard?.hashKeys ?? []).map(BigInt);
