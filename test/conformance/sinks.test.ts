import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, test } from "vitest";
import { dynamoTable } from "../../lib/connectors/dynamo-table.js";
import { dynamoTables } from "../../lib/connectors/dynamo-tables.js";
import { fileSink } from "../../lib/connectors/file-sink.js";
import { nodeFiles } from "../../lib/connectors/node-files.js";
import { versionAttribute } from "../../lib/model/versions.js";
import { deleted } from "../../lib/pipeline/deletion.js";
import type { EagerSink, HeldSink, SinkResources, TwoPhaseSink } from "../../lib/pipeline/sink.js";
import { systemClock } from "../../lib/ports/clock.js";
import type { Files } from "../../lib/ports/files.js";
import type { Tables } from "../../lib/ports/tables.js";
import { keyedSinkConformance, type OpenKeyedSink } from "../../lib/testing/conformance/keyed-sinks.js";
import { twoPhaseSinkConformance } from "../../lib/testing/conformance/two-phase-sinks.js";
import { memoryFiles } from "../../lib/testing/memory/files.js";
import { memoryTables } from "../../lib/testing/memory/tables.js";
import { type Cloud, openCloud } from "./aws-cloud.js";

interface Row {
  readonly id: string;
  readonly n: number;
}

const resourcesOf = (
  given: { readonly tables?: Tables; readonly files?: Files },
  session = "one",
  generation = 1,
): SinkResources => ({
  tables: given.tables ?? memoryTables().tables,
  files: given.files ?? memoryFiles().files,
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
    return {
      sink: tableSink("rows", options),
      resources: resourcesOf({ tables: memory.tables }),
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
    return {
      sink: fileSinkOf("out"),
      resources: (session, generation) => resourcesOf({ files }, session, generation),
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
