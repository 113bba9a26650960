import type { Log, LogRead, LogShard } from "../../ports/log.js";
import type { Registers } from "../../ports/registers.js";
import type { StreamAnswer, StreamEntry, Streams } from "../../ports/streams.js";
import type { Venue } from "./process.js";

/** A retry underneath comes upon its own write, and calls that a conflict. */
export function retriedSwaps(registers: Registers, venue: Venue): Registers {
  return {
    read: (key) => registers.read(key),
    async swap(key, expected, body) {
      const swapped = await registers.swap(key, expected, body);
      if (swapped.kind === "conflict" || !venue.random.chance(venue.ratesOf("registers").lost / 2)) return swapped;
      return { kind: "conflict", current: await registers.read(key) };
    },
    put: (key, body) => registers.put(key, body),
    list: (group, prefix, page) => registers.list(group, prefix, page),
    remove: (key) => registers.remove(key),
  };
}

/** What a log may answer at any time: throttled, expired, nothing, a few, and shards as they were. */
export function moodyLog(log: Log, venue: Venue): Log {
  const trouble = () => venue.random.chance(venue.ratesOf("log").log);
  return {
    describe: (stream) => log.describe(stream),
    async shards(stream) {
      const listed = await log.shards(stream);
      return trouble() ? beforeLastReshard(listed) : listed;
    },
    cursor: async (stream, shardId, start) =>
      trouble() ? { kind: "throttled" } : await log.cursor(stream, shardId, start),
    async read(stream, cursor, limit) {
      if (trouble()) {
        const kind = venue.random.pick(["throttled", "expired", "empty"] as const);
        return kind === "empty" ? emptied(await log.read(stream, cursor, 1), cursor) : { kind };
      }
      const few = venue.random.chance(venue.ratesOf("log").few);
      return log.read(stream, cursor, few ? Math.min(limit, venue.random.between(1, 5)) : limit);
    },
  };
}

/** What a stream may do with a call at any time: refuse some of its entries and put the others, and put them in another order. */
export function moodyStreams(streams: Streams, venue: Venue): Streams {
  return {
    describe: (stream) => streams.describe(stream),
    async put(stream, entries) {
      const rate = venue.ratesOf("streams").log;
      if (!venue.random.chance(rate * 5)) return streams.put(stream, entries);
      const share = venue.random.pick([0.1, 0.5, 1]);
      const answers: StreamAnswer[] = entries.map(() => ({ kind: "refused", why: "simulated: throttled" }));
      const taken = [...entries.entries()].filter(() => !venue.random.chance(share));
      const order = venue.random.chance(0.5) ? taken : taken.toReversed();
      if (order.length === 0) return answers;
      const put = await streams.put(
        stream,
        order.map(([, entry]): StreamEntry => entry),
      );
      for (const [index, answer] of put.entries()) answers[order[index]?.[0] ?? 0] = answer;
      return answers;
    },
  };
}

/** Without the children of the last split or merge: a list may be old. */
function beforeLastReshard(listed: readonly LogShard[]): readonly LogShard[] {
  const parents = listed.at(-1)?.parents ?? [];
  return parents.length === 0 ? listed : listed.filter((shard) => shard.parents.join() !== parents.join());
}

/** The same place is read again, for there is more. */
function emptied(read: LogRead, cursor: string): LogRead {
  const first = read.kind === "records" ? read.records[0] : undefined;
  if (read.kind !== "records" || first === undefined) return read;
  const behindMillis = Math.max(1, read.serverNow - first.arrivedAt);
  return { ...read, records: [], next: cursor, behindMillis };
}
