import { nameInArn, unknownOperation } from "./answers.js";
import { type DynamoParts, type Item, openDynamoStore, untilSettled } from "./dynamodb-store.js";
import { type Answer, type Fields, refusalIn } from "./emulators.js";
import type { Service } from "./kinesis.js";
import { tellingFound } from "./shadow.js";
import { openTokens, type Tokens, transactGet, transactWrite } from "./transactions.js";

const megabyte = 1024 * 1024;

/** Opens the embedded DynamoDB in `folder`, or in memory when it is null. */
export async function openDynamo(options: { readonly folder: string | null }): Promise<Service> {
  const parts = await openDynamoStore(options.folder);
  const tokens = await openTokens(parts);
  return {
    async call(operation, input) {
      try {
        return await perform(parts, tokens, operation, withNames(input));
      } catch (error) {
        const refused = refusalIn(error);
        if (refused === undefined) throw error;
        return refused;
      }
    },
    close: () => parts.store.db.close(),
  };
}

function perform(parts: DynamoParts, tokens: Tokens, operation: string, input: Fields): Promise<Answer> {
  switch (operation) {
    case "TransactWriteItems":
      return transactWrite(tokens, input, Date.now());
    case "TransactGetItems":
      return transactGet(parts, input);
    case "PutItem":
    case "UpdateItem":
    case "DeleteItem":
      return conditional(parts, operation, input);
    case "BatchGetItem":
      return plain(withWideBatches(parts), operation, input);
    case "CreateTable":
    case "UpdateTable":
    case "DeleteTable":
      return changed(parts, operation, input);
    default:
      return plain(parts, operation, input);
  }
}

async function plain({ emulator, store }: DynamoParts, operation: string, input: Fields): Promise<Answer> {
  if (!emulator.operations.has(operation)) return unknownOperation("DynamoDB", operation);
  return emulator.perform(operation, emulator.check(operation, input, store), store);
}

async function changed(parts: DynamoParts, operation: string, input: Fields): Promise<Answer> {
  const { TableName: name } = input;
  const answer = await plain(parts, operation, input);
  if (answer.status === 200) await untilSettled(parts.store, String(name));
  return answer;
}

// dynalite does not know ReturnValuesOnConditionCheckFailure: the item that lost against is added to its refusal.
async function conditional(parts: DynamoParts, operation: string, input: Fields): Promise<Answer> {
  if (input.ReturnValuesOnConditionCheckFailure !== "ALL_OLD") return plain(parts, operation, input);
  let found: Item | undefined;
  const telling = tellingFound(parts.store, (item) => {
    found = item;
  });
  const answer = await plain({ ...parts, store: telling }, operation, input);
  const failed = String(answer.body?.__type).endsWith("#ConditionalCheckFailedException");
  return failed && found !== undefined ? { ...answer, body: { ...answer.body, Item: found } } : answer;
}

// dynalite stops a BatchGetItem at 1 MB and one item; the service at 16 MB. Its only handle on that is the size of an item.
function withWideBatches(parts: DynamoParts): DynamoParts {
  return { ...parts, store: { ...parts.store, options: { ...parts.store.options, maxItemSize: 15 * megabyte } } };
}

// Wherever a table's name may stand, its ARN may stand; dynalite knows names only.
function withNames(input: Fields): Fields {
  const named = { ...input };
  if (input.TableName !== undefined) named.TableName = nameInArn(input.TableName, "table");
  if (isFields(input.RequestItems)) {
    named.RequestItems = Object.fromEntries(
      Object.entries(input.RequestItems).map(([table, value]) => [String(nameInArn(table, "table")), value]),
    );
  }
  if (Array.isArray(input.TransactItems)) named.TransactItems = input.TransactItems.map(withNamesWithin);
  return named;
}

function withNamesWithin(item: unknown): unknown {
  if (!isFields(item)) return item;
  return Object.fromEntries(
    Object.entries(item).map(([kind, value]) => [kind, isFields(value) ? withNames(value) : value]),
  );
}

const isFields = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);
