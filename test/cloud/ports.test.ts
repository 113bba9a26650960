// What every implementation of a port must do, over the adapters of AWS, on the chosen cloud.
import { afterAll, beforeAll, describe } from "vitest";
import { storedExchange } from "../../lib/checkpoint/exchange.js";
import { dynamoRegisters } from "../../lib/connectors/dynamo-registers.js";
import { dynamoTable } from "../../lib/connectors/dynamo-table.js";
import { dynamoTables } from "../../lib/connectors/dynamo-tables.js";
import { s3Blobs } from "../../lib/connectors/s3-blobs.js";
import { versionAttribute } from "../../lib/model/versions.js";
import { deleted } from "../../lib/pipeline/deletion.js";
import type { EagerSink, HeldSink, SinkResources } from "../../lib/pipeline/sink.js";
import { systemClock } from "../../lib/ports/clock.js";
import { blobsConformance } from "../../lib/testing/conformance/blobs.js";
import { exchangeConformance } from "../../lib/testing/conformance/exchange.js";
import { keyedSinkConformance, type OpenKeyedSink } from "../../lib/testing/conformance/keyed-sinks.js";
import { logConformance } from "../../lib/testing/conformance/log.js";
import { registersConformance } from "../../lib/testing/conformance/registers.js";
import { tablesConformance } from "../../lib/testing/conformance/tables.js";
import { memoryFiles } from "../../lib/testing/memory/files.js";
import { memoryLog } from "../../lib/testing/memory/log.js";
import { memoryObjects } from "../../lib/testing/memory/objects.js";
import { waysToLose } from "../conformance/exchange-losses.js";
import { openKinesisLog } from "../conformance/kinesis-streams.js";
import { quickClock } from "../unit/checkpoint-worlds.js";
import { type KnownFaults, runWith } from "./known-faults.js";
import { type Cloud, checkpointKey, openCloud } from "./resources.js";

/** What emulators do otherwise than the suites ask for. */
const faults: KnownFaults = {
  LocalStack: {
    "P0 a start at a time begins with the first record that arrived then or later": "times count in whole seconds",
  },
  "tidemark cloud": {
    "a member called __proto__ comes back": "dynalite, beneath the embedded DynamoDB, loses it",
  },
};

const run = runWith(faults);

let cloud: Cloud;
let bucket: string;
let table: string;
beforeAll(async () => {
  cloud = openCloud();
  [bucket, table] = await Promise.all([cloud.createBucket(), cloud.createTable(checkpointKey)]);
});
afterAll(() => cloud.clients.destroy());

describe("blobs in S3", () => {
  blobsConformance(run, async () => s3Blobs(cloud.clients.s3, { bucket: await cloud.createBucket() }));
});

describe("registers in DynamoDB", () => {
  registersConformance(run, async () => ({
    registers: dynamoRegisters(cloud.clients.dynamo, { table }),
    group: cloud.fresh("group"),
  }));
});

describe("an exchange over DynamoDB and S3", () => {
  exchangeConformance(run, async () => {
    const blobs = s3Blobs(cloud.clients.s3, { bucket });
    const registers = dynamoRegisters(cloud.clients.dynamo, { table });
    const pipeline = cloud.fresh("pipeline");
    return { exchange: storedExchange({ pipeline, registers, blobs, clock: quickClock() }), ...waysToLose(blobs) };
  });
});

describe("a log in Kinesis", () => {
  const passTime = async () => Promise.reject(new Error("nobody sets the clock of another machine"));
  logConformance(
    run,
    async () =>
      openKinesisLog(cloud.clients.kinesis, {
        create: (shardCount) => cloud.createStream(shardCount),
        untilActive: cloud.untilActive,
        passTime,
      }),
    { "passing time": "nobody sets the clock of another machine" },
  );
});

describe("tables in DynamoDB", () => {
  tablesConformance(run, async () => ({
    tables: dynamoTables(cloud.clients.dynamo),
    createTable: (key) => cloud.createTable(key),
    plant: cloud.plant,
  }));
});

const deliveries = [{ delivery: "held" }, { delivery: "eager", stableKeys: true }] as const;

describe.each(deliveries)("a table of DynamoDB as a sink, $delivery", (options) => {
  keyedSinkConformance(run, () => openTableSink(options));
});

async function openTableSink(options: (typeof deliveries)[number]): Promise<OpenKeyedSink> {
  const rows = await cloud.createTable([{ name: "id", type: "string" }]);
  const sink = dynamoTable({ table: rows, key: ["id"], ...options });
  if (sink.delivery === "two-phase") throw new Error("a table is no two-phase sink");
  const resources: SinkResources = {
    tables: dynamoTables(cloud.clients.dynamo),
    streams: memoryLog(systemClock).streams,
    files: memoryFiles().files,
    objects: memoryObjects().objects,
    clock: systemClock,
    bind: (_kind, logical) => logical,
    stage: { task: "0.0-", session: "0.0-1-one" },
  };
  return {
    sink: sink as HeldSink<never> | EagerSink<never>,
    resources,
    row: (id, n) => ({ id, n }),
    deletion: (id) => deleted({ id }),
    async seen() {
      const items = await cloud.itemsOf(rows);
      const there = items.filter((item) => !Object.hasOwn(item, "~deleted"));
      return there.map(({ [versionAttribute]: _version, ...row }) => row);
    },
  };
}
