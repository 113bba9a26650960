// Pipelines that write counters, records of a stream and files in a bucket, and read what was put into a stream twice, on the chosen
// cloud: killed in the middle, and gone on with. What comes out is what went in, once.
import { GetObjectCommand } from "@aws-sdk/client-s3";
import { afterAll, expect, it, onTestFinished } from "vitest";
import { kinesisLog } from "../../lib/connectors/kinesis-log.js";
import { kinesisStreams } from "../../lib/connectors/kinesis-streams.js";
import { s3Objects } from "../../lib/connectors/s3-objects.js";
import { disclose } from "../../lib/model/envelope.js";
import type { StreamEntry } from "../../lib/ports/streams.js";
import { markAttribute } from "../../lib/ports/tables.js";
import { allRecords } from "../conformance/written-streams.js";
import { endAll, nothingIsLeft, type Running, start } from "../fixtures/cli/command.js";
import { newProject, type Project } from "../fixtures/cli/project.js";
import { checkpointKey, openCloud } from "./resources.js";

const cloud = openCloud();
afterAll(() => {
  endAll();
  cloud.clients.destroy();
});

interface Flight {
  readonly airport: string;
  readonly n: number;
}
const airports = ["ATL", "BOS", "JFK"];
const count = 900;
const flights = Array.from({ length: count }, (_, n): Flight => ({ airport: airports[n % 3] ?? "", n }));

const settings = `{
  checkpoint: { interval: "500ms", timeout: "10s", tolerableFailures: 100 },
  session: { reserve: "20s" },
  restart: { initialDelay: "100ms", maxDelay: "1s", window: "1s" },
}`;

const writing = `
import { dynamoCounters, json, jsonLines, kinesisSource, kinesisStream, pipeline, s3Files } from "tidemark";

interface Flight { readonly airport: string; readonly n: number }

export default pipeline("writing", ${settings}, (flow) => {
  const flights = flow.from("flights", kinesisSource({ stream: "flights", codec: json<Flight>(), start: "trim-horizon" }));
  flights.map(({ airport, n }) => ({ airport, flights: 1, sum: n })).to("totals", dynamoCounters({ table: "totals", key: ["airport"] }));
  flights.to("events", kinesisStream<Flight>({ stream: "events", partitionKey: ({ airport }) => airport }));
  flights.to("lake", s3Files<Flight>({ bucket: "lake", format: jsonLines(), partitionBy: ({ airport }) => ({ airport }) }));
});
`;

/** Counts, of those that come, also those that come behind a later one of their airport. */
const reading = `
import { dynamoCounters, json, kinesisSource, pipeline, value } from "tidemark";

interface Flight { readonly airport: string; readonly n: number }

export default pipeline("reading", ${settings}, (flow) =>
  flow
    .from("events", kinesisSource({ stream: "events", codec: json<Flight>(), start: "trim-horizon", deduplicate: true }))
    .keyBy(({ airport }) => airport)
    .process("order", {
      state: { last: value(-1) },
      onRecord({ n }, { key, state }) {
        const late = n > state.last.get() ? 0 : 1;
        state.last.set(n);
        return { airport: key, flights: 1, sum: n, late };
      },
    })
    .to("read", dynamoCounters({ table: "read", key: ["airport"] })),
);
`;

async function makeResources() {
  const airport = [{ name: "airport", type: "string" }] as const;
  const [source, events, totals, read, lake, table, bucket] = await Promise.all([
    cloud.createStream(1),
    cloud.createStream(2),
    cloud.createTable(airport),
    cloud.createTable(airport),
    cloud.createBucket(),
    cloud.createTable(checkpointKey),
    cloud.createBucket(),
  ]);
  return { source, events, totals, read, lake, table, bucket };
}

type Resources = Awaited<ReturnType<typeof makeResources>>;

