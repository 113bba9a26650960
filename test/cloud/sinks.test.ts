// What every sink must do, over the services that it writes to, on the chosen cloud. An emulator writes about a hundred items a second:
// of the histories that are drawn one is enough here.
import { gunzipSync } from "node:zlib";
import { GetObjectCommand, PutBucketLifecycleConfigurationCommand } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect } from "vitest";
import { dynamoCounters } from "../../lib/connectors/dynamo-counters.js";
import { dynamoTable } from "../../lib/connectors/dynamo-table.js";
import { dynamoTables } from "../../lib/connectors/dynamo-tables.js";
import { jsonLines } from "../../lib/connectors/json-lines.js";
import { kinesisLog } from "../../lib/connectors/kinesis-log.js";
import { kinesisStream } from "../../lib/connectors/kinesis-stream.js";
import { kinesisStreams } from "../../lib/connectors/kinesis-streams.js";
import { s3Files } from "../../lib/connectors/s3-files.js";
import { s3Objects } from "../../lib/connectors/s3-objects.js";
import { type DedupeState, dedupe, emptyDedupe } from "../../lib/model/dedupe.js";
import { checkpointId, generation, taskId } from "../../lib/model/ids.js";
import { segmentToken } from "../../lib/pipeline/segment-token.js";
import type {
  HeldSink,
  LogWriter,
  Sink,
  SinkResources,
  TwoPhaseSink,
  TwoPhaseWriter,
} from "../../lib/pipeline/sink.js";
import { markAttribute } from "../../lib/ports/tables.js";
import { logSinkConformance, type OpenLogSink } from "../../lib/testing/conformance/log-sinks.js";
import { lossyResources } from "../../lib/testing/conformance/sink-losses.js";
import { permitFor } from "../../lib/testing/conformance/sink-permits.js";
import { memoryResources } from "../../lib/testing/conformance/sink-resources.js";
import { twoPhaseSinkConformance } from "../../lib/testing/conformance/two-phase-sinks.js";
import { allRecords } from "../conformance/written-streams.js";
import { runWith } from "./known-faults.js";
import { type Cloud, openCloud } from "./resources.js";

const runAll = runWith({});

const run =
  (histories: readonly number[]): typeof runAll =>
  (name, body) => {
    const seed = /\(seed (\d+)\)/.exec(name)?.[1];
    if (seed === undefined || histories.includes(Number(seed))) runAll(name, body);
  };

let cloud: Cloud;
beforeAll(() => {
  cloud = openCloud();
});
afterAll(() => cloud.clients.destroy());

const ids = ["a", "b", "c"];
const idOf = (content: number): string => ids[content % ids.length] ?? "";

describe("counters in DynamoDB", () => {
  /** Of each id the sum, and how many rows it is of. */
  const shows = (contents: readonly number[]) =>
    ids.flatMap((id) => {
      const own = contents.filter((content) => idOf(content) === id);
      return own.length === 0 ? [] : [{ id, rows: own.length, sum: own.reduce((a, b) => a + b, 0) }];
    });

  logSinkConformance(run([1]), async () => {
    const table = await cloud.createTable([{ name: "id", type: "string" }]);
    return {
      sink: dynamoCounters({ table, key: ["id"] }) as OpenLogSink["sink"],
      ...lossyResources(memoryResources({ tables: dynamoTables(cloud.clients.dynamo) })),
      row: (content) => ({ id: idOf(content), rows: 1, sum: content }),
      async seen() {
        const items = (await cloud.itemsOf(table)).filter((item) => !Object.hasOwn(item, markAttribute));
        return items.toSorted((a, b) => (String(a.id) < String(b.id) ? -1 : 1));
      },
      shows,
    };
  });
});

interface Event {
  readonly key: string;
  readonly n: number;
}

describe("records in Kinesis, for who leaves out repeats", () => {
  const eventOf = (n: number): Event => ({ key: idOf(n), n });
  /** Rows of different keys have no order. */
  const byKey = (events: readonly Event[]) => ids.map((id) => events.filter(({ key }) => key === id));

  async function taken(stream: string): Promise<readonly Event[]> {
    const states = new Map<string, DedupeState>();
    return (await allRecords(kinesisLog(cloud.clients.kinesis), stream)).flatMap(({ shardId, data }) => {
      const { state, fresh, payload } = dedupe(states.get(shardId) ?? emptyDedupe, data);
      states.set(shardId, state);
      return fresh ? [JSON.parse(Buffer.from(payload).toString("utf8")) as Event] : [];
    });
  }

  // After each step a history reads all of the stream.
  logSinkConformance(run([]), async () => {
    const stream = await cloud.createStream(2);
    return {
      sink: kinesisStream<Event>({ stream, partitionKey: ({ key }) => key }) as OpenLogSink["sink"],
      ...lossyResources(memoryResources({ streams: kinesisStreams(cloud.clients.kinesis) })),
      row: eventOf,
      seen: async () => byKey(await taken(stream)),
      shows: (contents) => byKey(contents.map(eventOf)),
    };
  });
});

