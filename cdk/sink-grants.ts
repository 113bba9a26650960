import type { PlanPart } from "./plan-facts.js";

/** What a plan names, by what it is bound to. */
export type BoundKind = "streams" | "tables" | "buckets";

/** What a task may do with the target of a sink: exactly the calls that its adapter makes. */
export interface TargetGrant {
  readonly bound: BoundKind;
  /** The member of the sink's config with the target's logical name. */
  readonly member: string;
  /** On the target itself. */
  readonly actions: readonly string[];
  /** On the objects of a bucket beneath a prefix, by the member of the sink's config that has it. */
  readonly objectActions?: Readonly<Record<string, readonly string[]>>;
}

/** Sinks by kind. A kind that is not here is of the user's own making, and its permissions are theirs to give. */
export const sinkGrants: Readonly<Record<string, TargetGrant>> = {
  "dynamo-table": {
    bound: "tables",
    member: "table",
    actions: ["dynamodb:DescribeTable", "dynamodb:GetItem", "dynamodb:PutItem"],
  },
  "dynamo-counters": {
    bound: "tables",
    member: "table",
    // A transaction has no action of its own: its parts, which are all updates, need that of the same call alone.
    actions: ["dynamodb:DescribeTable", "dynamodb:GetItem", "dynamodb:UpdateItem"],
  },
  "kinesis-stream": {
    bound: "streams",
    member: "stream",
    actions: ["kinesis:DescribeStreamSummary", "kinesis:PutRecords"],
  },
  "s3-files": {
    bound: "buckets",
    member: "bucket",
    // A rule that lets objects expire is looked for at the start.
    actions: ["s3:GetLifecycleConfiguration", "s3:ListBucket"],
    // What was shown is never deleted.
    objectActions: {
      prefix: ["s3:GetObject", "s3:PutObject"],
      staging: ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"],
    },
  },
};

/** Those of sources, which tasks read, and the supervisor where the pipeline sleeps. */
export const sourceActions: readonly string[] = [
  "kinesis:DescribeStreamSummary",
  "kinesis:GetRecords",
  "kinesis:GetShardIterator",
  "kinesis:ListShards",
];

/** They are let in by the database: its password and network, not by permissions of AWS. */
export const databaseKinds: ReadonlySet<string> = new Set(["postgres"]);

/** A file of the machine that runs a pipeline: a function has none that outlives it. */
export const localKinds: ReadonlySet<string> = new Set(["file"]);

/** A logical name that a source or sink of the plan uses. */
export interface Need {
  readonly bound: BoundKind;
  readonly logical: string;
  /** Such as `source "flights"`. */
  readonly user: string;
}

export const sourceNeed = ({ name, config }: PlanPart): Need => ({
  bound: "streams",
  logical: String(config.stream),
  user: `source "${name}"`,
});

/** Null where the sink's kind is not one of {@link sinkGrants}. */
export function sinkNeed({ name, kind, config }: PlanPart): (Need & { readonly grant: TargetGrant }) | null {
  const grant = Object.hasOwn(sinkGrants, kind) ? sinkGrants[kind] : undefined;
  if (grant === undefined) return null;
  return { bound: grant.bound, logical: String(config[grant.member]), user: `sink "${name}"`, grant };
}
