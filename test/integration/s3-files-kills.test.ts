// Real processes and the embedded cloud: lines of a file, numbered by key, into files in a bucket, while processes are killed all
// the time. Read back by what reads such files.
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { GetObjectCommand, ListMultipartUploadsCommand, ListObjectsV2Command, type S3Client } from "@aws-sdk/client-s3";
import { DuckDBInstance } from "@duckdb/node-api";
import { afterAll, expect, it, vi } from "vitest";
import { startTestCloud } from "../fixtures/cli/cloud.js";
import { endAll, nothingIsLeft } from "../fixtures/cli/command.js";
import { dev, generationOf } from "../fixtures/cli/dev.js";
import { newProject } from "../fixtures/cli/project.js";
import { s3At } from "./cloud-clients.js";

// Processes start slowly on a busy machine.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 60_000 });

const airports = ["ATL", "BOS", "J/K"];
const count = 60_000;
const lines = Array.from({ length: count }, (_, i) => `{"airport":"${airports[i % 3]}"}`);

const project = newProject({
  "pipeline.ts": `
import { fileSource, json, jsonLines, parquet, pipeline, s3Files, value } from "tidemark";

interface Numbered { readonly airport: string; readonly n: number }

export default pipeline(
  "numbering",
  {
    checkpoint: { interval: "300ms", timeout: "5s" },
    session: { reserve: "10s" },
    restart: { initialDelay: "50ms", maxDelay: "50ms", window: "5s" },
    onBadRecord: "quarantine",
    deadLetters: s3Files({ bucket: "lake", prefix: "dead" }),
  },
  (flow) => {
    const numbered = flow
      .from("flights", fileSource({ path: "flights.jsonl", codec: json<{ airport: string }>() }))
      .mapAsync("ask", { concurrency: 100, timeout: "4s" }, async (flight) => {
        await new Promise((resolve) => setTimeout(resolve, 20));
        return flight;
      })
      .keyBy((flight) => flight.airport)
      .process("number", {
        state: { n: value(0) },
        onRecord(_flight, { key, state }): Numbered {
          state.n.update((n) => n + 1);
          return { airport: key, n: state.n.get() };
        },
      });
    numbered.to(
      "partitioned",
      s3Files<Numbered>({
        bucket: "lake",
        prefix: "partitioned",
        format: jsonLines({ compression: "gzip" }),
        partitionBy: ({ airport }) => ({ place: airport }),
        rollBytes: 4_096,
      }),
    );
    numbered.to(
      "columns",
      s3Files({ bucket: "lake", prefix: "columns", format: parquet({ columns: { airport: "string", n: "int64" } }) }),
    );
  },
);
`,
  "flights.jsonl": lines.join("\n"),
  "tidemark.config.ts": `export default { bindings: { buckets: { lake: "acme-lake" } } };`,
});
afterAll(() => {
  endAll();
  project.remove();
});

const Bucket = "acme-lake";

async function keysIn(s3: S3Client): Promise<readonly string[]> {
  const keys: string[] = [];
  let after = "";
  for (;;) {
    const page = await s3.send(new ListObjectsV2Command({ Bucket, ...(after === "" ? {} : { StartAfter: after }) }));
    for (const { Key = "" } of page.Contents ?? []) keys.push(Key);
    after = keys.at(-1) ?? "";
    if (page.IsTruncated !== true) return keys;
  }
}

/** All that the bucket has, as files in a folder. */
async function download(s3: S3Client, keys: readonly string[], folder: string): Promise<void> {
  for (const Key of keys) {
    const { Body } = await s3.send(new GetObjectCommand({ Bucket, Key }));
    const path = join(folder, Key);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, (await Body?.transformToByteArray()) ?? "");
  }
}

async function duck(sql: string): Promise<readonly unknown[]> {
  const instance = await DuckDBInstance.create(":memory:");
  const connection = await instance.connect();
  const rows = (await connection.runAndReadAll(sql)).getRowObjectsJson();
  connection.closeSync();
  instance.closeSync();
  return rows;
}

it("C4 R6 every row is in one file once, in its order, however often processes are killed", async () => {
  const running = dev(project, ["--chaos", "6s"]);
  expect(await running.ended).toMatchObject({ code: 0, err: "" });
  expect(generationOf(running)).toBeGreaterThan(1);
  await nothingIsLeft(running);
  const cloud = await startTestCloud(project.folder, ".tidemark/cloud");
  const s3 = s3At(cloud.endpoint);
  const keys = await keysIn(s3);
  const uploads = await s3.send(new ListMultipartUploadsCommand({ Bucket }));
  const folder = join(project.folder, "read");
  await download(s3, keys, folder);
  s3.destroy();
  await cloud.close();
  expect(uploads.Uploads ?? []).toEqual([]);
  expect(keys.filter((key) => key.includes("/staged/"))).toEqual([]);
  const per = count / airports.length;
  const expected = airports.map((airport) => ({
    ...{ airport, rows: String(per), least: "1", most: String(per), places: "1", different: String(per) },
  }));
  const figures = (from: string, place: string) =>
    duck(`SELECT airport, count(*) AS rows, min(n) AS least, max(n) AS most, count(DISTINCT ${place}) AS places, count(DISTINCT n) AS different
          FROM ${from} GROUP BY airport ORDER BY airport`);
  // As whoever reads them does it: by a glob for the ending, with the folders as columns.
  const partitioned = `read_json('${folder}/partitioned/**/*.jsonl.gz', hive_partitioning = true)`;
  expect(await figures(partitioned, "place")).toEqual(expected);
  expect(await duck(`SELECT count(*)::INT AS wrong FROM ${partitioned} WHERE place <> airport`)).toEqual([
    { wrong: 0 },
  ]);
  expect(await figures(`'${folder}/columns/**/*.parquet'`, "1")).toEqual(expected);
  // Names sort as checkpoints do, and rows lie in them as they came.
  const inOrder = await duck(`SELECT list(n)::INT[] = range(1, ${per + 1})::INT[] AS same FROM (
      SELECT airport, n FROM read_json('${folder}/partitioned/**/*.jsonl.gz', filename = true, hive_partitioning = false)
      ORDER BY filename) GROUP BY airport`);
  expect(inOrder).toEqual([{ same: true }, { same: true }, { same: true }]);
  const [listed] = await duck(
    `SELECT sum(rows)::INT AS rows, sum(len(files))::INT AS files FROM '${folder}/*/_tidemark/manifests/*.json'`,
  );
  expect(listed).toEqual({ rows: 2 * count, files: keys.filter((key) => !key.includes("/_tidemark/")).length });
});
