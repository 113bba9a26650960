import type { LifecycleRule } from "@aws-sdk/client-s3";
import type { BucketRule } from "../ports/objects.js";

/** What lies there is not copied before somebody has restored it. */
const archives: ReadonlySet<string> = new Set(["GLACIER", "DEEP_ARCHIVE"]);

/**
 * Of a bucket's lifecycle rules those by which objects of ours could go away, or where they cannot be copied from. A rule that asks
 * for a tag is none: our objects have no tags. One that aborts uploads of parts is none either: each object is put whole.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_LifecycleRule.html
 */
export function harmfulRules(rules: readonly LifecycleRule[]): readonly BucketRule[] {
  return rules.flatMap((rule, index) => {
    const { Filter: filter, Status } = rule;
    const effect = effectOf(rule);
    const asksForTag = filter?.Tag !== undefined || (filter?.And?.Tags ?? []).length > 0;
    if (Status !== "Enabled" || effect === null || asksForTag) return [];
    const prefix = filter?.Prefix ?? filter?.And?.Prefix ?? rule.Prefix ?? "";
    return [{ id: rule.ID ?? `number ${index + 1}`, prefix, effect }];
  });
}

function effectOf({ Expiration, Transitions = [] }: LifecycleRule): string | null {
  if (Expiration?.Days !== undefined) return `expires objects after ${Expiration.Days} days`;
  if (Expiration?.Date !== undefined) return `expires objects on ${Expiration.Date.toISOString().slice(0, 10)}`;
  const archived = Transitions.find(({ StorageClass = "" }) => archives.has(StorageClass));
  return archived === undefined ? null : `moves objects to ${archived.StorageClass}`;
}
