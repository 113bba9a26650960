// Tables and streams that are not what the checkpoint knows: one message each, nothing is fenced or overwritten, and what was
// mended goes on exactly.
import { setTimeout as pause } from "node:timers/promises";
import { gunzipSync, gzipSync } from "node:zlib";
import { DeleteTableCommand, PutItemCommand, UpdateItemCommand } from "@aws-sdk/client-dynamodb";
import { DeleteStreamCommand, DescribeStreamSummaryCommand, PutRecordCommand } from "@aws-sdk/client-kinesis";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import {
  countsOf,
  feed,
  makeStream,
  someWords,
  startTestCloud,
  type TestCloud,
  totals,
} from "../fixtures/cli/cloud.js";
import { endAll } from "../fixtures/cli/command.js";
import { checkpointsText, dev } from "../fixtures/cli/dev.js";
import {
  type CountOptions,
  countPipeline,
  filesUnder,
  newProject,
  type Project,
  rarely,
} from "../fixtures/cli/project.js";
import { drain, expectOneMessage, expectRefusedDev, marker } from "../fixtures/cli/refusal.js";
import { dynamoAt, kinesisAt } from "./cloud-clients.js";

// Processes start slowly on a busy machine.
vi.setConfig({ testTimeout: 90_000, hookTimeout: 60_000 });

let home: Project;
let cloud: TestCloud;
const projects: Project[] = [];
beforeAll(async () => {
  home = newProject({});
  projects.push(home);
  cloud = await startTestCloud(home.folder);
});
afterAll(async () => {
  await cloud.close();
  endAll();
  for (const project of projects) project.remove();
});

async function projectOf(options: CountOptions): Promise<Project> {
  const project = newProject({ "pipeline.ts": countPipeline({ settings: rarely, ...options }) });
  projects.push(project);
  await makeStream(cloud.endpoint, `words-${options.name}`);
  return project;
}
const tables = <T>(use: (client: ReturnType<typeof dynamoAt>) => Promise<T>): Promise<T> => {
  const client = dynamoAt(cloud.endpoint, "HTTP/1.1");
  return use(client).finally(() => client.destroy());
};

describe("a table that another pipeline wrote", () => {
  it("W1: is named with its key and both remedies, and left as it was; adopted, the pipeline goes on exactly", async () => {
    const name = "adopting";
    const project = await projectOf({ name });
    const words = someWords(40, 4);
    await feed(cloud.endpoint, `words-${name}`, words.slice(0, 20));
    await drain(project, cloud.endpoint);
    const before = await checkpointsText(project, cloud.env);
    const theirs = { word: { S: "new" }, n: { N: "77" }, "~tidemark": { B: new Uint8Array(24).fill(9) } };
    await tables((client) => client.send(new PutItemCommand({ TableName: `totals-${name}`, Item: theirs })));
    const all = [...words, { word: "new" }];
    await feed(cloud.endpoint, `words-${name}`, all.slice(20));
    const message =
      /^tidemark: pipeline "adopting" failed: sink "totals": sink table "totals-adopting": an item \(key word\) was written by another pipeline, .* \(W1\)\. Remove the attribute "~tidemark" from the items to adopt the table, or write to another table\n/;
    const ended = await dev(project, ["--until-drained"], cloud.env).ended;
    expectOneMessage(ended, 1, message);
    const kept = (await totals(cloud.endpoint, `totals-${name}`)).get("new");
    expect(kept).toBe(77);
    // The checkpoint that has the row is complete, and goes on listing it; those before it are as they were.
    expect(await checkpointsText(project, cloud.env)).toContain(before.trim().slice(1));
    await tables((client) =>
      client.send(
        new UpdateItemCommand({
          TableName: `totals-${name}`,
          Key: { word: { S: "new" } },
          UpdateExpression: "REMOVE #v",
          ExpressionAttributeNames: { "#v": "~tidemark" },
        }),
      ),
    );
    await drain(project, cloud.endpoint);
    expect(await totals(cloud.endpoint, `totals-${name}`)).toEqual(countsOf(all));
  });
});

describe("a stream that was deleted and made anew", () => {
  it("K3: is told before anything is fenced", async () => {
    const name = "anew";
    const project = await projectOf({ name });
    await feed(cloud.endpoint, `words-${name}`, someWords(20, 4));
    await drain(project, cloud.endpoint);
    const before = await checkpointsText(project, cloud.env);
    const client = kinesisAt(cloud.endpoint, "HTTP/2");
    await client.send(new DeleteStreamCommand({ StreamName: `words-${name}` }));
    const describeIt = () => client.send(new DescribeStreamSummaryCommand({ StreamName: `words-${name}` }));
    while (
      await describeIt().then(
        () => true,
        () => false,
      )
    )
      await pause(50);
    client.destroy();
    await makeStream(cloud.endpoint, `words-${name}`);
    const message =
      /^tidemark: source "words": the stream \S+words-anew is not the one that the checkpoint has positions in .* start under another pipeline name\n$/;
    await expectRefusedDev(project, { pipeline: name, endpoint: cloud.endpoint }, 1, message);
    expect(await checkpointsText(project, cloud.env)).toBe(before);
  });
});

