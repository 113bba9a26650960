import {
  type AttributeDefinition,
  ConditionalCheckFailedException,
  DescribeTableCommand,
  type DynamoDBClient,
  GetItemCommand,
  PutItemCommand,
  ResourceNotFoundException,
} from "@aws-sdk/client-dynamodb";
import { StreamError } from "../model/errors.js";
import { incarnationBytes, versionAttribute } from "../model/versions.js";
import type { AttributeType, TableComparison, TablePut, Tables } from "../ports/tables.js";
import { awsError, markLostAnswers } from "./aws-errors.js";
import { marshalItem, sizeOfItem, unmarshalItem } from "./dynamo-items.js";
import { transact } from "./dynamo-transactions.js";
import { keyOf, versionedItem, versionOf } from "./versioned-items.js";

const attributeTypes: Readonly<Record<string, AttributeType>> = { S: "string", N: "number", B: "bytes" };

/**
 * Users' tables in DynamoDB. A put is one conditional PutItem of the whole item (W1), a transaction one TransactWriteItems (C5).
 *
 * @example const tables = dynamoTables(clients.dynamo);
 */
export function dynamoTables(client: DynamoDBClient): Tables {
  markLostAnswers(client);
  return {
    async describe(table) {
      try {
        const { Table } = await client.send(new DescribeTableCommand({ TableName: table }));
        const types = new Map(Table?.AttributeDefinitions?.map((definition) => [definition.AttributeName, definition]));
        const key = (Table?.KeySchema ?? []).map(({ AttributeName: name = "" }) => ({
          name,
          type: attributeType(types.get(name)),
        }));
        return { kind: "found", key };
      } catch (error) {
        if (error instanceof ResourceNotFoundException) return { kind: "absent" };
        throw failed(error, "read", table, "describe");
      }
    },
    async put(put) {
      const Item = versionedItem(put);
      const what = `put of an item with the key (${put.key.join(", ")})`;
      try {
        await client.send(new PutItemCommand({ TableName: put.table, Item, ...conditionOf(put) }));
        return { kind: "written" };
      } catch (error) {
        if (!(error instanceof ConditionalCheckFailedException)) throw failed(error, "write", put.table, what);
      }
      return { kind: "refused", version: await readVersion(client, put) };
    },
    transact: (transaction) => transact(client, transaction),
    async read(table, key) {
      try {
        const Key = marshalItem(key);
        const { Item } = await client.send(new GetItemCommand({ TableName: table, Key, ConsistentRead: true }));
        return Item === undefined ? null : unmarshalItem(Item);
      } catch (error) {
        throw failed(error, "read", table, "read of an item");
      }
    },
    measure: (item) => sizeOfItem(marshalItem(item)),
  };
}

/** W1, and what the user wants to be so. */
function conditionOf({ version, onlyIf = [] }: TablePut) {
  const whereOlder = "attribute_not_exists(#v) OR (begins_with(#v, :i) AND #v < :v)";
  const compared = onlyIf.flatMap((one, n) => ("value" in one ? [[`:${n}`, one.value] as const] : []));
  return {
    ConditionExpression: [whereOlder, ...onlyIf.map(expressionOf)].map((one) => `(${one})`).join(" AND "),
    ExpressionAttributeNames: {
      "#v": versionAttribute,
      ...Object.fromEntries(onlyIf.map(({ attribute }, n) => [`#${n}`, attribute])),
    },
    ExpressionAttributeValues: {
      ":i": { B: version.slice(0, incarnationBytes) },
      ":v": { B: version },
      ...marshalItem(Object.fromEntries(compared)),
    },
  };
}

function expressionOf(one: TableComparison, n: number): string {
  if (one.is === "absent") return `attribute_not_exists(#${n})`;
  if (one.is === "present") return `attribute_exists(#${n})`;
  const compared = `#${n} ${one.is} :${n}`;
  return one.orAbsent ? `attribute_not_exists(#${n}) OR ${compared}` : compared;
}

/** A failure here is the put's: a retry underneath may have been refused by its own write. */
async function readVersion(client: DynamoDBClient, put: TablePut): Promise<Uint8Array | null> {
  try {
    const Key = marshalItem(keyOf(put));
    const ProjectionExpression = "#v";
    const ExpressionAttributeNames = { "#v": versionAttribute };
    const { Item } = await client.send(
      new GetItemCommand({
        TableName: put.table,
        Key,
        ConsistentRead: true,
        ProjectionExpression,
        ExpressionAttributeNames,
      }),
    );
    return versionOf(Item, put.table);
  } catch (error) {
    throw failed(error, "write", put.table, "look after a refused put");
  }
}

function attributeType(definition: AttributeDefinition | undefined): AttributeType {
  const type = attributeTypes[definition?.AttributeType ?? ""];
  if (type === undefined)
    throw new StreamError("bug", `key attribute of the unknown type ${definition?.AttributeType}`);
  return type;
}

function failed(error: unknown, intent: "read" | "write", table: string, doing: string): StreamError {
  const target = {
    name: `DynamoDB table "${table}"`,
    actions: "dynamodb:DescribeTable, GetItem and PutItem on it",
    whenAbsent: "create it, or bind the sink to another",
  };
  return awsError(error, { intent, target, doing });
}
