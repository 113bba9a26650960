import type { Clock } from "../../ports/clock.js";
import type { Log, LogLines } from "../../ports/log.js";

/** A file is read in so many pieces, and its lines come over the time of the run, as those of a stream do. */
const piecesMin = 20;
const lineFeed = 10;

/** A log of files, read slowly: else a test's file would be processed before the first checkpoint. */
export function slowFiles(log: Log, clock: Clock, lengthMillis: number): Log {
  const pauseMillis = lengthMillis / piecesMin;
  const sizes = new Map<string, number>();
  return {
    describe: (path) => log.describe(path),
    shards: (path) => log.shards(path),
    cursor: (path, shardId, start) => log.cursor(path, shardId, start),
    async read(path, cursor, limit) {
      await clock.sleep(pauseMillis);
      const read = await log.read(path, cursor, limit);
      if (read.kind !== "lines") return read;
      const size = Math.max(sizes.get(path) ?? 0, read.bytes.length);
      sizes.set(path, size);
      return firstLines(log, path, read, Math.ceil(size / piecesMin));
    },
  };
}

/** Up to the first end of a line from that byte on. */
async function firstLines(log: Log, path: string, read: LogLines, leastBytes: number): Promise<LogLines> {
  const end = read.bytes.indexOf(lineFeed, Math.max(0, leastBytes - 1)) + 1;
  if (end === 0 || end >= read.bytes.length) return read;
  const [shard] = await log.shards(path);
  const sequenceNumber = String(read.offset + end);
  const rest = await log.cursor(path, shard?.shardId ?? "", { kind: "at", sequenceNumber });
  if (rest.kind !== "cursor") return read;
  const bytes = read.bytes.subarray(0, end);
  const text = read.text === null ? null : Buffer.from(bytes).toString("utf8");
  return { ...read, bytes, text, next: rest.cursor };
}
