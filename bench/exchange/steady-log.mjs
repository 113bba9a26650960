// A log in this process: lines that come as fast as they are read, or so many a second. It costs nothing, so that what is measured is
// what comes behind it.

/**
 * @param {string[]} lines given again and again
 * @param {{ shards: number, records: number, perSecond: number | null }} options `records`: in all; null: all are there from the start
 * @returns {object} the port of a log with one stream of whatever name, and when the first read was
 */
export function steadyLog(lines, { shards, records, perSecond }) {
  const data = lines.map((line) => Buffer.from(line));
  const last = (2n ** 128n - 1n).toString();
  const stream = { startedAt: null };
  const dueNow = () =>
    perSecond === null ? records : Math.min(records, ((performance.now() - stream.startedAt) * perSecond) / 1_000);
  // Record i lies in shard i % shards, at place floor(i / shards).
  const countOf = (shard, total) => Math.max(0, Math.ceil((total - shard) / shards));
  const recordAt = (shard, place) => {
    const index = place * shards + shard;
    const bytes = data[index % data.length];
    return { sequenceNumber: String(place + 1), partitionKey: "any", data: bytes, arrivedAt: Date.now() };
  };
  const log = {
    describe: async () => ({
      kind: "found",
      arn: "arn:aws:kinesis:us-east-1:000000000000:stream/steady",
      createdAt: 1_000,
      retentionMillis: 86_400_000,
      serverNow: Date.now(),
    }),
    shards: async () =>
      Array.from({ length: shards }, (_, shard) => ({ shardId: `shard-${shard}`, parents: [], hashKeys: ["0", last] })),
    cursor: async (_stream, shardId, start) => {
      const from = start.kind === "at" ? Number(start.sequenceNumber) - 1 : 0;
      return { kind: "cursor", cursor: `${shardId.slice("shard-".length)}/${from}` };
    },
    async read(_stream, cursor, limit) {
      stream.startedAt ??= performance.now();
      const [shard, from] = cursor.split("/").map(Number);
      const to = Math.min(from + limit, countOf(shard, Math.floor(dueNow())));
      const found = Array.from({ length: Math.max(0, to - from) }, (_, index) => recordAt(shard, from + index));
      const next = `${shard}/${Math.max(from, to)}`;
      return { kind: "records", records: found, next, behindMillis: 0, serverNow: Date.now() };
    },
  };
  return { log, stream };
}
