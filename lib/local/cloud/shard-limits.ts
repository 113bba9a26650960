/** Whether the embedded Kinesis throttles like the service ("real") or not at all ("none"). */
export type Limits = "real" | "none";

const readsPerSecond = 5;
const readBytesPerSecond = 2 * 1024 * 1024;
const recordsPerSecond = 1_000;
const writeBytesPerSecond = 1024 * 1024;
const secondMs = 1_000;

/** What a shard may do now. `shard` is any name that is one per shard; times are milliseconds. */
export interface ShardLimits {
  readonly kind: "unlimited" | "limited";
  /** Counts one GetRecords: five a second and shard, and none while bytes read before are being paid for at 2 MiB/s. */
  mayRead(shard: string, nowMs: number): boolean;
  hasRead(shard: string, read: { readonly bytes: number; readonly nowMs: number }): void;
  /** Counts one record: 1,000 records and 1 MiB a second and shard. */
  mayWrite(shard: string, record: { readonly bytes: number; readonly nowMs: number }): boolean;
}

const unlimited: ShardLimits = {
  kind: "unlimited",
  mayRead: () => true,
  hasRead: () => undefined,
  mayWrite: () => true,
};

/** The limits of one cloud. @see https://docs.aws.amazon.com/streams/latest/dev/service-sizes-and-limits.html */
export function shardLimits(limits: Limits): ShardLimits {
  if (limits === "none") return unlimited;
  const reads = new Map<string, number[]>();
  const readableAt = new Map<string, number>();
  const writes = new Map<string, { secondFrom: number; records: number; bytes: number }>();
  return {
    kind: "limited",
    mayRead(shard, nowMs) {
      const recent = (reads.get(shard) ?? []).filter((at) => nowMs - at < secondMs);
      reads.set(shard, recent);
      if (recent.length >= readsPerSecond || nowMs < (readableAt.get(shard) ?? 0)) return false;
      recent.push(nowMs);
      return true;
    },
    hasRead(shard, { bytes, nowMs }) {
      if (bytes > readBytesPerSecond) readableAt.set(shard, nowMs + (bytes / readBytesPerSecond) * secondMs);
    },
    mayWrite(shard, { bytes, nowMs }) {
      const known = writes.get(shard);
      const current =
        known && nowMs - known.secondFrom < secondMs ? known : { secondFrom: nowMs, records: 0, bytes: 0 };
      writes.set(shard, current);
      if (current.records + 1 > recordsPerSecond || current.bytes + bytes > writeBytesPerSecond) return false;
      current.records += 1;
      current.bytes += bytes;
      return true;
    },
  };
}
