/**
 * List prices in US dollars, region us-east-1, on demand, without free tier or discounts, as of July 2025:
 * https://aws.amazon.com/dynamodb/pricing/on-demand/ (halved in November 2024), https://aws.amazon.com/s3/pricing/ (S3 Standard),
 * https://aws.amazon.com/lambda/pricing/.
 */
export const prices = {
  dynamoWriteUnit: 0.625 / 1e6,
  dynamoReadUnit: 0.125 / 1e6,
  /** PUT, COPY, POST and LIST. DELETE is free. */
  s3Write: 0.005 / 1e3,
  s3Read: 0.0004 / 1e3,
  lambdaRequest: 0.2 / 1e6,
};

const dynamoWrites = /^DynamoDB\.(Put|Update|Delete|BatchWrite|TransactWrite)/;
const dynamoReads = /^DynamoDB\.(Get|BatchGet|Query|Scan|TransactGet)/;
const s3Writes = /^S3\.(Put|Copy|Post|List|Create|Complete|UploadPart)/;
const s3Reads = /^S3\.(Get|Head)/;

/** What so many requests cost; those without a price of their own (Kinesis: a shard is paid by the hour) nothing. */
export function priceOf(name, { requests, units }) {
  if (dynamoWrites.test(name)) return units * prices.dynamoWriteUnit;
  if (dynamoReads.test(name)) return units * prices.dynamoReadUnit;
  if (s3Writes.test(name)) return requests * prices.s3Write;
  if (s3Reads.test(name)) return requests * prices.s3Read;
  if (name === "Lambda.Invoke") return requests * prices.lambdaRequest;
  return 0;
}
