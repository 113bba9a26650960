// Real processes and the embedded cloud: lines of a file into counters and into a stream, while processes are killed all the time.

import { ScanCommand } from "@aws-sdk/client-dynamodb";
import { afterAll, expect, it, vi } from "vitest";
import { kinesisLog } from "../../lib/connectors/kinesis-log.js";
import { type DedupeState, dedupe, emptyDedupe } from "../../lib/model/dedupe.js";
import { allRecords } from "../conformance/written-streams.js";
import { startTestCloud } from "../fixtures/cli/cloud.js";
import { endAll, nothingIsLeft } from "../fixtures/cli/command.js";
import { dev, generationOf } from "../fixtures/cli/dev.js";
import { newProject } from "../fixtures/cli/project.js";
import { dynamoAt, kinesisAt } from "./cloud-clients.js";

// Processes start slowly on a busy machine.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 60_000 });

const airports = ["ATL", "BOS", "JFK"];
const count = 9_000;
const lines = Array.from({ length: count }, (_, n) => `{"airport":"${airports[n % 3]}","n":${n}}`);

const project = newProject({
  "pipeline.ts": `
import { dynamoCounters, fileSource, json, kinesisStream, pipeline } from "tidemark";

interface Flight { readonly airport: string; readonly n: number }

export default pipeline(
  "flights",
  {
    checkpoint: { interval: "300ms", timeout: "5s" },
    session: { reserve: "10s" },
    restart: { initialDelay: "50ms", maxDelay: "50ms", window: "5s" },
  },
  (flow) => {
    const flights = flow
      .from("flights", fileSource({ path: "flights.jsonl", codec: json<Flight>() }))
      .mapAsync("ask", { concurrency: 20, timeout: "4s" }, async (flight) => {
        await new Promise((resolve) => setTimeout(resolve, 20));
        return flight;
      });
    flights.map(({ airport, n }) => ({ airport, flights: 1, sum: n })).to("totals", dynamoCounters({ table: "totals", key: ["airport"] }));
    flights.to("events", kinesisStream<Flight>({ stream: "events", partitionKey: ({ airport }) => airport }));
  },
);
`,
  "flights.jsonl": lines.join("\n"),
  "tidemark.config.ts": `export default { bindings: { tables: { totals: "acme-totals" }, streams: { events: "acme-events" } } };`,
});
afterAll(() => {
  endAll();
  project.remove();
});

it("C5 C6 every line counts once, and is one record for who leaves out repeats, however often processes are killed", async () => {
  const running = dev(project, ["--chaos", "4s"]);
  expect(await running.ended).toMatchObject({ code: 0, err: "" });
  expect(generationOf(running)).toBeGreaterThan(1);
  await nothingIsLeft(running);
  const cloud = await startTestCloud(project.folder, ".tidemark/cloud");
  const dynamo = dynamoAt(cloud.endpoint, "HTTP/1.1");
  const kinesis = kinesisAt(cloud.endpoint, "HTTP/2");
  const { Items = [] } = await dynamo.send(new ScanCommand({ TableName: "acme-totals", ConsistentRead: true }));
  const records = await allRecords(kinesisLog(kinesis), "acme-events");
  dynamo.destroy();
  kinesis.destroy();
  await cloud.close();

  const numbers = (airport: string) => lines.map((_, n) => n).filter((n) => airports[n % 3] === airport);
  const counted = Items.filter((item) => !item.airport?.S?.startsWith("~tidemark/"));
  expect(counted.toSorted((a, b) => ((a.airport?.S ?? "") < (b.airport?.S ?? "") ? -1 : 1))).toEqual(
    airports.map((airport) => ({
      airport: { S: airport },
      flights: { N: String(count / 3) },
      sum: { N: String(numbers(airport).reduce((a, b) => a + b, 0)) },
    })),
  );

  const states = new Map<string, DedupeState>();
  const taken = records.flatMap(({ shardId, data }) => {
    const { state, fresh, payload } = dedupe(states.get(shardId) ?? emptyDedupe, data);
    states.set(shardId, state);
    return fresh ? [JSON.parse(Buffer.from(payload).toString("utf8")) as { airport: string; n: number }] : [];
  });
  for (const airport of airports)
    expect(taken.filter((row) => row.airport === airport).map(({ n }) => n)).toEqual(numbers(airport));
});
