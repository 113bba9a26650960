import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { KinesisClient } from "@aws-sdk/client-kinesis";
import { LambdaClient } from "@aws-sdk/client-lambda";
import { S3Client } from "@aws-sdk/client-s3";

export interface AwsClients {
  readonly dynamo: DynamoDBClient;
  readonly kinesis: KinesisClient;
  readonly lambda: LambdaClient;
  readonly s3: S3Client;
  /** Closes their connections. Calls under way fail. */
  destroy(): void;
}

export interface AwsClientOptions {
  /** One endpoint for all of them. Otherwise the SDK's own: AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_S3 and so on, else AWS. */
  readonly endpoint?: string;
  readonly region?: string;
  /** How often a call is tried in all. Default 4. */
  readonly attempts?: number;
  readonly credentials?: { readonly accessKeyId: string; readonly secretAccessKey: string };
}

const connectionTimeout = 3_000;
/** Small items and pages: who has not answered by then will not. */
const requestTimeout = 5_000;
/** Objects of many megabytes. */
const objectTimeout = 60_000;
const attemptsMax = 4;

/**
 * The SDK's clients with time-outs and retries that fit sessions: a call ends, well or badly, within about twenty seconds (S3: four minutes).
 * Region, credentials and endpoints are the SDK's own where they are not given.
 *
 * @example const clients = awsClients({ endpoint: cloud.endpoint, region: "us-east-1" });
 */
export function awsClients(options: AwsClientOptions = {}): AwsClients {
  // The SDK's own switch for its warning, once a process, that releases of 2027 need Node 22. Our version of it is pinned, and runs on 20.
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= "true";
  const { attempts: maxAttempts = attemptsMax, ...rest } = options;
  const common = { ...rest, maxAttempts };
  const http = {
    connectionTimeout,
    requestTimeout,
    throwOnRequestTimeout: true,
    httpAgent: { keepAlive: true, maxSockets: 64 },
    httpsAgent: { keepAlive: true, maxSockets: 64 },
  };
  const endpoint = options.endpoint ?? process.env.AWS_ENDPOINT_URL_S3 ?? process.env.AWS_ENDPOINT_URL;
  const dynamo = new DynamoDBClient({ ...common, requestHandler: http });
  const lambda = new LambdaClient({ ...common, requestHandler: http });
  // HTTP/2: the handler is another, and knows fewer options.
  const kinesis = new KinesisClient({
    ...common,
    requestHandler: { requestTimeout, disableConcurrentStreams: !isPlain(options) },
  });
  const s3 = new S3Client({
    ...common,
    requestHandler: { ...http, requestTimeout: objectTimeout },
    // bucket.localhost resolves nowhere.
    forcePathStyle: endpoint !== undefined,
    // We check our own SHA-256 (P3), and checksums in trailers frame the body in a way that emulators store as it is.
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
  });
  const all = [dynamo, kinesis, lambda, s3];
  return { dynamo, kinesis, lambda, s3, destroy: () => all.forEach((client) => void client.destroy()) };
}

/**
 * Whether Kinesis is an emulator's, over HTTP without TLS. A connection of its own for each call is announced as closing once the call is
 * made, and LocalStack then breaks off an answer of more than 64 KB.
 */
function isPlain({ endpoint }: AwsClientOptions): boolean {
  const named = endpoint ?? process.env.AWS_ENDPOINT_URL_KINESIS ?? process.env.AWS_ENDPOINT_URL;
  return named?.startsWith("http://") === true;
}
