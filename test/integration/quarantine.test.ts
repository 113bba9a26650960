// `tidemark quarantine` as a process: what was put aside, and what becomes of it when it is put back.
import { DescribeTableCommand, UpdateItemCommand } from "@aws-sdk/client-dynamodb";
import { GetRecordsCommand, GetShardIteratorCommand, ListShardsCommand } from "@aws-sdk/client-kinesis";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { countsOf, feed, someWords, startTestCloud, type TestCloud, totals } from "../fixtures/cli/cloud.js";
import { endAll, run } from "../fixtures/cli/command.js";
import { countPipeline, newProject, type Project } from "../fixtures/cli/project.js";
import { expectOneMessage } from "../fixtures/cli/refusal.js";
import { startPostgres, type TestServer } from "../fixtures/postgres/server.js";
import { dynamoAt, kinesisAt } from "./cloud-clients.js";

// Processes start slowly on a busy machine.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 });

let project: Project;
let cloud: TestCloud;
let database: TestServer;
beforeAll(async () => {
  project = newProject({
    "tidemark.config.ts": 'export default { bindings: { databases: { shop: "env:SHOP_URL" } } };',
  });
  cloud = await startTestCloud(project.folder);
  database = await startPostgres();
  await database.query(`create table letters (id text primary key, source text, shard text, "sequenceNumber" numeric,
    "subSequenceNumber" int, "arrivedAt" timestamptz, step varchar, cause text, data text)`);
});
afterAll(async () => {
  await database.close();
  await cloud.close();
  endAll();
  project.remove();
});

const tidemark = (...args: string[]) =>
  run(args, { cwd: project.folder, env: { ...cloud.env, SHOP_URL: database.url } });
const drained = async (name: string) =>
  expect(await tidemark("dev", `${name}.ts`, "--until-drained")).toMatchObject({ code: 0 });

/** Counts words; whether it refuses the word "bad" is what is mended. */
function write(name: string, refuses: string, deadLetters: string): void {
  const onRecord = `if (${refuses}) throw new RangeError("no such word");
    state.n.update((n) => n + 1); return { word: key, n: state.n.get() };`;
  const settings = `onBadRecord: "quarantine", deadLetters: ${deadLetters}`;
  const text = countPipeline({ name, settings, onRecord });
  const imports = `import { readdirSync, readFileSync, writeFileSync } from "node:fs"; import { postgres } from "tidemark/postgres";`;
  const named = text.replace("{ dynamoTable,", "{ dynamoTable, fileSink, kinesisStream, s3Files, writeAheadLog,");
  project.write(`${name}.ts`, `${imports}\n${named}`);
}
/** A sink of one's own: segments as files, by their position. */
const own = (folder: () => string) => `writeAheadLog<any>({ kind: "own", open: () => ({
  apply: async ({ token, rows }) => writeFileSync("${folder()}/own-" + token.id, JSON.stringify(rows)),
  letters: async () => readdirSync("${folder()}").filter((name) => name.startsWith("own-"))
    .flatMap((name) => JSON.parse(readFileSync("${folder()}/" + name, "utf8"))),
}) })`;
const tableOf = (name: string) => `dynamoTable({ table: "dead-${name}", key: ["id"] })`;

interface Listed {
  readonly id: string;
  readonly step: string;
  readonly cause: string;
  readonly data: string;
  readonly putBack: { readonly at: string; readonly to: string | null } | null;
}
async function list(name: string, ...flags: string[]): Promise<readonly Listed[]> {
  const ended = await tidemark("quarantine", `${name}.ts`, "--json", ...flags);
  expect(ended).toMatchObject({ code: 0, err: "" });
  return JSON.parse(ended.out) as readonly Listed[];
}

async function recordsOf(stream: string) {
  const client = kinesisAt(cloud.endpoint, "HTTP/2");
  const { Shards = [] } = await client.send(new ListShardsCommand({ StreamName: stream }));
  const records: { key: string; text: string; at: string }[] = [];
  for (const { ShardId } of Shards) {
    const start = { StreamName: stream, ShardId, ShardIteratorType: "TRIM_HORIZON" } as const;
    let { ShardIterator: cursor } = await client.send(new GetShardIteratorCommand(start));
    for (let behind = 1; behind > 0; ) {
      const page = await client.send(new GetRecordsCommand({ ShardIterator: cursor }));
      for (const { PartitionKey: key = "", Data, SequenceNumber: n = "" } of page.Records ?? [])
        records.push({ key, text: Buffer.from(Data ?? []).toString("utf8"), at: `${ShardId}/${n}` });
      cursor = page.NextShardIterator;
      behind = page.MillisBehindLatest ?? 0;
    }
  }
  client.destroy();
  return records;
}

