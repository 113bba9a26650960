import { refusal } from "./answers.js";
import type { Answer, Fields } from "./emulators.js";
import { type KinesisParts, type Shard, streamNamed } from "./kinesis-store.js";
import type { ShardLimits } from "./shard-limits.js";

/** One PutRecords may carry so many bytes of data and keys (10 MiB). */
const bytesPerWrite = 10 * 1024 * 1024;

interface RecordIn {
  readonly Data: string;
  readonly PartitionKey: string;
  readonly ExplicitHashKey?: string;
}
type Verdict = { readonly kind: "ok" } | { readonly kind: "throttled"; readonly shardId: string };

/** PutRecord; throttled by shard where the limits say so. */
export async function putRecord(
  parts: KinesisParts,
  input: Fields,
  limits: ShardLimits,
  nowMs: number,
): Promise<Answer> {
  const { emulator, store } = parts;
  const checked = emulator.check("PutRecord", input, store);
  const [verdict] = await verdicts(parts, String(checked.StreamName), [checked as unknown as RecordIn], {
    limits,
    nowMs,
  });
  if (verdict?.kind === "throttled") {
    return refusal("ProvisionedThroughputExceededException", rateExceeded(verdict.shardId, checked.StreamName));
  }
  return emulator.perform("PutRecord", checked, store);
}

/**
 * PutRecords; where the limits say so, some records are refused and the others are put, as the service does it.
 *
 * @see https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecords.html
 */
export async function putRecords(
  parts: KinesisParts,
  input: Fields,
  limits: ShardLimits,
  nowMs: number,
): Promise<Answer> {
  const { emulator, store } = parts;
  const checked = emulator.check("PutRecords", input, store);
  const records = checked.Records as readonly RecordIn[];
  const bytes = records.reduce((sum, record) => sum + sizeOf(record), 0);
  if (bytes > bytesPerWrite) return refusal("InvalidArgumentException", "Records size exceeds 10 MB limit");
  const judged = await verdicts(parts, String(checked.StreamName), records, { limits, nowMs });
  const accepted = records.filter((_, index) => judged[index]?.kind === "ok");
  if (accepted.length === 0) return { status: 200, body: mixed(judged, [], checked.StreamName) };
  const answer = await emulator.perform("PutRecords", { ...checked, Records: accepted }, store);
  if (answer.status !== 200 || accepted.length === records.length) return answer;
  return { status: 200, body: mixed(judged, (answer.body?.Records ?? []) as Fields[], checked.StreamName) };
}

function mixed(judged: readonly Verdict[], put: readonly Fields[], stream: unknown): Fields {
  let next = 0;
  const records = judged.map((verdict) =>
    verdict.kind === "ok"
      ? put[next++]
      : {
          ErrorCode: "ProvisionedThroughputExceededException",
          ErrorMessage: rateExceeded(verdict.shardId, stream),
        },
  );
  return { FailedRecordCount: records.length - put.length, Records: records };
}

const rateExceeded = (shardId: string, stream: unknown): string =>
  `Rate exceeded for shard ${shardId} in stream ${stream}.`;
const sizeOf = (record: RecordIn): number =>
  Math.floor((record.Data.length * 3) / 4) + Buffer.byteLength(record.PartitionKey);

interface Limiting {
  readonly limits: ShardLimits;
  readonly nowMs: number;
}

async function verdicts(
  parts: KinesisParts,
  name: string,
  records: readonly RecordIn[],
  { limits, nowMs }: Limiting,
): Promise<readonly Verdict[]> {
  if (limits.kind === "unlimited") return records.map(() => ({ kind: "ok" }));
  const stream = await streamNamed(parts.store, name);
  const open = (stream?.Shards ?? []).filter((shard) => shard.SequenceNumberRange.EndingSequenceNumber === undefined);
  return records.map((record) => {
    const shardId = shardOf(parts, open, record)?.ShardId;
    // No such shard, or no such stream: kinesalite words the refusal.
    if (shardId === undefined) return { kind: "ok" };
    const may = limits.mayWrite(`${name}/${shardId}`, { bytes: sizeOf(record), nowMs });
    return may ? { kind: "ok" } : { kind: "throttled", shardId };
  });
}

function shardOf(parts: KinesisParts, open: readonly Shard[], record: RecordIn): Shard | undefined {
  const { database } = parts.emulator;
  const hash = BigInt(record.ExplicitHashKey ?? database.partitionKeyToHashKey(record.PartitionKey).toFixed());
  return open.find(
    ({ HashKeyRange: range }) => hash >= BigInt(range.StartingHashKey) && hash <= BigInt(range.EndingHashKey),
  );
}
