import { dynamoTables } from "../../connectors/dynamo-tables.js";
import { registersKey } from "../../connectors/provision.js";
import { s3Objects } from "../../connectors/s3-objects.js";
import { removeVersions } from "../../connectors/s3-versions.js";
import { StreamError } from "../../model/errors.js";
import type { Blobs } from "../../ports/blobs.js";
import type { Registers } from "../../ports/registers.js";
import type { AttributeType } from "../../ports/tables.js";
import { storeOf, type Target } from "../environment.js";
import { drawId } from "../status-waiting.js";
import { type Finding, failure, isAbsent, isDenied, ok, problem, warning } from "./findings.js";
import { tryAll } from "./trials.js";

/** No pipeline has such a name. */
const group = "~doctor";

const keyText = (key: readonly { readonly name: string; readonly type: AttributeType }[]) =>
  key.map(({ name, type }) => `${name}: ${type}`).join(", ");

/** Whether the table of checkpoints is there and has the right key; and whether what the protocol does to it is allowed and honoured. */
export async function tableFindings(target: Target): Promise<readonly Finding[]> {
  const { table } = target.environment;
  const check = `table "${table}"`;
  try {
    const described = await dynamoTables(target.clients.dynamo).describe(table);
    if (described.kind === "absent") return [missing(check, target)];
    const [found, wanted] = [keyText(described.key), keyText(registersKey)];
    if (found !== wanted)
      return [
        problem(
          check,
          `its key is (${found}), not (${wanted})`,
          "name another table in tidemark.config.ts, or make it anew",
        ),
      ];
    const { registers } = storeOf(group, target);
    return [ok(check, `is there, with the key (${found})`), await tryTable(registers, table)];
  } catch (error) {
    return [failure(check, error)];
  }
}

/** What `dev` makes is none to worry about. */
export function missing(check: string, { local }: Target): Finding {
  return local
    ? ok(check, 'is not there yet: "tidemark dev" makes it')
    : problem(check, "is not there, in this account and region", "create it, or bind another in tidemark.config.ts");
}

async function tryTable(registers: Registers, table: string): Promise<Finding> {
  const check = "rights on the table";
  const key = { group, name: drawId() };
  const remove = { action: "dynamodb:DeleteItem", call: () => registers.remove(key) };
  // First: what could not be removed is not written.
  const removed = await tryAll(check, `"${table}"`, [remove]);
  if (removed.level !== "ok") return unwritten(removed);
  try {
    return await tryAll(check, `"${table}"`, [
      remove,
      { action: "dynamodb:PutItem", call: () => swapTwice(registers, key) },
      { action: "dynamodb:GetItem", call: () => registers.read(key) },
      { action: "dynamodb:UpdateItem", call: () => registers.put(key, "2") },
      { action: "dynamodb:Query", call: () => registers.list(group, key.name) },
    ]);
  } finally {
    await registers.remove(key);
  }
}

const unwritten = (finding: Finding): Finding => ({
  ...finding,
  found: `${finding.found}; what else is allowed was not tried, since nothing that is written could be removed`,
});

/** The protocol's safety rests on this: of two that create, the second is refused. */
async function swapTwice(registers: Registers, key: { readonly group: string; readonly name: string }): Promise<void> {
  const first = await registers.swap(key, null, "1");
  const second = await registers.swap(key, null, "2");
  if (first.kind === "swapped" && second.kind === "conflict" && second.current?.body === "1") return;
  throw new StreamError(
    "invalid",
    "a conditional put has written over what it had to leave: pipelines are not safe on this service; use DynamoDB",
  );
}

/** Whether the bucket of checkpoints is there, what is allowed there, and whether its rules would take state away. */
export async function bucketFindings(target: Target, pipeline: string | null): Promise<readonly Finding[]> {
  const { bucket } = target.environment;
  const check = `bucket "${bucket}"`;
  const { blobs } = storeOf(group, target);
  try {
    for await (const _ of blobs.list(`${group}/`)) break;
  } catch (error) {
    if (isAbsent(error)) return [missing(check, target)];
    if (!isDenied(error)) return [failure(check, error)];
  }
  return [await tryBucket(target, blobs), await ruleFinding(target, pipeline)];
}

async function tryBucket(target: Target, blobs: Blobs): Promise<Finding> {
  const { bucket } = target.environment;
  const check = "rights on the bucket";
  const key = `${group}/${drawId()}`;
  const remove = { action: "s3:DeleteObject", call: () => blobs.remove([key]) };
  const removed = await tryAll(check, `"${bucket}"`, [remove]);
  if (removed.level !== "ok") return unwritten(removed);
  let finding: Finding;
  try {
    finding = await tryAll(check, `"${bucket}"`, [
      remove,
      { action: "s3:PutObject", call: () => blobs.put(key, bytes) },
      { action: "s3:GetObject", call: () => sameBytes(blobs, key) },
      { action: "s3:ListBucket", call: () => first(blobs.list(key)) },
    ]);
  } finally {
    await blobs.remove([key]);
  }
  const { s3 } = target.clients;
  const versions = await removeVersions(s3, bucket, key);
  if (versions.kind === "removed") return finding;
  const found = `${finding.found}; if it keeps versions, those of "${key}" could not be removed (${versions.why})`;
  const remedy = "allow s3:ListBucketVersions and s3:DeleteObjectVersion, or remove them";
  return finding.level === "ok" ? warning(check, found, remedy) : { ...finding, found };
}

const bytes = new TextEncoder().encode("tidemark doctor");

async function sameBytes(blobs: Blobs, key: string): Promise<void> {
  const found = await blobs.get(key);
  // Null where it may not be written.
  if (found === null || Buffer.compare(found, bytes) === 0) return;
  throw new StreamError("corrupt", `"${key}" came back otherwise than it was put: use another service`);
}

async function first(list: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of list) return;
}

async function ruleFinding(target: Target, pipeline: string | null): Promise<Finding> {
  const check = "lifecycle rules of the bucket";
  const { bucket } = target.environment;
  try {
    const found = await s3Objects(target.clients.s3).rules(bucket);
    if (found.kind === "unknown")
      return warning(
        check,
        `could not be read (${found.why})`,
        "allow s3:GetLifecycleConfiguration to the identity that calls",
      );
    const state = pipeline === null ? "" : `${pipeline}/`;
    const harmful = found.rules.filter(({ prefix }) => prefix.startsWith(state) || state.startsWith(prefix));
    if (harmful.length === 0) return ok(check, "none takes state away");
    const texts = harmful.map(
      ({ id, prefix, effect }) => `"${id}" ${effect}${prefix === "" ? "" : ` below "${prefix}"`}`,
    );
    const remedy =
      "remove them, or give them a prefix that no pipeline's name begins with: only tidemark knows what is garbage";
    return pipeline === null ? warning(check, texts.join("; "), remedy) : problem(check, texts.join("; "), remedy);
  } catch (error) {
    return failure(check, error);
  }
}
