import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, test } from "vitest";
import { dynamoTable } from "../../lib/connectors/dynamo-table.js";
import { dynamoTables } from "../../lib/connectors/dynamo-tables.js";
import { fileSink } from "../../lib/connectors/file-sink.js";
import { jsonLines } from "../../lib/connectors/json-lines.js";
import { nodeFiles } from "../../lib/connectors/node-files.js";
import { s3Blobs } from "../../lib/connectors/s3-blobs.js";
import { s3Files } from "../../lib/connectors/s3-files.js";
import { s3Objects } from "../../lib/connectors/s3-objects.js";
import { versionAttribute } from "../../lib/model/versions.js";
import { deleted } from "../../lib/pipeline/deletion.js";
import type { EagerSink, HeldSink, SinkResources, TwoPhaseSink } from "../../lib/pipeline/sink.js";
import { systemClock } from "../../lib/ports/clock.js";
import type { Files } from "../../lib/ports/files.js";
import type { Objects } from "../../lib/ports/objects.js";
import type { Tables } from "../../lib/ports/tables.js";
import { keyedSinkConformance, type OpenKeyedSink } from "../../lib/testing/conformance/keyed-sinks.js";
import { lossyResources } from "../../lib/testing/conformance/sink-losses.js";
import { twoPhaseSinkConformance } from "../../lib/testing/conformance/two-phase-sinks.js";
import { faulty } from "../../lib/testing/faults/faulty.js";
import { memoryFiles } from "../../lib/testing/memory/files.js";
import { memoryLog } from "../../lib/testing/memory/log.js";
import { memoryObjects } from "../../lib/testing/memory/objects.js";
import { memoryTables } from "../../lib/testing/memory/tables.js";
import { quickClock } from "../unit/checkpoint-worlds.js";
import { type Cloud, openCloud } from "./aws-cloud.js";

interface Row {
  readonly id: string;
  readonly n: number;
}

const resourcesOf = (
  given: { readonly tables?: Tables; readonly files?: Files; readonly objects?: Objects },
  session = "one",
  generation = 1,
): SinkResources => ({
  tables: given.tables ?? memoryTables().tables,
  streams: memoryLog(systemClock).streams,
  files: given.files ?? memoryFiles().files,
  objects: given.objects ?? memoryObjects().objects,
  clock: systemClock,
  bind: (_kind, logical) => logical,
  stage: { task: "0.0-", session: `0.0-${generation}-${session}` },
});

const deliveries = [{ delivery: "held" }, { delivery: "eager", stableKeys: true }] as const;

function tableSink(table: string, options: (typeof deliveries)[number]): HeldSink<never> | EagerSink<never> {
  const sink = dynamoTable({ table, key: ["id"], ...options });
  if (sink.delivery === "two-phase") throw new Error("a table is no two-phase sink");
  return sink as HeldSink<never> | EagerSink<never>;
}

const rowOf = (key: string, n: number): Row => ({ id: key, n });
const deletionOf = (key: string) => deleted({ id: key });
/** As a reader has it: without our attribute, and without what is deleted. */
const seenBy = (items: readonly Readonly<Record<string, unknown>>[]) =>
  items.filter((item) => !Object.hasOwn(item, "~deleted")).map(({ [versionAttribute]: _version, ...row }) => row);

describe.each(deliveries)("a table in memory, $delivery", (options) => {
  keyedSinkConformance(test, async (): Promise<OpenKeyedSink> => {
    const memory = memoryTables();
    memory.createTable("rows", [{ name: "id", type: "string" }]);
    const quick = { ...resourcesOf({ tables: memory.tables }), clock: quickClock() };
    return {
      sink: tableSink("rows", options),
      ...lossyResources(quick),
      row: rowOf,
      deletion: deletionOf,
      seen: async () => seenBy(memory.items("rows")),
    };
  });
});

describe.each(deliveries)("a table of DynamoDB, $delivery", (options) => {
  let cloud: Cloud;
  beforeAll(async () => {
    cloud = await openCloud();
  });
  afterAll(() => cloud.close());

  keyedSinkConformance(test, async (): Promise<OpenKeyedSink> => {
    const table = await cloud.createTable([{ name: "id", type: "string" }]);
    const tables = dynamoTables(cloud.clients.dynamo);
    const names = new Set<string>();
    return {
      sink: tableSink(table, options),
      resources: resourcesOf({ tables }),
      row: (key, n) => {
        names.add(key);
        return rowOf(key, n);
      },
      deletion: deletionOf,
      seen: async () => {
        const items = await Promise.all([...names].map((id) => tables.read(table, { id })));
        return seenBy(items.filter((item) => item !== null));
      },
    };
  });
});

function fileSinkOf(folder: string): TwoPhaseSink<never> {
  const sink = fileSink<Row>({ folder });
  if (sink.delivery !== "two-phase") throw new Error("a file sink is a two-phase sink");
  return sink as TwoPhaseSink<never>;
}

