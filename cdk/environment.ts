import { Duration, RemovalPolicy } from "aws-cdk-lib";
import * as dynamodb from "aws-cdk-lib/aws-dynamodb";
import type * as kms from "aws-cdk-lib/aws-kms";
import * as s3 from "aws-cdk-lib/aws-s3";
import { Construct } from "constructs";
import { registersKey } from "#lib/connectors/provision.js";
import { StreamError } from "#lib/model/errors.js";
import { acknowledge } from "./acknowledge.js";
import { checkTableKey } from "./table-key.js";

export interface TidemarkEnvironmentProps {
  /** What happens to table and bucket when the stack goes: they are kept where it is not given. */
  readonly removalPolicy?: RemovalPolicy;
  /** Encrypts table and bucket; keys of AWS where it is not given. */
  readonly encryptionKey?: kms.IKey;
  /** A table that is there already, with the string keys `pk` and `sk`. */
  readonly table?: dynamodb.ITable | dynamodb.Table;
  /** A bucket that is there already. It has no rule that lets objects expire. */
  readonly bucket?: s3.IBucket | s3.Bucket;
}

/**
 * Where the checkpoints of pipelines are: one DynamoDB table and one S3 bucket, which several pipelines may have together. Each pipeline
 * can reach its own part alone. Without one, a `TidemarkPipeline` makes its own.
 *
 * @example
 * const environment = new TidemarkEnvironment(this, "Streams");
 * new TidemarkPipeline(this, "Flights", { entry: "flights.ts", environment, streams, tables });
 */
export class TidemarkEnvironment extends Construct {
  /** Heads, leases, acknowledgements and manifests. */
  readonly table: dynamodb.ITable;
  /** Snapshots, frames and held rows. */
  readonly bucket: s3.IBucket;
  readonly #pipelines = new Map<string, string>();

  constructor(scope: Construct, id: string, props: TidemarkEnvironmentProps = {}) {
    super(scope, id);
    const removalPolicy = props.removalPolicy ?? RemovalPolicy.RETAIN;
    if (props.table !== undefined) checkTableKey(`${this.node.path}: table`, props.table, registersKey);
    this.table = (props.table ?? this.#makeTable(removalPolicy, props.encryptionKey)) as dynamodb.ITable;
    this.bucket = (props.bucket ?? this.#makeBucket(removalPolicy, props.encryptionKey)) as s3.IBucket;
  }

  /** Two pipelines of one name would be one: their heads have one key. @throws StreamError `invalid` where the name is taken */
  claim(pipeline: string, by: Construct): void {
    const other = this.#pipelines.get(pipeline);
    if (other !== undefined) {
      throw new StreamError(
        "invalid",
        `${by.node.path}: the environment ${this.node.path} has a pipeline "${pipeline}" already, ${other}; give one of them another name, or an environment of its own`,
      );
    }
    this.#pipelines.set(pipeline, by.node.path);
  }

  #makeTable(removalPolicy: RemovalPolicy, encryptionKey: kms.IKey | undefined): dynamodb.Table {
    const [partition, sort] = registersKey;
    return new dynamodb.Table(this, "Table", {
      partitionKey: { name: partition.name, type: dynamodb.AttributeType.STRING },
      sortKey: { name: sort.name, type: dynamodb.AttributeType.STRING },
      billingMode: dynamodb.BillingMode.PAY_PER_REQUEST,
      pointInTimeRecoverySpecification: { pointInTimeRecoveryEnabled: true },
      ...(encryptionKey === undefined
        ? { encryption: dynamodb.TableEncryption.AWS_MANAGED }
        : { encryption: dynamodb.TableEncryption.CUSTOMER_MANAGED, encryptionKey }),
      removalPolicy,
    });
  }

  #makeBucket(removalPolicy: RemovalPolicy, encryptionKey: kms.IKey | undefined): s3.Bucket {
    const bucket = new s3.Bucket(this, "Bucket", {
      blockPublicAccess: s3.BlockPublicAccess.BLOCK_ALL,
      enforceSSL: true,
      objectOwnership: s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
      ...(encryptionKey === undefined
        ? { encryption: s3.BucketEncryption.S3_MANAGED }
        : { encryption: s3.BucketEncryption.KMS, encryptionKey, bucketKeyEnabled: true }),
      // Nothing else expires: which objects a checkpoint needs, only the collection of garbage knows.
      lifecycleRules: [{ id: "aborted-uploads", abortIncompleteMultipartUploadAfter: Duration.days(7) }],
      removalPolicy,
    });
    acknowledge(bucket, {
      "AwsSolutions-S1":
        "Only this environment's functions can reach the bucket. Who wants a log of each request turns on data events in CloudTrail.",
    });
    return bucket;
  }
}