describe("files in S3", () => {
  /** Of some length, so that a checkpoint has several files. */
  const row = (n: number) => ({ id: "row".padEnd(100, "."), n });

  async function linesOf(bucket: string): Promise<readonly unknown[]> {
    const keys: string[] = [];
    for await (const { key } of s3Objects(cloud.clients.s3).list(bucket, "rows/")) keys.push(key);
    const shown = keys.filter((key) => !key.startsWith("rows/_tidemark/")).sort();
    const files = await Promise.all(
      shown.map(async (Key) => {
        const { Body } = await cloud.clients.s3.send(new GetObjectCommand({ Bucket: bucket, Key }));
        return gunzipSync((await Body?.transformToByteArray()) ?? new Uint8Array()).toString("utf8");
      }),
    );
    return files.flatMap((text) => text.trim().split("\n")).map((line): unknown => JSON.parse(line));
  }

  twoPhaseSinkConformance(run([1]), async () => {
    const bucket = await cloud.createBucket();
    const objects = s3Objects(cloud.clients.s3);
    const { losses, resources } = lossyResources(memoryResources({ objects }));
    const format = jsonLines<object>({ compression: "gzip" });
    return {
      sink: s3Files({ bucket, prefix: "rows/", format, rollBytes: 1_024 }) as TwoPhaseSink<never>,
      resources: (session, generation) => memoryResources({ objects: resources.objects, session, generation }),
      losses,
      row,
      seen: () => linesOf(bucket),
    };
  });
});

describe("what a target refuses is told by its name, and nothing of it is written", () => {
  const invalid = (message: RegExp) => ({ kind: "invalid", message: expect.stringMatching(message) });

  function counters(table: string): LogWriter {
    const resources = memoryResources({ tables: dynamoTables(cloud.clients.dynamo) });
    return openLog(dynamoCounters({ table, key: ["id"] }) as Sink<never>, resources);
  }

  function openLog(sink: Sink<never>, resources: SinkResources): LogWriter {
    if (sink.delivery !== "log") throw new Error("it is no log");
    return sink.open(resources);
  }

  const add = (writer: LogWriter, rows: readonly unknown[]) => {
    const place = { sink: "out", incarnation: "0a0b0c0d0e0f", task: taskId(0, 0), generation: generation(1) };
    const token = segmentToken({ ...place, checkpointId: checkpointId(1), chunk: 0 });
    return writer.apply(writer.target, { token, rows }, permitFor(1));
  };

  runAll("C5 an attribute that is no number, and an item that would be too large", async () => {
    const table = await cloud.createTable([{ name: "id", type: "string" }]);
    const [text, large] = [
      { id: "text", n: "many" },
      { id: "large", body: "x".repeat(409_570) },
    ];
    await cloud.plant(table, text);
    await cloud.plant(table, large);
    const writer = counters(table);
    const good = { id: "good", n: 1 };
    await expect(add(writer, [good, { id: "text", n: 1 }])).rejects.toMatchObject(
      invalid(/ValidationE(rror|xception)/),
    );
    await expect(add(writer, [good, { id: "large", ["n".repeat(100)]: 1 }])).rejects.toMatchObject(
      invalid(/ValidationE(rror|xception)/),
    );
    expect((await cloud.itemsOf(table)).toSorted((a, b) => (String(a.id) < String(b.id) ? -1 : 1))).toEqual([
      large,
      text,
    ]);
    await add(writer, [good]);
    expect((await cloud.itemsOf(table)).find(({ id }) => id === "good")).toEqual(good);
  });

  runAll("a table, a stream and a bucket that are absent", async () => {
    const { dynamo, kinesis, s3 } = cloud.clients;
    const absent = cloud.fresh("absent");
    const stream = kinesisStream({ stream: absent, partitionKey: String }) as Sink<never>;
    const streams = openLog(stream, memoryResources({ streams: kinesisStreams(kinesis) }));
    const files = openFiles(absent, memoryResources({ objects: s3Objects(s3) }));
    const rows = dynamoTable({ table: absent, key: ["id"] }) as HeldSink<never>;
    const table = rows.open(memoryResources({ tables: dynamoTables(dynamo) }));
    const all = [counters(absent), streams, files, table];
    for (const writer of all) {
      const told = await writer.check().then(
        () => "taken",
        (error: unknown) => error,
      );
      expect(told).toMatchObject(invalid(/there is no such|does not exist/));
      expect((told as Error).message).toMatch(new RegExp(`"${absent}"`));
    }
  });

  runAll("C4 a bucket whose lifecycle rules remove what is staged", async () => {
    const bucket = await cloud.createBucket();
    const files = openFiles(bucket, memoryResources({ objects: s3Objects(cloud.clients.s3) }));
    await files.check();
    const expiring = (Prefix: string) =>
      cloud.clients.s3.send(
        new PutBucketLifecycleConfigurationCommand({
          Bucket: bucket,
          LifecycleConfiguration: {
            Rules: [{ ID: "tidy", Status: "Enabled", Filter: { Prefix }, Expiration: { Days: 7 } }],
          },
        }),
      );
    await expiring("other/");
    await files.check();
    await expiring("rows/");
    await expect(files.check()).rejects.toMatchObject(invalid(/lifecycle rule "tidy" expires objects after 7 days/));
  });

  function openFiles(bucket: string, resources: SinkResources): TwoPhaseWriter {
    return (s3Files({ bucket, prefix: "rows/" }) as TwoPhaseSink<never>).open(resources);
  }
});
