import { nameInArn, unknownOperation } from "./answers.js";
import { type Answer, type Fields, refusalIn } from "./emulators.js";
import { getRecords, getShardIterator } from "./kinesis-reads.js";
import { listShards } from "./kinesis-shards.js";
import { type KinesisParts, openKinesisStore, untilSettled } from "./kinesis-store.js";
import { putRecord, putRecords } from "./kinesis-writes.js";
import { type Limits, type ShardLimits, shardLimits } from "./shard-limits.js";

/** A service of the cloud: operations by name, on plain JSON. */
export interface Service {
  call(operation: string, input: Fields): Promise<Answer>;
  close(): Promise<unknown>;
}

/** Opens the embedded Kinesis in `folder`, or in memory when it is null. */
export async function openKinesis(options: {
  readonly folder: string | null;
  readonly limits: Limits;
}): Promise<Service> {
  const parts = await openKinesisStore(options.folder);
  const limits = shardLimits(options.limits);
  return {
    async call(operation, input) {
      try {
        return await perform(parts, limits, operation, withNames(input));
      } catch (error) {
        const refused = refusalIn(error);
        if (refused === undefined) throw error;
        return refused;
      }
    },
    close: () => parts.store.db.close(),
  };
}

// Every operation takes a StreamARN in place of a StreamName; kinesalite knows names only.
function withNames(input: Fields): Fields {
  const { StreamARN, ...rest } = input;
  if (StreamARN === undefined || rest.StreamName !== undefined) return rest;
  return { ...rest, StreamName: nameInArn(StreamARN, "stream") };
}

function perform(parts: KinesisParts, limits: ShardLimits, operation: string, input: Fields): Promise<Answer> {
  switch (operation) {
    case "GetRecords":
      return getRecords(parts, input, limits, Date.now());
    case "GetShardIterator":
      return getShardIterator(parts, input, Date.now());
    case "ListShards":
      return listShards(parts, input, Date.now());
    case "PutRecord":
      return putRecord(parts, input, limits, Date.now());
    case "PutRecords":
      return putRecords(parts, input, limits, Date.now());
    case "CreateStream":
      return changed(parts, operation, onDemand(input));
    case "DeleteStream":
    case "SplitShard":
    case "MergeShards":
      return changed(parts, operation, input);
    default:
      return plain(parts, operation, input);
  }
}

async function plain({ emulator, store }: KinesisParts, operation: string, input: Fields): Promise<Answer> {
  if (!emulator.operations.has(operation)) return unknownOperation("Kinesis", operation);
  return emulator.perform(operation, emulator.check(operation, input, store), store);
}

async function changed(parts: KinesisParts, operation: string, input: Fields): Promise<Answer> {
  const { StreamName: name } = input;
  const answer = await plain(parts, operation, input);
  if (answer.status === 200) await untilSettled(parts.store, String(name));
  return answer;
}

// An on-demand stream begins with four shards. It stays at four here: there is no load to follow.
function onDemand(input: Fields): Fields {
  const mode = (input.StreamModeDetails as Fields | undefined)?.StreamMode;
  return mode === "ON_DEMAND" && input.ShardCount === undefined ? { ...input, ShardCount: 4 } : input;
}