function projectOf({ source, events, totals, read, lake, table, bucket }: Resources): Project {
  const bindings = { streams: { flights: source, events }, tables: { totals, read }, buckets: { lake } };
  const config = JSON.stringify({ table, bucket, region: cloud.region, bindings });
  const project = newProject({
    "writing.ts": writing,
    "reading.ts": reading,
    "tidemark.config.mjs": `export default ${config};`,
  });
  onTestFinished(project.remove);
  return project;
}

function dev(project: Project, file: string, ...flags: readonly string[]): Running {
  const aws = cloud.kind === "aws" ? ["--aws"] : [];
  return start(["dev", file, "--json", ...aws, ...flags], { cwd: project.folder, env: cloud.variables() });
}

const drained = async (project: Project, file: string): Promise<void> =>
  expect(await dev(project, file, "--until-drained").ended).toMatchObject({ code: 0, err: "" });

async function put(stream: string, entries: readonly StreamEntry[]): Promise<void> {
  for (let at = 0; at < entries.length; at += 300) {
    const answers = await kinesisStreams(cloud.clients.kinesis).put(stream, entries.slice(at, at + 300));
    expect(answers.filter(({ kind }) => kind !== "put")).toEqual([]);
  }
}

const entriesOf = (some: readonly Flight[]): readonly StreamEntry[] =>
  some.map((flight) => ({ partitionKey: flight.airport, data: Buffer.from(JSON.stringify(flight)) }));

/** As a writer leaves it that was thought dead: some of what is there comes again, in its order, behind the rest. */
async function putAgain(stream: string, from: number, to: number): Promise<number> {
  const records = (await allRecords(kinesisLog(cloud.clients.kinesis), stream)).slice(from, to);
  await put(stream, records);
  return records.filter(({ data }) => disclose(data) !== null).length;
}

async function countsIn(table: string): Promise<readonly unknown[]> {
  const items = (await cloud.itemsOf(table)).filter((item) => !Object.hasOwn(item, markAttribute));
  return items.toSorted((a, b) => (String(a.airport) < String(b.airport) ? -1 : 1));
}

const sums = airports.map((airport) => {
  const own = flights.filter((flight) => flight.airport === airport).map(({ n }) => n);
  return { airport, flights: own.length, sum: own.reduce((a, b) => a + b, 0) };
});

async function rowsOf(bucket: string, airport: string): Promise<readonly number[]> {
  const rows: number[] = [];
  for await (const { key: Key } of s3Objects(cloud.clients.s3).list(bucket, `airport=${airport}/`)) {
    const { Body } = await cloud.clients.s3.send(new GetObjectCommand({ Bucket: bucket, Key }));
    const lines = ((await Body?.transformToString()) ?? "").trimEnd().split("\n");
    rows.push(...lines.map((line) => (JSON.parse(line) as Flight).n));
  }
  return rows;
}

it("C4 C5 C6 every record counts once, is in one file and is read once, after a kill and repeats", async () => {
  const resources = await makeResources();
  const project = projectOf(resources);
  await put(resources.source, entriesOf(flights.slice(0, count / 2)));
  const first = dev(project, "writing.ts");
  await first.event("status", ({ checkpoint }) => checkpoint !== null);
  first.signal("SIGKILL", "group");
  await first.ended;
  await nothingIsLeft(first);
  await put(resources.source, entriesOf(flights.slice(count / 2)));
  await drained(project, "writing.ts");
  expect(await countsIn(resources.totals)).toEqual(sums);
  for (const [index, airport] of airports.entries())
    expect(await rowsOf(resources.lake, airport)).toEqual(flights.filter(({ n }) => n % 3 === index).map(({ n }) => n));

  expect(await putAgain(resources.events, 0, 200)).toBe(200);
  expect(await putAgain(resources.events, 100, 400)).toBe(300);
  await drained(project, "reading.ts");
  expect(await countsIn(resources.read)).toEqual(sums.map((row) => ({ ...row, late: 0 })));
});
