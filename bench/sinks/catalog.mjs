// The sinks, in the order of the tables, and what a trigger would send for the same: an event source mapping with batches of a hundred,
// and for each record an item by which it is known again.
import { priceOf } from "../cloud/prices.mjs";

const million = 1e6;
/** Of the trigger, as its event source mapping delivers. */
const recordsPerInvocation = 100;
const invocations = million / recordsPerInvocation;

/** One small write. */
const writePerRecord = { "DynamoDB.PutItem": { requests: million, units: million } };
/** The item by which a record is known again, and the counter. */
const twoWritesPerRecord = { "DynamoDB.PutItem": { requests: 2 * million, units: 2 * million } };
/** A record is at least one unit of 25 KB, however many are put at once. */
const recordPut = { "Kinesis.PutRecords": { requests: invocations, units: million } };
const filePerInvocation = { "S3.PutObject": { requests: invocations, units: 0 } };

/** `rows`: what the sink gets. `trigger`: the requests of a million records, without invocations. */
export const catalog = {
  held: { label: "dynamoTable, held", rows: "counts", trigger: twoWritesPerRecord },
  eager: { label: "dynamoTable, eager", rows: "counts", trigger: twoWritesPerRecord },
  counters: { label: "dynamoCounters", rows: "counts", trigger: twoWritesPerRecord },
  postgres: { label: "postgres, upsert", rows: "counts", trigger: writePerRecord },
  files: { label: "s3Files, JSON lines", rows: "records", trigger: { ...writePerRecord, ...filePerInvocation } },
  stream: { label: "kinesisStream", rows: "records", trigger: { ...writePerRecord, ...recordPut } },
};

/** Dollars. */
export const triggerPerMillion = ({ trigger }) =>
  Object.entries({ ...trigger, "Lambda.Invoke": { requests: invocations, units: 0 } })
    .map(([name, count]) => priceOf(name, count))
    .reduce((sum, dollars) => sum + dollars, 0);
