import { refusal } from "./answers.js";
import type { Answer, Fields } from "./emulators.js";
import { type KinesisDatabase, type KinesisParts, type Shard, type Stream, streamNamed } from "./kinesis-store.js";

const shardsPerAnswer = 1_000;
const tokenLifeMs = 300_000;
const hourMs = 3_600_000;

interface Listing {
  readonly stream: string;
  readonly after: string;
  readonly filter: Fields | undefined;
}

/**
 * ListShards as the service has it: MaxResults, NextToken (good for 300 s) and every ShardFilter.
 *
 * @see https://docs.aws.amazon.com/kinesis/latest/APIReference/API_ListShards.html
 */
export async function listShards(parts: KinesisParts, input: Fields, nowMs: number): Promise<Answer> {
  const { ShardFilter: filter } = input;
  const checked = parts.emulator.check("ListShards", { ...input }, parts.store);
  const listing = listingOf(checked, filter as Fields | undefined, nowMs);
  if ("status" in listing) return listing;
  const stream = await streamNamed(parts.store, listing.stream);
  if (stream === undefined) return refusal("ResourceNotFoundException", `Stream ${listing.stream} not found.`);
  const wanted = keep(parts.emulator.database, stream, listing.filter, nowMs);
  if (wanted === undefined)
    return refusal("InvalidArgumentException", `ShardFilter ${JSON.stringify(filter)} is invalid.`);
  const left = stream.Shards.filter((shard) => shard.ShardId > listing.after && wanted(shard));
  const shards = left.slice(0, Number(checked.MaxResults ?? shardsPerAnswer));
  const last = shards.at(-1)?.ShardId;
  const rest =
    shards.length < left.length && last !== undefined ? { NextToken: token({ ...listing, after: last }, nowMs) } : {};
  return { status: 200, body: { Shards: shards, ...rest } };
}

function listingOf(input: Fields, filter: Fields | undefined, nowMs: number): Listing | Answer {
  const { NextToken, StreamName, ExclusiveStartShardId } = input;
  if (NextToken === undefined && StreamName === undefined) {
    return refusal("InvalidArgumentException", "Either NextToken or StreamName should be provided.");
  }
  if (NextToken === undefined)
    return { stream: String(StreamName), after: String(ExclusiveStartShardId ?? ""), filter };
  if (StreamName !== undefined || ExclusiveStartShardId !== undefined) {
    return refusal("InvalidArgumentException", "NextToken and StreamName cannot be provided together.");
  }
  return resumed(String(NextToken), nowMs);
}

function resumed(text: string, nowMs: number): Listing | Answer {
  try {
    const { stream, after, filter, at } = JSON.parse(Buffer.from(text, "base64").toString()) as Listing & {
      at: number;
    };
    if (nowMs - at > tokenLifeMs)
      return refusal("ExpiredNextTokenException", "The NextToken is older than 300 seconds.");
    return { stream: String(stream), after: String(after), filter };
  } catch {
    return refusal("InvalidArgumentException", "NextToken is invalid.");
  }
}

const token = (listing: Listing, nowMs: number): string =>
  Buffer.from(JSON.stringify({ ...listing, at: nowMs })).toString("base64");

/** Which shards a filter keeps; undefined for a filter that the service refuses. */
function keep(
  database: KinesisDatabase,
  stream: Stream,
  filter: Fields | undefined,
  nowMs: number,
): ((shard: Shard) => boolean) | undefined {
  const horizonMs = nowMs - stream.RetentionPeriodHours * hourMs;
  const opened = (shard: Shard) =>
    database.parseSequence(shard.SequenceNumberRange.StartingSequenceNumber).shardCreateTime;
  const closed = (shard: Shard) => {
    const end = shard.SequenceNumberRange.EndingSequenceNumber;
    return end === undefined ? Number.POSITIVE_INFINITY : database.parseSequence(end).seqTime;
  };
  // Times within sequence numbers are whole seconds, rounded down.
  const atMs = Math.floor(Number(filter?.Timestamp)) * 1_000;
  const firstMs = Math.min(...stream.Shards.map(opened));
  switch (filter?.Type) {
    case undefined:
    case "FROM_TRIM_HORIZON":
      return (shard) => closed(shard) >= horizonMs;
    case "AT_LATEST":
      return (shard) => shard.SequenceNumberRange.EndingSequenceNumber === undefined;
    case "AT_TRIM_HORIZON":
      return (shard) => closed(shard) >= horizonMs && opened(shard) <= Math.max(horizonMs, firstMs);
    case "AFTER_SHARD_ID":
      return (shard) => shard.ShardId > String(filter?.ShardId);
    case "AT_TIMESTAMP":
      return Number.isFinite(atMs) ? (shard) => opened(shard) <= atMs && closed(shard) >= atMs : undefined;
    case "FROM_TIMESTAMP":
      return Number.isFinite(atMs) ? (shard) => closed(shard) >= atMs : undefined;
    default:
      return undefined;
  }
}
