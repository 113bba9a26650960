// Stored bytes that are gone or changed: `corrupt`, with the name of what is wrong; nothing is touched; once it is put back the next
// dev goes on exactly.
import { createHash } from "node:crypto";
import { DeleteItemCommand, PutItemCommand, QueryCommand } from "@aws-sdk/client-dynamodb";
import { DeleteObjectCommand } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import {
  countsOf,
  feed,
  makeStream,
  objects,
  readObject,
  someWords,
  startTestCloud,
  type TestCloud,
  totals,
  writeObject,
} from "../fixtures/cli/cloud.js";
import { endAll, run } from "../fixtures/cli/command.js";
import { checkpointsText } from "../fixtures/cli/dev.js";
import { countPipeline, newProject, type Project, rarely } from "../fixtures/cli/project.js";
import { drain, expectOneMessage, expectRefusedDev } from "../fixtures/cli/refusal.js";
import { dynamoAt, s3At } from "./cloud-clients.js";

// Processes start slowly on a busy machine.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const name = "snapshots";
const bucket = "tidemark-dev";
// Many keys that do not compress: the state is an object of its own, not part of an item.
const words = someWords(1_200, 400).map(({ word }) => ({ word: createHash("sha256").update(word).digest("hex") }));
let project: Project;
let cloud: TestCloud;
let state: string;
let before: string;

beforeAll(async () => {
  project = newProject({ "pipeline.ts": countPipeline({ name, settings: rarely }) });
  cloud = await startTestCloud(project.folder);
  await makeStream(cloud.endpoint, `words-${name}`);
  await feed(cloud.endpoint, `words-${name}`, words.slice(0, 800));
  await drain(project, cloud.endpoint);
  await feed(cloud.endpoint, `words-${name}`, words.slice(800));
  const names = Object.keys(await objects(cloud.endpoint, bucket, `${name}/`)).filter((key) => key.includes("/state-"));
  expect(names.length).toBeGreaterThan(0);
  state = names.at(-1) ?? "";
  before = await checkpointsText(project, cloud.env);
});
afterAll(async () => {
  await cloud.close();
  endAll();
  project.remove();
});

const refused = (message: RegExp) =>
  expectRefusedDev(project, { pipeline: name, endpoint: cloud.endpoint }, 4, message);

async function removeObject(key: string): Promise<void> {
  const client = s3At(cloud.endpoint);
  await client.send(new DeleteObjectCommand({ Bucket: bucket, Key: key }));
  client.destroy();
}

const flipped = (bytes: Uint8Array, at: number): Uint8Array =>
  bytes.map((byte, index) => (index === at ? byte ^ 0x10 : byte));

describe("a snapshot that is", () => {
  const damages: readonly (readonly [string, (bytes: Uint8Array) => Promise<void>])[] = [
    ["missing", () => removeObject(state)],
    ["truncated", (bytes) => writeObject(cloud.endpoint, bucket, state, bytes.subarray(0, bytes.length - 7))],
    [
      "changed by one bit in its middle",
      (bytes) => writeObject(cloud.endpoint, bucket, state, flipped(bytes, bytes.length >> 1)),
    ],
  ];
  it.each(damages)("P3: %s stops the restore, by its name", async (_, damage) => {
    const bytes = await readObject(cloud.endpoint, bucket, state);
    await damage(bytes);
    await refused(
      new RegExp(
        `pipeline "${name}" failed: [^\\n]*${state.replaceAll(".", "\\.")}[^\\n]*\\n.*restore what is named and run dev again`,
      ),
    );
    await writeObject(cloud.endpoint, bucket, state, bytes);
    expect(await checkpointsText(project, cloud.env)).toBe(before);
  });
});

describe("a manifest that is", () => {
  it("R7: missing is read from its copy; without one it stops the start and the list of checkpoints, by its name", async () => {
    const client = dynamoAt(cloud.endpoint, "HTTP/1.1");
    const query = new QueryCommand({
      TableName: "tidemark-dev",
      KeyConditionExpression: "pk = :p AND begins_with(sk, :m)",
      ExpressionAttributeValues: { ":p": { S: name }, ":m": { S: "manifest/" } },
    });
    const Item = (await client.send(query)).Items?.at(-1) ?? {};
    const { pk, sk } = Item;
    if (pk === undefined || sk === undefined) throw new Error("there is no manifest");
    await client.send(new DeleteItemCommand({ TableName: "tidemark-dev", Key: { pk, sk } }));
    expect(await checkpointsText(project, cloud.env)).toBe(before);
    const copy = (sk.S ?? "").replace(/^manifest\/(.*)\/(\w+)$/, `${name}/$1/manifest-$2.json`);
    const bytes = await readObject(cloud.endpoint, bucket, copy);
    await removeObject(copy);
    const message = new RegExp(
      `tidemark: pipeline "${name}": the manifest of checkpoint \\d+ is gone or changed.*${sk.S}.*${copy}`,
    );
    await refused(message);
    expectOneMessage(await run(["checkpoints", "pipeline.ts"], { cwd: project.folder, env: cloud.env }), 4, message);
    await client.send(new PutItemCommand({ TableName: "tidemark-dev", Item }));
    await writeObject(cloud.endpoint, bucket, copy, bytes);
    client.destroy();
  });
});

it("what was put back is gone on from, exactly", async () => {
  expect(await checkpointsText(project, cloud.env)).toBe(before);
  await drain(project, cloud.endpoint);
  expect(await totals(cloud.endpoint, `totals-${name}`)).toEqual(countsOf(words));
});
