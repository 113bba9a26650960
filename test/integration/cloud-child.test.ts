import { type ChildProcess, spawn } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { CreateTableCommand, PutItemCommand, ScanCommand, TransactWriteItemsCommand } from "@aws-sdk/client-dynamodb";
import {
  CreateStreamCommand,
  GetRecordsCommand,
  GetShardIteratorCommand,
  PutRecordCommand,
} from "@aws-sdk/client-kinesis";
import { CreateBucketCommand, ListObjectsV2Command, PutObjectCommand } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { dynamoAt, failure, kinesisAt, s3At } from "./cloud-clients.js";

// The compiled library, for a child process runs compiled files; `npm test` builds it first.
const dist = new URL("../../dist/local/cloud/", import.meta.url);
const { spawnCloud } = (await import(
  new URL("child.js", dist).href
)) as typeof import("../../lib/local/cloud/child.js");

const name = "durable";
let data: string;
beforeAll(() => {
  expect(existsSync(new URL("process.js", dist))).toBe(true);
  data = mkdtempSync(join(tmpdir(), "cloud-"));
});
afterAll(() => rmSync(data, { recursive: true }));

const clientsAt = (endpoint: string) => ({
  kinesis: kinesisAt(endpoint, "HTTP/2"),
  dynamo: dynamoAt(endpoint, "HTTP/1.1"),
  s3: s3At(endpoint),
});
type Clients = ReturnType<typeof clientsAt>;

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};
async function untilGone(pid: number): Promise<void> {
  for (let waited = 0; isAlive(pid) && waited < 10_000; waited += 20) await pause(20);
  expect(isAlive(pid)).toBe(false);
}

async function create({ kinesis, dynamo, s3 }: Clients): Promise<void> {
  await kinesis.send(new CreateStreamCommand({ StreamName: name, ShardCount: 1 }));
  await s3.send(new CreateBucketCommand({ Bucket: name }));
  await dynamo.send(
    new CreateTableCommand({
      TableName: name,
      BillingMode: "PAY_PER_REQUEST",
      KeySchema: [{ AttributeName: "id", KeyType: "HASH" }],
      AttributeDefinitions: [{ AttributeName: "id", AttributeType: "S" }],
    }),
  );
}

interface Acknowledged {
  readonly records: Set<string>;
  readonly items: Set<string>;
  readonly pairs: Set<string>;
  readonly objects: Set<string>;
}

/** Writes to all services until the cloud dies; what was acknowledged is in the sets. */
async function writeUntilDead({ kinesis, dynamo, s3 }: Clients, round: number, known: Acknowledged): Promise<void> {
  const write = async (into: Set<string>, one: (id: string) => Promise<unknown>) => {
    for (let count = 0; ; count += 1) {
      const id = `${round}-${count}`;
      const died = await one(id).then(
        () => false,
        () => true,
      );
      if (died) return;
      into.add(id);
    }
  };
  const pair = (id: string) =>
    ["x", "y"].map((half) => ({ Put: { TableName: name, Item: { id: { S: `pair-${id}-${half}` } } } }));
  await Promise.all([
    write(known.records, (id) =>
      kinesis.send(new PutRecordCommand({ StreamName: name, PartitionKey: id, Data: new TextEncoder().encode(id) })),
    ),
    write(known.items, (id) => dynamo.send(new PutItemCommand({ TableName: name, Item: { id: { S: id } } }))),
    write(known.pairs, (id) => dynamo.send(new TransactWriteItemsCommand({ TransactItems: pair(id) }))),
    write(known.objects, (id) => s3.send(new PutObjectCommand({ Bucket: name, Key: id, Body: id, IfNoneMatch: "*" }))),
  ]);
}

async function stored({ kinesis, dynamo, s3 }: Clients) {
  const ShardId = "shardId-000000000000";
  const { ShardIterator } = await kinesis.send(
    new GetShardIteratorCommand({ StreamName: name, ShardId, ShardIteratorType: "TRIM_HORIZON" }),
  );
  const { Records = [] } = await kinesis.send(new GetRecordsCommand({ ShardIterator }));
  const { Items = [] } = await dynamo.send(new ScanCommand({ TableName: name }));
  const objects: (string | undefined)[] = [];
  let token: string | undefined;
  do {
    const page = await s3.send(
      new ListObjectsV2Command({ Bucket: name, ...(token === undefined ? {} : { ContinuationToken: token }) }),
    );
    objects.push(...(page.Contents ?? []).map(({ Key }) => Key));
    token = page.NextContinuationToken;
  } while (token !== undefined);
  return {
    records: new Set(Records.map(({ Data }) => new TextDecoder().decode(Data))),
    items: new Set(Items.map(({ id }) => id?.S)),
    objects: new Set(objects),
  };
}

function close({ kinesis, dynamo, s3 }: Clients): void {
  kinesis.destroy();
  dynamo.destroy();
  s3.destroy();
}

