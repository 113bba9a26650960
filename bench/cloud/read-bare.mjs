// The bare read loop: every shard from its beginning, read after read, nothing done with the records.
import { GetRecordsCommand, GetShardIteratorCommand, ListShardsCommand } from "@aws-sdk/client-kinesis";
import { awsClients } from "../../dist/connectors/clients.js";
import { readArguments } from "./arguments.mjs";
import { names } from "./open-cloud.mjs";

const recordsPerRead = 10_000;

const { records: wanted } = readArguments();
const { kinesis, destroy } = awsClients();
const { Shards = [] } = await kinesis.send(new ListShardsCommand({ StreamName: names.stream }));
const iterators = await Promise.all(
  Shards.map(({ ShardId }) =>
    kinesis.send(new GetShardIteratorCommand({ StreamName: names.stream, ShardId, ShardIteratorType: "TRIM_HORIZON" })),
  ),
);
const [cpuBefore, startedAt] = [process.cpuUsage(), performance.now()];
let [records, bytes] = [0, 0];
await Promise.all(iterators.map(({ ShardIterator }) => readShard(ShardIterator)));
const seconds = (performance.now() - startedAt) / 1_000;
const { user, system } = process.cpuUsage(cpuBefore);
destroy();
process.stdout.write(`${JSON.stringify({ records, bytes, seconds, cpuMs: (user + system) / 1_000 })}\n`);

async function readShard(first) {
  for (let iterator = first; iterator !== undefined && records < wanted; ) {
    const read = await kinesis.send(new GetRecordsCommand({ ShardIterator: iterator, Limit: recordsPerRead }));
    for (const { Data } of read.Records ?? []) bytes += Data.length;
    records += read.Records?.length ?? 0;
    if (read.MillisBehindLatest === 0 && read.Records?.length === 0) return;
    iterator = read.NextShardIterator;
  }
}
