import type { LogShard } from "../ports/log.js";

/** Shards that come from one of these, by any number of splits and merges: bounded input that ended there begins past its end in them. */
export function beginPast(listed: readonly LogShard[], ended: readonly string[]): ReadonlySet<string> {
  const past = new Set(ended);
  for (let before = 0; before < past.size; ) {
    before = past.size;
    for (const { shardId, parents } of listed) if (parents.some((parent) => past.has(parent))) past.add(shardId);
  }
  for (const shardId of ended) past.delete(shardId);
  return past;
}