const parsed = (texts: readonly string[]): readonly unknown[] =>
  texts.flatMap((text) => text.trim().split("\n")).map((line): unknown => JSON.parse(line));

describe("files in memory", () => {
  twoPhaseSinkConformance(test, async () => {
    const { files } = memoryFiles();
    const lossy = lossyResources(resourcesOf({ files }));
    return {
      sink: fileSinkOf("out"),
      resources: (session, generation) => resourcesOf({ files: lossy.resources.files }, session, generation),
      losses: lossy.losses,
      row: (n) => rowOf("row", n),
      async seen() {
        const names = await files.list("out");
        const all = await Promise.all(names.map((name) => files.read(`out/${name}`)));
        return parsed(all.map((bytes) => Buffer.from(bytes ?? []).toString("utf8")));
      },
    };
  });
});

describe("files of this machine", () => {
  const folders: string[] = [];
  afterAll(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true }))));

  twoPhaseSinkConformance(test, async () => {
    const folder = await mkdtemp(join(tmpdir(), "tidemark-sink-"));
    folders.push(folder);
    const files = nodeFiles();
    return {
      sink: fileSinkOf(folder),
      resources: (session, generation) => resourcesOf({ files }, session, generation),
      row: (n) => rowOf("row", n),
      async seen() {
        const names = (await readdir(folder)).filter((name) => name.endsWith(".jsonl")).sort();
        return parsed(await Promise.all(names.map((name) => readFile(join(folder, name), "utf8"))));
      },
    };
  });
});

/** Rolls so early that a checkpoint has several files. */
function s3FilesOf(bucket: string, compression: "none" | "gzip"): TwoPhaseSink<never> {
  const format = jsonLines<Row>({ compression });
  const sink = s3Files<Row>({ bucket, prefix: "rows/", format, rollBytes: 1_024 });
  if (sink.delivery !== "two-phase") throw new Error("files in S3 are a two-phase sink");
  return sink as TwoPhaseSink<never>;
}

/** Of some length, so that files are rolled. */
const longRow = (n: number) => rowOf("row".padEnd(100, "."), n);

function objectsInMemory() {
  const memory = memoryObjects();
  memory.createBucket("lake");
  return memory;
}

const shownIn = (keys: readonly string[]) => keys.filter((key) => !key.startsWith("rows/_tidemark/")).sort();

describe.each(["none", "gzip"] as const)("objects in memory, compression %s", (compression) => {
  twoPhaseSinkConformance(test, async () => {
    const memory = objectsInMemory();
    return {
      sink: s3FilesOf("lake", compression),
      resources: (session, generation) => resourcesOf({ objects: memory.objects }, session, generation),
      row: longRow,
      seen: async () => rowsOf(shownIn(memory.keys("lake")).map((key) => memory.read("lake", key))),
    };
  });
});

describe.each([1, 2, 3, 4, 5, 6, 7, 8])("objects in memory, behind lost answers and late writes, seed %i", (seed) => {
  twoPhaseSinkConformance(test, async () => {
    const memory = objectsInMemory();
    const clock = quickClock();
    const { world } = faulty({ objects: memory.objects }, { seed, rates: { lost: 0.2 }, clock });
    return {
      sink: s3FilesOf("lake", "none"),
      resources: (session, generation) => ({ ...resourcesOf(world, session, generation), clock }),
      row: longRow,
      async seen() {
        if (memory.rewritten().length > 0) throw new Error(`R6: other bytes under ${memory.rewritten()}`);
        return rowsOf(shownIn(memory.keys("lake")).map((key) => memory.read("lake", key)));
      },
    };
  });
});

const rowsOf = (files: readonly (Uint8Array | null)[]): readonly unknown[] =>
  parsed(files.map((bytes) => Buffer.from(plain(bytes ?? Buffer.of())).toString("utf8")));
const plain = (bytes: Uint8Array) => (bytes[0] === 0x1f ? gunzipSync(bytes) : bytes);

describe("objects of S3", () => {
  let cloud: Cloud;
  beforeAll(async () => {
    cloud = await openCloud();
  });
  afterAll(() => cloud.close());

  twoPhaseSinkConformance(test, async () => {
    const bucket = await cloud.createBucket();
    const objects = s3Objects(cloud.clients.s3);
    const blobs = s3Blobs(cloud.clients.s3, { bucket });
    return {
      sink: s3FilesOf(bucket, "gzip"),
      resources: (session, generation) => resourcesOf({ objects }, session, generation),
      row: longRow,
      async seen() {
        const keys: string[] = [];
        for await (const { key } of blobs.list("")) keys.push(key);
        return rowsOf(await Promise.all(shownIn(keys).map((key) => blobs.get(key))));
      },
    };
  });
});
