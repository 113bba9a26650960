import { type DynamoDBClient, ScanCommand, type ScanCommandOutput } from "@aws-sdk/client-dynamodb";
import { incarnationBytes, versionAttribute } from "../model/versions.js";
import { markAttribute, type TableItem } from "../ports/tables.js";
import { awsError } from "./aws-errors.js";
import { unmarshalItem } from "./dynamo-items.js";

/**
 * The items of a table as its readers should see them: without tombstones (W4), marks of counters (C5), and attributes of ours. In the
 * table's own order.
 *
 * @throws StreamError `invalid`: there is no such table
 */
export async function* tableItems(client: DynamoDBClient, table: string): AsyncGenerator<TableItem, void, void> {
  let from: ScanCommandOutput["LastEvaluatedKey"];
  do {
    const page: ScanCommandOutput = await client
      .send(new ScanCommand({ TableName: table, ConsistentRead: true, ...(from && { ExclusiveStartKey: from }) }))
      .catch((error: unknown) => Promise.reject(failed(error, table)));
    for (const found of page.Items ?? []) {
      const item = unmarshalItem(found);
      if (item["~deleted"] === true || Object.hasOwn(item, markAttribute)) continue;
      yield Object.fromEntries(Object.entries(item).filter(([name]) => !name.startsWith("~")));
    }
    from = page.LastEvaluatedKey;
  } while (from !== undefined);
}

/** So many items tell whose a table is. */
const lookedAt = 100;

/**
 * Whose rows a table has, by its first items (W1).
 *
 * @returns incarnations, in hex, of those that bear a version; "" stands for rows without one
 * @throws StreamError `invalid`: there is no such table
 */
export async function rowsOfWhom(client: DynamoDBClient, table: string): Promise<ReadonlySet<string>> {
  const { Items = [] } = await client
    .send(new ScanCommand({ TableName: table, ConsistentRead: true, Limit: lookedAt }))
    .catch((error: unknown) => Promise.reject(failed(error, table)));
  const versions = Items.map((found) => unmarshalItem(found)[versionAttribute]);
  return new Set(
    versions.map((version) =>
      version instanceof Uint8Array ? Buffer.from(version.subarray(0, incarnationBytes)).toString("hex") : "",
    ),
  );
}

function failed(error: unknown, table: string) {
  const target = {
    name: `DynamoDB table "${table}"`,
    actions: "dynamodb:Scan on it",
    whenAbsent: "nothing has written to it, or it has another name",
  };
  return awsError(error, { intent: "read", target, doing: "scan" });
}