describe("an embedded cloud in a process of its own", () => {
  it("keeps every acknowledged write through kill -9, and starts again at once", async () => {
    const known: Acknowledged = { records: new Set(), items: new Set(), pairs: new Set(), objects: new Set() };
    for (let round = 0; round < 3; round += 1) {
      const cloud = await spawnCloud({ port: 0, data });
      const clients = clientsAt(cloud.endpoint);
      if (round === 0) await create(clients);
      const writing = writeUntilDead(clients, round, known);
      await pause(500);
      process.kill(cloud.pid, "SIGKILL");
      await writing;
      close(clients);
    }
    const cloud = await spawnCloud({ port: 0, data });
    const clients = clientsAt(cloud.endpoint);
    const found = await stored(clients);
    close(clients);
    await cloud.stop();
    expect([...known.records].filter((id) => !found.records.has(id))).toEqual([]);
    expect([...known.items].filter((id) => !found.items.has(id))).toEqual([]);
    expect([...known.pairs].filter((id) => !found.items.has(`pair-${id}-x`))).toEqual([]);
    expect([...known.objects].filter((id) => !found.objects.has(id))).toEqual([]);
    const halves = [...found.items].filter((id) => id?.startsWith("pair-")).map((id) => String(id).slice(0, -2));
    for (const id of new Set(halves)) expect(halves.filter((half) => half === id)).toHaveLength(2);
    for (const written of Object.values(known)) expect(written.size).toBeGreaterThan(10);
    expect(isAlive(cloud.pid)).toBe(false);
  }, 60_000);

  it("refuses a folder in use with its reason, and is not left behind", async () => {
    const cloud = await spawnCloud({ port: 0, data });
    const refused = await failure(spawnCloud({ port: 0, data }));
    expect(refused).toMatchObject({ kind: "invalid", message: expect.stringContaining(data) });
    await cloud.stop();
    expect(isAlive(cloud.pid)).toBe(false);
  });

  it("ends when its parent ends", async () => {
    const program = `
      const { spawnCloud } = await import(${JSON.stringify(new URL("child.js", dist).href)});
      console.log((await spawnCloud({ port: 0, data: null })).pid);
      setInterval(() => undefined, 1000);`;
    const parent = spawn(process.execPath, ["--input-type=module", "-e", program], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const pid = Number(await firstLine(parent));
    expect(isAlive(pid)).toBe(true);
    parent.kill("SIGKILL");
    await untilGone(pid);
  });

  it("ends on SIGTERM with its data closed", async () => {
    const process_ = spawn(process.execPath, [new URL("process.js", dist).pathname, `--data=${data}`], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const { endpoint, port } = JSON.parse(await firstLine(process_)) as { endpoint: string; port: number };
    expect(endpoint).toBe(`http://127.0.0.1:${port}`);
    const ended = new Promise((resolve) => process_.once("exit", (code) => resolve(code)));
    process_.kill("SIGTERM");
    expect(await ended).toBe(0);
  });
});

describe("the guard of the stand-alone process", () => {
  const run = async (fault: string) => {
    const program = `
      const { guardAgainstEmulatorFaults } = await import(${JSON.stringify(new URL("guard.js", dist).href)});
      const { createRequire } = await import("node:module");
      const kinesalite = createRequire(${JSON.stringify(import.meta.url)})("kinesalite/db");
      guardAgainstEmulatorFaults();
      setTimeout(() => { ${fault} });
      setTimeout(() => console.log("alive"), 50);`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", program], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    const [out, err, code] = await Promise.all([all(child.stdout), all(child.stderr), exitOf(child)]);
    return { out, lines: err.trim().split("\n"), code };
  };

  it("outlives a fault in an emulator, and tells it in one line", async () => {
    const { out, lines, code } = await run('kinesalite.parseSequence("1e90")');
    expect([out.trim(), code]).toEqual(["alive", 0]);
    expect(lines).toEqual([expect.stringMatching(/^embedded cloud: a fault in an emulator: Error: Unknown version/)]);
  });

  it("lets any other fault end the process", async () => {
    const { out, lines, code } = await run('throw new Error("mine")');
    expect([out, code]).toEqual(["", 1]);
    expect(lines[0]).toContain("mine");
  });
});

describe("an embedded cloud without its emulators", () => {
  it("says how to install them", async () => {
    const bare = mkdtempSync(join(tmpdir(), "bare-"));
    cpSync(new URL("../..", dist), join(bare, "dist"), { recursive: true });
    writeFileSync(join(bare, "package.json"), '{"type":"module"}');
    mkdirSync(join(bare, "node_modules"));
    symlinkSync(new URL("../../node_modules/cbor-x", import.meta.url), join(bare, "node_modules/cbor-x"));
    const child = spawn(process.execPath, [join(bare, "dist/local/cloud/process.js")], {
      cwd: bare,
      stdio: ["ignore", "pipe", "ignore"],
    });
    const [announced, code] = await Promise.all([firstLine(child), exitOf(child)]);
    expect(JSON.parse(announced)).toEqual({
      error: { kind: "invalid", message: expect.stringContaining("npm i -D kinesalite dynalite") },
    });
    expect(code).toBe(1);
    rmSync(bare, { recursive: true });
  });
});

const exitOf = (child: ChildProcess) =>
  new Promise<number | null>((resolve) => child.once("exit", (code) => resolve(code)));

async function all(stream: NodeJS.ReadableStream): Promise<string> {
  let text = "";
  for await (const chunk of stream) text += String(chunk);
  return text;
}

async function firstLine(child: ChildProcess): Promise<string> {
  let text = "";
  for await (const chunk of child.stdout ?? []) {
    text += String(chunk);
    if (text.includes("\n")) break;
  }
  return text.split("\n")[0] ?? "";
}