describe("a record that inflates", () => {
  it("without end is given up at the limit, named, and never shown; left out by a quarantine, the rest counts", async () => {
    const name = "inflating";
    const compressed = (more: string) =>
      countPipeline({ name, settings: more, codec: "gzip(json<Word>())" }).replace(
        "{ dynamoTable",
        "{ dynamoTable, fileSink, gzip",
      );
    const project = await projectOf({ name });
    project.write("pipeline.ts", compressed(rarely));
    const packed = (body: string) => gzipSync(body);
    await feedBytes(`words-${name}`, [packed('{"word":"a"}'), packed('{"word":"b"}')]);
    await drain(project, cloud.endpoint);
    const before = await checkpointsText(project, cloud.env);
    await feedBytes(`words-${name}`, [packed(marker.repeat(4_000_000)), packed('{"word":"a"}')]);
    const message =
      /^tidemark: pipeline "inflating" failed: source "words", shard \S+, sequence number \d+: the record \(\d+ bytes, compressed\) inflates to more than inflatedBytesMax \(10485760 bytes\); .* \(codec gzip\(json\)\)/;
    await expectRefusedDev(project, { pipeline: name, endpoint: cloud.endpoint }, 1, message);
    expect(await checkpointsText(project, cloud.env)).toBe(before);
    project.write(
      "pipeline.ts",
      compressed(`${rarely}, onBadRecord: "quarantine", deadLetters: fileSink({ folder: "dead" })`),
    );
    await drain(project, cloud.endpoint);
    expect(await totals(cloud.endpoint, `totals-${name}`)).toEqual(countsOf(["a", "b", "a"].map((word) => ({ word }))));
    const [letter] = filesUnder(`${project.folder}/dead`).filter(({ path }) => path.endsWith(".jsonl"));
    const { data, step } = JSON.parse(letter?.text ?? "null") as { data: string; step: string };
    expect(step).toBe("decode");
    expect(gunzipSync(Buffer.from(data, "base64")).length).toBe(4_000_000 * marker.length);
  });
});

async function feedBytes(stream: string, records: readonly Uint8Array[]): Promise<void> {
  const client = kinesisAt(cloud.endpoint, "HTTP/2");
  for (const [i, Data] of records.entries())
    await client.send(new PutRecordCommand({ StreamName: stream, PartitionKey: `k${i}`, Data }));
  client.destroy();
}

describe("a quarantine whose table", () => {
  const quarantine = (name: string) =>
    `${rarely}, onBadRecord: "quarantine", deadLetters: dynamoTable({ table: "dead-${name}", key: ["id"] })`;

  it("is gone: is told, with the key that it needs; made again, the bad record is put aside and the rest counts", async () => {
    const name = "gone";
    const project = await projectOf({ name, settings: quarantine(name) });
    await feed(cloud.endpoint, `words-${name}`, someWords(10, 2));
    await drain(project, cloud.endpoint);
    const before = await checkpointsText(project, cloud.env);
    await tables((client) => client.send(new DeleteTableCommand({ TableName: `dead-${name}` })));
    await feed(cloud.endpoint, `words-${name}`, ["torn", { word: "w0" }]);
    const message =
      /^tidemark: sink "dead-letters": there is no table "dead-gone" in \S+; leave out --no-create to have it made, or bind another/;
    const where = { pipeline: name, endpoint: cloud.endpoint, flags: ["--no-create"] };
    await expectRefusedDev(project, where, 1, message);
    expect(await checkpointsText(project, cloud.env)).toBe(before);
    await drain(project, cloud.endpoint);
    expect(await totals(cloud.endpoint, `totals-${name}`)).toEqual(countsOf([...someWords(10, 2), { word: "w0" }]));
  });

  it("refuses a record that is too large: is told, and every checkpoint stays; with files for them it goes on exactly", async () => {
    const name = "large";
    const project = await projectOf({ name, settings: quarantine(name) });
    await feed(cloud.endpoint, `words-${name}`, someWords(10, 2));
    await drain(project, cloud.endpoint);
    const before = await checkpointsText(project, cloud.env);
    await feed(cloud.endpoint, `words-${name}`, [marker.repeat(24_000)]);
    const message =
      /^tidemark: pipeline "large" failed: sink "dead-letters": dynamoTable "dead-large": a row has 4\d{5} bytes/;
    const where = { pipeline: name, endpoint: cloud.endpoint, flags: ["--until-drained"] };
    await expectRefusedDev(project, where, 1, message);
    expect(await checkpointsText(project, cloud.env)).toBe(before);
    const files = `${rarely}, onBadRecord: "quarantine", deadLetters: fileSink({ folder: "dead" })`;
    const text = countPipeline({ name, settings: files }).replace(
      "import { dynamoTable",
      "import { dynamoTable, fileSink",
    );
    project.write("pipeline.ts", text);
    await drain(project, cloud.endpoint);
    expect(await totals(cloud.endpoint, `totals-${name}`)).toEqual(countsOf(someWords(10, 2)));
  });
});
