import { CreateTableCommand, type DynamoDBClient } from "@aws-sdk/client-dynamodb";
import {
  CreateStreamCommand,
  DescribeStreamSummaryCommand,
  type KinesisClient,
  type StreamDescriptionSummary,
} from "@aws-sdk/client-kinesis";
import { CreateBucketCommand, type S3Client } from "@aws-sdk/client-s3";
import { awsError } from "./aws-errors.js";

/** Makes what a pipeline needs and an endpoint lacks: on local endpoints, where nobody pays for it, and elsewhere what somebody asks for. */
export interface Provisioner {
  /** Each resolves to whether it made something. What is there already is left as it is. */
  stream(name: string, shards: number): Promise<boolean>;
  /** As many shards as that one has, or on demand as that one is. @throws StreamError `invalid`: there is none to be like */
  streamLike(name: string, like: string): Promise<boolean>;
  bucket(name: string): Promise<boolean>;
  /** `key`: attribute names and types, partition key first. */
  table(
    name: string,
    key: readonly { readonly name: string; readonly type: "string" | "number" | "bytes" }[],
  ): Promise<boolean>;
}

const dynamoTypes = { string: "S", number: "N", bytes: "B" } as const;

/** The table of heads, leases, acks and manifests. */
export const registersKey = [
  { name: "pk", type: "string" },
  { name: "sk", type: "string" },
] as const;

export function provisioner(clients: {
  readonly kinesis: KinesisClient;
  readonly s3: S3Client;
  readonly dynamo: DynamoDBClient;
}): Provisioner {
  return {
    stream: (name, shards) =>
      made(
        () => clients.kinesis.send(new CreateStreamCommand({ StreamName: name, ShardCount: shards })),
        `stream "${name}"`,
      ),
    async streamLike(name, like) {
      const { OpenShardCount = 1, StreamModeDetails } = await summaryOf(clients.kinesis, like);
      const isOnDemand = StreamModeDetails?.StreamMode === "ON_DEMAND";
      const size = isOnDemand ? { StreamModeDetails } : { ShardCount: OpenShardCount };
      const create = new CreateStreamCommand({ StreamName: name, ...size });
      return made(() => clients.kinesis.send(create), `stream "${name}"`);
    },
    bucket: (name) => made(() => clients.s3.send(new CreateBucketCommand({ Bucket: name })), `bucket "${name}"`),
    table: (name, key) => {
      const create = new CreateTableCommand({
        TableName: name,
        BillingMode: "PAY_PER_REQUEST",
        AttributeDefinitions: key.map((part) => ({ AttributeName: part.name, AttributeType: dynamoTypes[part.type] })),
        KeySchema: key.map((part, index) => ({ AttributeName: part.name, KeyType: index === 0 ? "HASH" : "RANGE" })),
      });
      return made(() => clients.dynamo.send(create), `table "${name}"`);
    },
  };
}

/** Whether it can be written: one that is still being made is described before. */
export const isStreamReady = async (kinesis: KinesisClient, name: string): Promise<boolean> =>
  (await summaryOf(kinesis, name)).StreamStatus === "ACTIVE";

async function summaryOf(kinesis: KinesisClient, name: string): Promise<Partial<StreamDescriptionSummary>> {
  const stream = name.startsWith("arn:") ? { StreamARN: name } : { StreamName: name };
  try {
    const answer = await kinesis.send(new DescribeStreamSummaryCommand(stream));
    return answer.StreamDescriptionSummary ?? {};
  } catch (error) {
    const target = {
      name: `Kinesis stream "${name}"`,
      actions: "kinesis:DescribeStreamSummary on it",
      whenAbsent: "create it",
    };
    throw awsError(error, { intent: "read", target, doing: "describe" });
  }
}

const there: ReadonlySet<string> = new Set([
  "ResourceInUseException",
  "BucketAlreadyOwnedByYou",
  "BucketAlreadyExists",
]);

async function made(create: () => Promise<unknown>, what: string): Promise<boolean> {
  try {
    await create();
    return true;
  } catch (error) {
    if (error instanceof Error && there.has(error.name)) return false;
    const target = { name: what, actions: "the permission to create it", whenAbsent: "" };
    throw awsError(error, { intent: "write", target, doing: "creation" });
  }
}
