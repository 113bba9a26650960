import { afterAll, beforeAll, describe, test } from "vitest";
import { dynamoTables } from "../../lib/connectors/dynamo-tables.js";
import { tablesConformance } from "../../lib/testing/conformance/tables.js";
import { memoryTables } from "../../lib/testing/memory/tables.js";
import { type Cloud, openCloud } from "./aws-cloud.js";

describe("tables in memory", () => {
  tablesConformance(test, async () => {
    const memory = memoryTables();
    return {
      tables: memory.tables,
      async createTable(key) {
        memory.createTable("table", key);
        return "table";
      },
      plant: async (table, item) => memory.plant(table, item),
    };
  });
});

describe("tables in DynamoDB", () => {
  let cloud: Cloud;
  beforeAll(async () => {
    cloud = await openCloud();
  });
  afterAll(() => cloud.close());
  tablesConformance(
    test,
    async () => ({
      tables: dynamoTables(cloud.clients.dynamo),
      createTable: cloud.createTable,
      plant: cloud.plant,
    }),
    { "member __proto__": "dynalite, beneath the embedded DynamoDB, loses it; the service keeps it" },
  );
});
