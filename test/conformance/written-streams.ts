import { setTimeout as pause } from "node:timers/promises";
import { CreateStreamCommand, DescribeStreamSummaryCommand } from "@aws-sdk/client-kinesis";
import type { Log } from "../../lib/ports/log.js";
import type { ReadRecord } from "../../lib/testing/conformance/streams.js";
import type { Cloud } from "./aws-cloud.js";

/** Of a cloud, active. */
export async function makeStream({ clients, fresh }: Cloud, shards: number): Promise<string> {
  const StreamName = fresh("stream");
  await clients.kinesis.send(new CreateStreamCommand({ StreamName, ShardCount: shards }));
  for (;;) {
    const { StreamDescriptionSummary } = await clients.kinesis.send(new DescribeStreamSummaryCommand({ StreamName }));
    if (StreamDescriptionSummary?.StreamStatus === "ACTIVE") return StreamName;
    await pause(20);
  }
}

/** All that a stream has, shard by shard. */
export async function allRecords(log: Log, stream: string): Promise<readonly ReadRecord[]> {
  const found: ReadRecord[] = [];
  for (const { shardId } of await log.shards(stream)) {
    const start = await log.cursor(stream, shardId, { kind: "horizon" });
    if (start.kind !== "cursor") throw new Error(`no cursor: ${start.kind}`);
    for (let cursor: string | null = start.cursor; cursor !== null; ) {
      const read = await log.read(stream, cursor, 10_000);
      if (read.kind !== "records") throw new Error(`not read: ${read.kind}`);
      found.push(...read.records.map((record) => ({ shardId, ...record })));
      cursor = read.records.length === 0 && read.behindMillis === 0 ? null : read.next;
    }
  }
  return found;
}
