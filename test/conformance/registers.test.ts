import { afterAll, beforeAll, describe, test } from "vitest";
import { dynamoRegisters } from "../../lib/connectors/dynamo-registers.js";
import { registersConformance } from "../../lib/testing/conformance/registers.js";
import { memoryRegisters } from "../../lib/testing/memory/registers.js";
import { type Cloud, openCloud } from "./aws-cloud.js";

describe("registers in memory", () => {
  registersConformance(test, async () => ({ registers: memoryRegisters().registers, group: "group" }));
});

describe("registers in DynamoDB", () => {
  let cloud: Cloud;
  let table: string;
  beforeAll(async () => {
    cloud = await openCloud();
    table = await cloud.createTable([
      { name: "pk", type: "string" },
      { name: "sk", type: "string" },
    ]);
  });
  afterAll(() => cloud.close());
  registersConformance(test, async () => ({
    registers: dynamoRegisters(cloud.clients.dynamo, { table }),
    group: cloud.fresh("group"),
  }));
});
