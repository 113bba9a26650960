import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { KinesisClient } from "@aws-sdk/client-kinesis";
import { S3Client } from "@aws-sdk/client-s3";
import { NodeHttp2Handler, NodeHttpHandler } from "@smithy/node-http-handler";

/** HTTP/1.1, or HTTP/2 in clear text; the stock Kinesis client speaks the latter. */
export type Http = "HTTP/1.1" | "HTTP/2";

const settings = (endpoint: string, http: Http) => ({
  endpoint,
  region: "us-east-1",
  credentials: { accessKeyId: "any", secretAccessKey: "any" },
  maxAttempts: 1,
  requestHandler: http === "HTTP/2" ? new NodeHttp2Handler() : new NodeHttpHandler(),
});

export const kinesisAt = (endpoint: string, http: Http) => new KinesisClient(settings(endpoint, http));
export const dynamoAt = (endpoint: string, http: Http) => new DynamoDBClient(settings(endpoint, http));
export const s3At = (endpoint: string) => new S3Client({ ...settings(endpoint, "HTTP/1.1"), forcePathStyle: true });

/** The stock clients, with nothing set but what everybody must set. */
export const stockKinesisAt = (endpoint: string) =>
  new KinesisClient({
    endpoint,
    region: "eu-west-3",
    credentials: { accessKeyId: "any", secretAccessKey: "any" },
  });

/** The name of the error that a call fails with; it must fail. */
export async function failure(call: Promise<unknown>): Promise<Error & Record<string, unknown>> {
  const outcome = await call.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
  if ("error" in outcome) return outcome.error as Error & Record<string, unknown>;
  throw new Error(`expected a failure, got ${JSON.stringify(outcome.value)}`);
}
