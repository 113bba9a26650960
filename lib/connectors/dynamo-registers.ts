import {
  ConditionalCheckFailedException,
  DeleteItemCommand,
  type DynamoDBClient,
  GetItemCommand,
  PutItemCommand,
  QueryCommand,
  type QueryCommandOutput,
  UpdateItemCommand,
} from "@aws-sdk/client-dynamodb";
import { StreamError } from "../model/errors.js";
import { type Register, type RegisterKey, type Registers, registerBytesMax } from "../ports/registers.js";
import { type AwsTarget, awsError, markLostAnswers } from "./aws-errors.js";

type Item = NonNullable<QueryCommandOutput["Items"]>[number];

const names = { "#v": "v", "#body": "body" };

/**
 * Registers over one DynamoDB table: partition key `pk` (the group) and sort key `sk` (the name), both strings; `v` the version, `body` the text.
 * Conditional puts of one item are the only thing that the protocol's safety rests on.
 * https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.ConditionExpressions.html
 *
 * @example const registers = dynamoRegisters(clients.dynamo, { table: "tidemark-state" });
 */
export function dynamoRegisters(client: DynamoDBClient, options: { readonly table: string }): Registers {
  const TableName = options.table;
  const target: AwsTarget = {
    name: `DynamoDB table "${TableName}"`,
    actions: "dynamodb:GetItem, PutItem, UpdateItem, DeleteItem and Query on it",
    whenAbsent: 'create it with the string keys "pk" (partition) and "sk" (sort), or check its name',
  };
  const failed = (intent: "read" | "write", doing: string, key: RegisterKey) => (error: unknown) => {
    throw awsError(error, { intent, target, doing: `${doing} of register "${key.group}/${key.name}"` });
  };
  const get = async (key: RegisterKey): Promise<Register | null> => {
    const found = await client.send(new GetItemCommand({ TableName, Key: itemKey(key), ConsistentRead: true }));
    return found.Item === undefined ? null : register(found.Item);
  };
  const swap = async (key: RegisterKey, expected: number | null, body: string): Promise<void> => {
    await client.send(
      new PutItemCommand({
        TableName,
        Item: { ...itemKey(key), v: { N: String((expected ?? 0) + 1) }, body: { S: body } },
        ConditionExpression: expected === null ? "attribute_not_exists(pk)" : "#v = :v",
        ...(expected === null
          ? {}
          : { ExpressionAttributeNames: { "#v": "v" }, ExpressionAttributeValues: { ":v": { N: String(expected) } } }),
      }),
    );
  };
  markLostAnswers(client);

  return {
    read: (key) => get(key).catch(failed("read", "read", key)),
    async swap(key, expected, body) {
      checkBody(key, body);
      try {
        await swap(key, expected, body);
        return { kind: "swapped" };
      } catch (error) {
        if (!(error instanceof ConditionalCheckFailedException)) return failed("write", "swap", key)(error);
        // A retry underneath may have met its own write, so a failure to look leaves all open: it counts as the write's.
        return { kind: "conflict", current: await get(key).catch(failed("write", "look after a refused swap", key)) };
      }
    },
    async put(key, body) {
      checkBody(key, body);
      // Counts on where there is a version, so that no version comes twice for two bodies.
      const command = new UpdateItemCommand({
        TableName,
        Key: itemKey(key),
        UpdateExpression: "SET #body = :body ADD #v :one",
        ExpressionAttributeNames: names,
        ExpressionAttributeValues: { ":body": { S: body }, ":one": { N: "1" } },
      });
      await client.send(command).catch(failed("write", "put", key));
    },
    list: (group, prefix) =>
      queryAll(client, TableName, { group, prefix }).catch(failed("read", "list", { group, name: `${prefix}…` })),
    async remove(key) {
      await client.send(new DeleteItemCommand({ TableName, Key: itemKey(key) })).catch(failed("write", "removal", key));
    },
  };
}

async function queryAll(client: DynamoDBClient, TableName: string, from: { group: string; prefix: string }) {
  const found: { readonly name: string; readonly register: Register }[] = [];
  let ExclusiveStartKey: Item | undefined;
  do {
    const page: QueryCommandOutput = await client.send(
      new QueryCommand({
        TableName,
        ConsistentRead: true,
        // DynamoDB refuses an empty string beside a key.
        KeyConditionExpression: from.prefix === "" ? "pk = :group" : "pk = :group AND begins_with(sk, :prefix)",
        ExpressionAttributeValues: {
          ":group": { S: from.group },
          ...(from.prefix === "" ? {} : { ":prefix": { S: from.prefix } }),
        },
        ...(ExclusiveStartKey === undefined ? {} : { ExclusiveStartKey }),
      }),
    );
    for (const item of page.Items ?? []) found.push({ name: item.sk?.S ?? "", register: register(item) });
    ExclusiveStartKey = page.LastEvaluatedKey;
  } while (ExclusiveStartKey !== undefined);
  return found;
}

const itemKey = (key: RegisterKey): Item => ({ pk: { S: key.group }, sk: { S: key.name } });
const register = (item: Item): Register => ({ version: Number(item.v?.N), body: item.body?.S ?? "" });

function checkBody(key: RegisterKey, body: string): void {
  const size = Buffer.byteLength(body);
  if (size <= registerBytesMax) return;
  throw new StreamError(
    "invalid",
    `register "${key.group}/${key.name}": ${size} bytes; at most ${registerBytesMax} fit`,
  );
}
