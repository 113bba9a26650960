import {
  type CancellationReason,
  type DynamoDBClient,
  TransactionCanceledException,
  type TransactWriteItem,
  TransactWriteItemsCommand,
} from "@aws-sdk/client-dynamodb";
import { StreamError } from "../model/errors.js";
import {
  markAttribute,
  type TableIncrement,
  type TableTransaction,
  type TableTransactionResult,
} from "../ports/tables.js";
import { awsError } from "./aws-errors.js";
import { marshalItem } from "./dynamo-items.js";

/**
 * One TransactWriteItems. Whether it happened before, the mark's condition says, and nothing else: the service's own memory of
 * tokens lasts for ten minutes.
 *
 * @see https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
 */
export async function transact(
  client: DynamoDBClient,
  { table, increments, mark }: TableTransaction,
): Promise<TableTransactionResult> {
  // The mark is the first, and so its reason.
  const TransactItems = [moved(table, mark), ...increments.map((increment) => added(table, increment))];
  try {
    await client.send(new TransactWriteItemsCommand({ TransactItems }));
    return { kind: "applied" };
  } catch (error) {
    if (error instanceof TransactionCanceledException) return cancelled(table, error);
    throw failed(table, error);
  }
}

const moved = (table: string, { key, position }: TableTransaction["mark"]): TransactWriteItem => ({
  Update: {
    TableName: table,
    Key: marshalItem(key),
    UpdateExpression: "SET #p = :p",
    ConditionExpression: "attribute_not_exists(#p) OR #p < :p",
    ExpressionAttributeNames: { "#p": markAttribute },
    ExpressionAttributeValues: { ":p": { S: position } },
  },
});

function added(table: string, { key, add }: TableIncrement): TransactWriteItem {
  const parts = Object.entries(add);
  return {
    Update: {
      TableName: table,
      Key: marshalItem(key),
      UpdateExpression: `ADD ${parts.map((_, index) => `#${index} :${index}`).join(", ")}`,
      ExpressionAttributeNames: Object.fromEntries(parts.map(([name], index) => [`#${index}`, name])),
      ExpressionAttributeValues: Object.fromEntries(parts.map(([, n], index) => [`:${index}`, { N: String(n) }])),
    },
  };
}

/** The mark speaks first: where it has passed, what else was in the way does not matter. */
function cancelled(table: string, error: TransactionCanceledException): TableTransactionResult {
  const reasons = error.CancellationReasons ?? [];
  const [ofMark] = reasons;
  if (ofMark?.Code === "ConditionalCheckFailed") return { kind: "passed" };
  const where = `DynamoDB table "${table}": a transaction was cancelled`;
  const lasting = reasons.find(({ Code }) => Code !== undefined && isLasting.has(Code));
  if (lasting !== undefined) throw new StreamError("invalid", `${where}: ${said(lasting)}`, { cause: error });
  const passing = reasons.find(({ Code }) => Code !== undefined && Code !== "None");
  const why = passing === undefined ? error.message : said(passing);
  // An attempt before this one, underneath, may have happened: it is the conflict that this one met.
  throw new StreamError("ambiguous", `${where}: ${why}`, { cause: error });
}

/** An attribute that is no number, a sum of more than 38 digits, an item of more than 400 KB. */
const isLasting: ReadonlySet<string> = new Set(["ValidationError", "ItemCollectionSizeLimitExceeded", "AccessDenied"]);

const said = ({ Code, Message }: CancellationReason): string => [Code, Message].filter(Boolean).join(": ");

const unknownOperation: ReadonlySet<string> = new Set([
  "UnknownOperationException",
  "NotImplemented",
  "NotImplementedException",
]);

function failed(table: string, error: unknown): StreamError {
  const name = `DynamoDB table "${table}"`;
  const status = (error as { readonly $metadata?: { readonly httpStatusCode?: number } }).$metadata?.httpStatusCode;
  if (status === 501 || (error instanceof Error && unknownOperation.has(error.name)))
    return new StreamError(
      "invalid",
      `${name}: this endpoint has no transactions (TransactWriteItems), and increments need them: use DynamoDB, or an endpoint that has them`,
      { cause: error },
    );
  const target = {
    name,
    actions: "dynamodb:DescribeTable, GetItem and UpdateItem on it",
    whenAbsent: "create it, or bind the sink to another",
  };
  return awsError(error, { intent: "write", target, doing: "transaction" });
}
