import { CreateStreamCommand, PutRecordCommand, PutRecordsCommand } from "@aws-sdk/client-kinesis";
import { kinesisSource, text } from "tidemark";
import { afterAll, beforeAll, expect, it } from "vitest";
import { kinesisLog } from "../../lib/connectors/kinesis-log.js";
import { generation, millis } from "../../lib/model/ids.js";
import type { ShardEntry } from "../../lib/model/shards.js";
import { systemClock } from "../../lib/ports/clock.js";
import { SourceReader } from "../../lib/runtime/source-reader.js";
import { type Cloud, openCloud } from "../conformance/aws-cloud.js";
import { aggregate } from "../unit/kpl-samples.js";
import { turn } from "../unit/source-world.js";

let cloud: Cloud;
beforeAll(async () => {
  cloud = await openCloud();
});
afterAll(() => cloud.close());

/** A stream of one shard, and readers of it from where its entry says. */
async function stream() {
  const { kinesis } = cloud.clients;
  const StreamName = cloud.fresh("stream");
  await kinesis.send(new CreateStreamCommand({ StreamName, ShardCount: 1 }));
  const log = kinesisLog(kinesis);
  const [shard] = await log.shards(StreamName);
  if (shard === undefined) throw new Error("the stream has no shard");
  const start: ShardEntry = { ...shard, at: { kind: "open", position: { kind: "horizon", readTo: null } } };
  const reading = (entry: ShardEntry) => {
    const source = kinesisSource({ stream: "in", codec: text, start: "trim-horizon" });
    const options = {
      name: "in",
      stream: StreamName,
      source,
      retentionMillis: 86_400_000,
      producer: 0,
      owns: () => true,
    };
    const table = { streamArn: "", createdAt: millis(0), start: "horizon", shards: [entry] } as const;
    const reader = new SourceReader(log, systemClock, { ...options, generation: generation(1) }, table);
    const never = new AbortController().signal;
    const taken: string[] = [];
    return {
      taken,
      hold: () => Promise.all(reader.pump(never)),
      consume: (mayGoOn = () => true) => reader.consume(entry.shardId, (body) => taken.push(String(body)), mayGoOn),
      entry: (): ShardEntry => ({ ...entry, at: reader.positions({})[0]?.at ?? entry.at }),
    };
  };
  return { StreamName, start, reading };
}

it("P1 aggregates come out of Kinesis as their user records, and a checkpoint may lie between two of them", async () => {
  const { StreamName, start, reading } = await stream();
  const { kinesis } = cloud.clients;
  const put = (Data: Uint8Array) => kinesis.send(new PutRecordCommand({ StreamName, PartitionKey: "k", Data }));
  await put(Buffer.from("plain"));
  const { SequenceNumber } = await put(aggregate("0", "1", "2"));
  const Records = [aggregate("3"), Buffer.from("4"), aggregate("5", "6")].map((Data) => ({ PartitionKey: "k", Data }));
  await kinesis.send(new PutRecordsCommand({ StreamName, Records }));

  const one = reading(start);
  await one.hold();
  one.consume(turn(3));
  expect(one.taken).toEqual(["plain", "0", "1"]);
  expect(one.entry().at).toMatchObject({ position: { kind: "after", sequenceNumber: SequenceNumber, sub: 1 } });
  const next = reading(one.entry());
  await next.hold();
  next.consume(turn(3));
  const last = reading(next.entry());
  await last.hold();
  last.consume();
  expect([next.taken, last.taken]).toEqual([
    ["2", "3", "4"],
    ["5", "6"],
  ]);
});
