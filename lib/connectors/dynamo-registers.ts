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
import {
  type Register,
  type RegisterKey,
  type RegisterPage,
  type Registers,
  registerBytesMax,
} from "../ports/registers.js";
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
    list: (group, prefix, page) =>
      query(client, TableName, { group, prefix, page }).catch(
        failed("read", "list", { group, name: `${page?.from ?? prefix}…` }),
      ),
    async remove(key) {
      await client.send(new DeleteItemCommand({ TableName, Key: itemKey(key) })).catch(failed("write", "removal", key));
    },
  };
}

interface Wanted {
  readonly group: string;
  readonly prefix: string;
  readonly page: RegisterPage | undefined;
}

async function query(client: DynamoDBClient, TableName: string, wanted: Wanted) {
  const most = wanted.page?.limit ?? Number.POSITIVE_INFINITY;
  const found: { readonly name: string; readonly register: Register }[] = [];
  let ExclusiveStartKey: Item | undefined;
  // An answer ends at 1 MB, whatever the limit.
  while (found.length < most) {
    const answer: QueryCommandOutput = await client.send(
      new QueryCommand({
        TableName,
        ConsistentRead: true,
        ...conditionOf(wanted),
        ...(wanted.page === undefined ? {} : { Limit: most - found.length }),
        ...(ExclusiveStartKey === undefined ? {} : { ExclusiveStartKey }),
      }),
    );
    for (const item of answer.Items ?? []) found.push({ name: item.sk?.S ?? "", register: register(item) });
    ExclusiveStartKey = answer.LastEvaluatedKey;
    if (ExclusiveStartKey === undefined) break;
  }
  return found;
}

/** The last code point: every name with a prefix lies before the prefix with it. No name of ours has it. */
const lastCodePoint = "\u{10ffff}";

/** A key's condition is one: a prefix or a range. DynamoDB refuses an empty string in either. */
function conditionOf({ group, prefix, page }: Wanted) {
  const [from, to] = [page?.from ?? prefix, prefix + lastCodePoint];
  const values = (more: Item) => ({ ExpressionAttributeValues: { ":group": { S: group }, ...more } });
  if (from === "") return { KeyConditionExpression: "pk = :group", ...values({}) };
  if (from === prefix) {
    const condition = "pk = :group AND begins_with(sk, :prefix)";
    return { KeyConditionExpression: condition, ...values({ ":prefix": { S: prefix } }) };
  }
  const condition = "pk = :group AND sk BETWEEN :from AND :to";
  return { KeyConditionExpression: condition, ...values({ ":from": { S: from }, ":to": { S: to } }) };
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
