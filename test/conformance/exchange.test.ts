import { afterAll, beforeAll, describe, test } from "vitest";
import { storedExchange } from "../../lib/checkpoint/exchange.js";
import { dynamoRegisters } from "../../lib/connectors/dynamo-registers.js";
import { s3Blobs } from "../../lib/connectors/s3-blobs.js";
import { exchangeConformance } from "../../lib/testing/conformance/exchange.js";
import { memoryBlobs } from "../../lib/testing/memory/blobs.js";
import { memoryRegisters } from "../../lib/testing/memory/registers.js";
import { quickClock } from "../unit/checkpoint-worlds.js";
import { type Cloud, openCloud } from "./aws-cloud.js";
import { waysToLose } from "./exchange-losses.js";

describe("an exchange in memory", () => {
  exchangeConformance(test, async () => {
    const { blobs } = memoryBlobs();
    const { registers } = memoryRegisters();
    return { exchange: storedExchange({ pipeline: "p", registers, blobs, clock: quickClock() }), ...waysToLose(blobs) };
  });
});

describe("an exchange over DynamoDB and S3", () => {
  let cloud: Cloud;
  let table: string;
  let bucket: string;
  beforeAll(async () => {
    cloud = await openCloud();
    bucket = await cloud.createBucket();
    table = await cloud.createTable([
      { name: "pk", type: "string" },
      { name: "sk", type: "string" },
    ]);
  });
  afterAll(() => cloud.close());
  exchangeConformance(test, async () => {
    const blobs = s3Blobs(cloud.clients.s3, { bucket });
    const registers = dynamoRegisters(cloud.clients.dynamo, { table });
    const pipeline = cloud.fresh("pipeline");
    return { exchange: storedExchange({ pipeline, registers, blobs, clock: quickClock() }), ...waysToLose(blobs) };
  });
});