describe("quarantine", () => {
  it("Q1 lists what was put aside; put back it counts, once, with its bytes and its partition key", async () => {
    write("shops", 'key === "bad"', tableOf("shops"));
    await drained("shops");
    const words = someWords(40, 5);
    await feed(cloud.endpoint, "words-shops", [...words, { word: "bad" }, { word: "bad" }, "no JSON"]);
    await drained("shops");
    const before = await list("shops");
    expect(before.map(({ step, putBack }) => [step, putBack]).sort()).toEqual([
      ["decode", null],
      ['operator "count"', null],
      ['operator "count"', null],
    ]);
    const bad = before.filter(({ step }) => step !== "decode");
    expect(bad.map(({ cause }) => cause)).toEqual([0, 1].map(() => expect.stringContaining("no such word")));
    const seen = await tidemark("quarantine", "shops.ts");
    expect(seen.out).toContain(`${bad[0]?.id}\n`);
    expect(seen.out).toContain("3 put aside, 0 put back since\n");

    write("shops", "false", tableOf("shops"));
    const [one, two] = bad.map(({ id }) => id) as [string, string];
    const dry = await tidemark("quarantine", "shops.ts", "--retry", one, "--dry-run");
    expect(dry).toMatchObject({ code: 0, out: `${one} would be put back. Nothing was changed\n` });
    expect(await recordsOf("words-shops")).toHaveLength(43);

    const [done] = await list("shops", "--retry", one);
    expect(done).toMatchObject({ id: one, putBack: { to: expect.stringMatching(/^shardId-\d+\/\d+$/) } });
    const records = await recordsOf("words-shops");
    expect(records).toHaveLength(44);
    const again = records.find(({ at }) => at === done?.putBack?.to);
    const original = records.find(({ at }) => `words/${at}` === one);
    expect(again).toEqual({ ...original, at: done?.putBack?.to });
    await drained("shops");
    expect(await totals(cloud.endpoint, "totals-shops")).toEqual(countsOf([...words, { word: "bad" }]));

    expectOneMessage(await tidemark("quarantine", "shops.ts", "--retry", one), 1, /was put back at .*, as shardId-/);
    expectOneMessage(await tidemark("quarantine", "shops.ts", "--retry", two, "x/y/1"), 1, /no dead letter "x\/y\/1"/);
    expect(await recordsOf("words-shops")).toHaveLength(44);
    expect((await tidemark("quarantine", "shops.ts")).out).toContain("2 put aside, 1 put back since\n");
  });

  it("Q1 R5 one whose putting back was cut off is not put again, until somebody says so", async () => {
    write("cut", 'key === "bad"', tableOf("cut"));
    await drained("cut");
    await feed(cloud.endpoint, "words-cut", [{ word: "bad" }]);
    await drained("cut");
    const id = (await list("cut"))[0]?.id ?? "";
    const client = dynamoAt(cloud.endpoint, "HTTP/1.1");
    await client.send(
      new UpdateItemCommand({
        TableName: "dead-cut",
        Key: { id: { S: id } },
        UpdateExpression: "SET #at = :at",
        ExpressionAttributeNames: { "#at": "~putBackAt" },
        ExpressionAttributeValues: { ":at": { S: "2026-03-01T00:00:00.000Z" } },
      }),
    );
    expectOneMessage(await tidemark("quarantine", "cut.ts", "--retry", id), 1, /whether it came is not known.*--again/);
    expect((await tidemark("quarantine", "cut.ts")).out).toContain("whether it came is not known");
    expect(await recordsOf("words-cut")).toHaveLength(1);
    expect(await list("cut", "--retry", id, "--again")).toMatchObject([{ id, putBack: { to: expect.any(String) } }]);
    expect(await recordsOf("words-cut")).toHaveLength(2);
    expect((await client.send(new DescribeTableCommand({ TableName: "dead-cut" }))).Table?.TableStatus).toBe("ACTIVE");
    client.destroy();
  });

  it("Q1 what the stream no longer has, or an exchange has changed, is not put back by itself", async () => {
    write("gone", 'key === "bad"', tableOf("gone"));
    await drained("gone");
    await feed(cloud.endpoint, "words-gone", [{ word: "bad" }]);
    await drained("gone");
    const letter = (await list("gone"))[0];
    const id = letter?.id ?? "";
    const client = dynamoAt(cloud.endpoint, "HTTP/1.1");
    const set = (name: string, text: string) =>
      client.send(
        new UpdateItemCommand({
          TableName: "dead-gone",
          Key: { id: { S: id } },
          UpdateExpression: "SET #n = :t",
          ExpressionAttributeNames: { "#n": name },
          ExpressionAttributeValues: { ":t": { S: text } },
        }),
      );
    await set("data", Buffer.from('{"half":"a record"}').toString("base64"));
    expectOneMessage(await tidemark("quarantine", "gone.ts", "--retry", id), 1, /put aside behind an exchange/);
    await set("data", letter?.data ?? "");
    await set("shard", "shardId-000000000099");
    expectOneMessage(await tidemark("quarantine", "gone.ts", "--retry", id), 1, /no longer has.*--partition-key/);
    expect(await recordsOf("words-gone")).toHaveLength(1);
    await list("gone", "--retry", id, "--partition-key", "given");
    expect((await recordsOf("words-gone")).map(({ key }) => key)).toContain("given");
    client.destroy();
  });

  it.each([
    ["folder", 'fileSink({ folder: "dead-letters" })'],
    ["bucket", 's3Files({ bucket: "dead", prefix: "letters", staging: "staged" })'],
    ["stream", 'kinesisStream({ stream: "dead", partitionKey: ({ id }) => id.slice(-9) })'],
    ["database", 'postgres({ database: "shop", table: "letters", mode: "upsert", key: ["id"] })'],
    ["own", () => own(() => project.folder)],
  ])("Q1 R5 those in a %s are listed, put back once, and count once", async (name, given) => {
    const sink = typeof given === "string" ? given : given();
    write(name, 'key === "bad"', sink);
    await drained(name);
    await feed(cloud.endpoint, `words-${name}`, [{ word: "good" }, { word: "bad" }, "no JSON"]);
    await drained(name);
    const before = await list(name);
    expect(before.map(({ step, putBack }) => [step, putBack]).sort()).toEqual([
      ["decode", null],
      ['operator "count"', null],
    ]);
    const id = before.find(({ step }) => step !== "decode")?.id ?? "";
    expect((await tidemark("quarantine", `${name}.ts`, "--retry", id, "--dry-run")).out).toContain("would be put back");
    write(name, "false", sink);
    // Whoever else begins at the same time loses.
    const both = await Promise.all([1, 2].map(() => tidemark("quarantine", `${name}.ts`, "--retry", id)));
    expect(both.filter(({ code }) => code === 0)).toHaveLength(1);
    expect(both.map(({ err }) => err).join("")).toMatch(/^tidemark: .*(somebody else puts|was put back|is not known)/);
    expectOneMessage(await tidemark("quarantine", `${name}.ts`, "--retry", id), 1, /was put back at .*, as shardId-/);
    expect(await recordsOf(`words-${name}`)).toHaveLength(4);
    await drained(name);
    expect(await totals(cloud.endpoint, `totals-${name}`)).toEqual(countsOf([{ word: "good" }, { word: "bad" }]));
    expect((await tidemark("quarantine", `${name}.ts`)).out).toContain("1 put aside, 1 put back since\n");
  });

  it("says where there are none, and which it cannot read", async () => {
    write("mute", 'key === "bad"', 'writeAheadLog<any>({ kind: "mute", open: () => ({ apply: async () => {} }) })');
    await drained("mute");
    expectOneMessage(
      await tidemark("quarantine", "mute.ts"),
      1,
      /of kind "mute", which does not say what it has: give/,
    );
    project.write("none.ts", countPipeline({ name: "none" }));
    await drained("none");
    expectOneMessage(await tidemark("quarantine", "none.ts"), 1, /puts no record aside/);
  });
});
