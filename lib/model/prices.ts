/**
 * List prices in US dollars, region us-east-1, on demand, without free tier or discounts, as of July 2025:
 * https://aws.amazon.com/dynamodb/pricing/on-demand/ (halved in November 2024), https://aws.amazon.com/s3/pricing/ (S3 Standard),
 * https://aws.amazon.com/lambda/pricing/ (first tier), https://aws.amazon.com/kinesis/data-streams/pricing/ (provisioned).
 */
export const prices = {
  dynamoWriteUnit: 0.625 / 1e6,
  dynamoReadUnit: 0.125 / 1e6,
  /** PUT, COPY, POST and LIST. DELETE is free. */
  s3Write: 0.005 / 1e3,
  s3Read: 0.0004 / 1e3,
  lambdaRequest: 0.2 / 1e6,
  /** A second of a function with a gigabyte of memory. */
  lambdaArmSecond: 0.0000133334,
  lambdaX86Second: 0.0000166667,
  /** 25 KB of a record that is put. */
  kinesisPutUnit: 0.014 / 1e6,
} as const;

/** What was sent: each attempt is a request, as services bill it. Units are DynamoDB's, and those of what is put into streams. */
export interface Counted {
  readonly requests: number;
  readonly units: number;
}

/** By "Service.Operation", such as "DynamoDB.PutItem". */
export type RequestCounts = Readonly<Record<string, Counted>>;

const dynamoWrites = /^DynamoDB\.(Put|Update|Delete|BatchWrite|TransactWrite)/;
const dynamoReads = /^DynamoDB\.(Get|BatchGet|Query|Scan|TransactGet)/;
const s3Writes = /^S3\.(Put|Copy|Post|List|Create|Complete|UploadPart)/;
const s3Reads = /^S3\.(Get|Head)/;

/** In dollars. What has no price of its own (reads of Kinesis: a shard is paid by the hour) costs nothing. */
export function priceOf(name: string, { requests, units }: Counted): number {
  if (dynamoWrites.test(name)) return units * prices.dynamoWriteUnit;
  if (dynamoReads.test(name)) return units * prices.dynamoReadUnit;
  if (s3Writes.test(name)) return requests * prices.s3Write;
  if (s3Reads.test(name)) return requests * prices.s3Read;
  if (name === "Kinesis.PutRecords") return units * prices.kinesisPutUnit;
  if (name === "Lambda.Invoke") return requests * prices.lambdaRequest;
  return 0;
}
