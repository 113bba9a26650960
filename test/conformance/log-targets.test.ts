// Sinks of a log whose targets remember, or whose readers do: counters, and records of a stream.
import { afterAll, beforeAll, describe, test } from "vitest";
import { dynamoCounters } from "../../lib/connectors/dynamo-counters.js";
import { dynamoTables } from "../../lib/connectors/dynamo-tables.js";
import { kinesisLog } from "../../lib/connectors/kinesis-log.js";
import { kinesisStream } from "../../lib/connectors/kinesis-stream.js";
import { kinesisStreams } from "../../lib/connectors/kinesis-streams.js";
import { type DedupeState, dedupe, emptyDedupe } from "../../lib/model/dedupe.js";
import type { Log } from "../../lib/ports/log.js";
import { markAttribute, type TableItem, type Tables } from "../../lib/ports/tables.js";
import { logSinkConformance, type OpenLogSink } from "../../lib/testing/conformance/log-sinks.js";
import { lossyResources } from "../../lib/testing/conformance/sink-losses.js";
import { memoryResources } from "../../lib/testing/conformance/sink-resources.js";
import { faulty } from "../../lib/testing/faults/faulty.js";
import { memoryLog } from "../../lib/testing/memory/log.js";
import { memoryTables } from "../../lib/testing/memory/tables.js";
import { quickClock } from "../unit/checkpoint-worlds.js";
import { type Cloud, openCloud } from "./aws-cloud.js";
import { allRecords, makeStream } from "./written-streams.js";

const idKey = [{ name: "id", type: "string" }] as const;
const ids = ["a", "b", "c"];
const idOf = (content: number): string => ids[content % ids.length] ?? "";

/** A sum, and an attribute for each row: how often it counts. */
const counted = (content: number) => ({ id: idOf(content), sum: content, [`row ${content}`]: 1 });

function summed(contents: readonly number[]): readonly TableItem[] {
  return ids.flatMap((id) => {
    const own = contents.filter((content) => idOf(content) === id);
    const times = (content: number) => own.filter((other) => other === content).length;
    const rows = own.map((content) => [`row ${content}`, times(content)]);
    return own.length === 0 ? [] : [{ id, sum: own.reduce((a, b) => a + b, 0), ...Object.fromEntries(rows) }];
  });
}

const counters = (table: string, tables: Tables, seen: () => Promise<readonly TableItem[]>): OpenLogSink => ({
  sink: dynamoCounters({ table, key: ["id"] }) as OpenLogSink["sink"],
  ...lossyResources(memoryResources({ tables })),
  row: counted,
  seen,
  shows: summed,
});

function countersInMemory() {
  const memory = memoryTables();
  memory.createTable("totals", idKey);
  const seen = async () => memory.items("totals").filter((item) => !Object.hasOwn(item, markAttribute));
  return { tables: memory.tables, seen };
}

describe("counters in memory", () => {
  logSinkConformance(test, async () => {
    const { tables, seen } = countersInMemory();
    return counters("totals", tables, seen);
  });
});

const seeds = [1, 2, 3, 4, 5, 6];

describe.each(seeds)("counters in memory, behind lost answers and late writes, seed %i", (seed) => {
  logSinkConformance(test, async () => {
    const { tables, seen } = countersInMemory();
    const { world } = faulty({ tables }, { seed, rates: { lost: 0.2 }, clock: quickClock() });
    return counters("totals", world.tables, seen);
  });
});

describe("counters in DynamoDB", () => {
  let cloud: Cloud;
  beforeAll(async () => {
    cloud = await openCloud();
  });
  afterAll(() => cloud.close());

  logSinkConformance(test, async () => {
    const table = await cloud.createTable(idKey);
    const tables = dynamoTables(cloud.clients.dynamo);
    return counters(table, tables, async () => {
      const items = await Promise.all(ids.map((id) => tables.read(table, { id })));
      return items.filter((item) => item !== null);
    });
  });
});

interface Event {
  readonly key: string;
  readonly n: number;
}

const eventOf = (content: number): Event => ({ key: idOf(content), n: content });

/** By key, in the order of the stream. */
const byKey = (events: readonly Event[]) => ids.map((id) => events.filter(({ key }) => key === id).map(({ n }) => n));

/** Of a reader that leaves out repeats. */
async function taken(log: Log, stream: string): Promise<readonly Event[]> {
  const states = new Map<string, DedupeState>();
  return (await allRecords(log, stream)).flatMap(({ shardId, data }) => {
    const { state, fresh, payload } = dedupe(states.get(shardId) ?? emptyDedupe, data);
    states.set(shardId, state);
    return fresh ? [JSON.parse(Buffer.from(payload).toString("utf8")) as Event] : [];
  });
}

const events = (stream: string, given: Parameters<typeof memoryResources>[0], log: Log): OpenLogSink => ({
  sink: kinesisStream<Event>({ stream, partitionKey: ({ key }) => key }) as OpenLogSink["sink"],
  ...lossyResources(memoryResources(given)),
  row: eventOf,
  seen: async () => byKey(await taken(log, stream)),
  shows: (contents) => byKey(contents.map(eventOf)),
});

function streamInMemory() {
  const memory = memoryLog(quickClock());
  memory.control.createStream("events", 2);
  return memory;
}

describe("a stream in memory", () => {
  logSinkConformance(test, async () => {
    const { streams, log } = streamInMemory();
    return events("events", { streams }, log);
  });
});

describe.each(seeds)("a stream in memory, behind lost answers, refusals and another order, seed %i", (seed) => {
  logSinkConformance(test, async () => {
    const { streams, log } = streamInMemory();
    const { world } = faulty({ streams }, { seed, rates: { lost: 0.2, log: 0.1 }, clock: quickClock() });
    return events("events", { streams: world.streams }, log);
  });
});

describe("a stream of Kinesis", () => {
  let cloud: Cloud;
  beforeAll(async () => {
    cloud = await openCloud();
  });
  afterAll(() => cloud.close());

  logSinkConformance(test, async () => {
    const stream = await makeStream(cloud, 2);
    const { kinesis } = cloud.clients;
    return events(stream, { streams: kinesisStreams(kinesis) }, kinesisLog(kinesis));
  });
});
