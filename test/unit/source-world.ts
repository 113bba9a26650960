import { kinesisSource, text } from "tidemark";
import type { StreamError } from "../../lib/model/errors.js";
import { generation } from "../../lib/model/ids.js";
import type { Position, ShardEntry, SourceTable } from "../../lib/model/shards.js";
import type { Log } from "../../lib/ports/log.js";
import { Mailbox } from "../../lib/runtime/mailbox.js";
import { type ReaderOptions, SourceReader } from "../../lib/runtime/source-reader.js";
import { memoryLog } from "../../lib/testing/memory/log.js";
import { now } from "./checkpoint-samples.js";
import { virtualClock } from "./runtime-world.js";

export const day = 24 * 3_600_000;
export const horizon: Position = { kind: "horizon", readTo: null };
export type At = ShardEntry["at"];
type Source = Parameters<typeof kinesisSource<string>>[0];

interface Call {
  readonly method: string;
  readonly shard: string;
  readonly at: number;
}

/** A stream in memory whose reads give at most `limit` records; how it is asked is remembered. */
export function world(shards: number, limit = 10) {
  const clock = virtualClock();
  const { log, control } = memoryLog(clock);
  control.createStream("s", shards);
  const calls: Call[] = [];
  const troubles = { read: [] as StreamError[], shards: [] as StreamError[] };
  const heard = (method: "read" | "shards", shard: string) => {
    calls.push({ method, shard, at: clock.now() - now });
    const trouble = troubles[method].shift();
    if (trouble !== undefined) throw trouble;
  };
  const watched: Log = {
    ...log,
    async shards(stream) {
      heard("shards", "");
      return log.shards(stream);
    },
    async read(stream, cursor, most) {
      heard("read", (JSON.parse(cursor) as { shardId: string }).shardId);
      return log.read(stream, cursor, Math.min(most, limit));
    },
  };
  const put = (body: string, key = body) => control.put("s", key, Buffer.from(body));
  const entry = (at: At, shardId: string, parents: readonly string[]): ShardEntry => ({
    shardId,
    parents,
    hashKeys: ["0", String(2n ** 128n - 1n)],
    at,
  });
  /** The shards of the stream as a table, each at the position that is given for it. */
  const table = async (
    at: Readonly<Record<string, At>> = {},
    only: readonly string[] | null = null,
  ): Promise<SourceTable> => ({
    streamArn: "arn",
    createdAt: now,
    start: "horizon",
    shards: (await log.shards("s"))
      .filter(({ shardId }) => only === null || only.includes(shardId))
      .map(({ shardId, parents }) => entry(at[shardId] ?? { kind: "open", position: horizon }, shardId, parents)),
  });
  return { clock, log: watched, control, calls, troubles, put, table };
}
interface Taken {
  readonly shard: string;
  readonly body: unknown;
  readonly sequenceNumber: string;
}

export type World = ReturnType<typeof world>;

export function reading(
  { log, clock }: World,
  table: SourceTable,
  over: Partial<Source> = {},
  reads: Pick<ReaderOptions, "onBad"> = {},
) {
  const source = kinesisSource({ stream: "flights", codec: text, start: "trim-horizon", ...over });
  const options = {
    name: "in",
    stream: "s",
    source,
    retentionMillis: day,
    generation: generation(3),
    producer: 2,
    owns: () => true,
    ...reads,
  };
  const reader = new SourceReader(log, clock, options, table);
  const events = new Mailbox<string | Error>();
  const taken: Taken[] = [];
  const never = new AbortController().signal;
  const pump = () => {
    for (const one of reader.pump(never))
      one.then(
        (shard) => events.post(shard),
        (error) => events.post(error),
      );
  };
  const consume = (shard: string, mayGoOn = () => true) =>
    reader.consume(
      shard,
      (body, { shard: from, sequenceNumber }) => taken.push({ shard: from, body, sequenceNumber }),
      mayGoOn,
    );
  /** Until a batch of the shard waits. */
  const held = async () => {
    pump();
    const event = await events.next();
    if (typeof event !== "string") throw event;
    return event;
  };
  /** One batch, or a failure. */
  const step = async () => {
    const event = await held();
    consume(event);
    return event;
  };
  const until = async (holds: () => boolean) => {
    for (let steps = 0; !holds(); steps++) {
      if (steps === 20_000) throw new Error("it never holds");
      await step();
    }
  };
  const bodies = () => taken.map(({ body }) => body);
  const positions = (): Record<string, At> =>
    Object.fromEntries(reader.positions({}).map(({ shardId, at }) => [shardId, at]));
  return { reader, pump, held, consume, step, until, taken, bodies, positions };
}

/** For `mayGoOn`: after so many records it is enough. */
export function turn(records: number): () => boolean {
  let left = records;
  return () => --left > 0;
}

/** Until all that is there was taken. */
export const idle = (one: ReturnType<typeof reading>) => one.until(() => one.reader.idle);
export const shardOf = (n: number) => `shardId-${String(n).padStart(12, "0")}`;
export const [first, second, third, fourth] = [0, 1, 2, 3].map(shardOf) as [string, string, string, string];
