import {
  ConditionalCheckFailedException,
  type DynamoDBClient,
  ScanCommand,
  type ScanCommandOutput,
  UpdateItemCommand,
} from "@aws-sdk/client-dynamodb";
import type { StreamError } from "../model/errors.js";
import type { TableItem } from "../ports/tables.js";
import { awsError, markLostAnswers } from "./aws-errors.js";
import { marshalItem, unmarshalItem } from "./dynamo-items.js";
import { byId, letterOf, type PutBack, type StoredLetter, type StoredLetters } from "./stored-letters.js";

const attributes = { "#at": "~putBackAt", "#to": "~putBackTo" };

/** The dead letters in a table of {@link dynamoTable}. An item stays as it was written, and gets a mark: written again, by whoever repeats a commit, it keeps that (W1). @param key names of the table's key attributes */
export function deadLetterTable(client: DynamoDBClient, table: string, key: readonly string[]): StoredLetters {
  markLostAnswers(client);
  return {
    async list() {
      const found: StoredLetter[] = [];
      let from: ScanCommandOutput["LastEvaluatedKey"];
      do {
        const page: ScanCommandOutput = await client
          .send(new ScanCommand({ TableName: table, ConsistentRead: true, ...(from && { ExclusiveStartKey: from }) }))
          .catch((error: unknown) => Promise.reject(failed(error, "read", table, "scan")));
        for (const item of page.Items ?? []) found.push(...storedIn(unmarshalItem(item)));
        from = page.LastEvaluatedKey;
      } while (from !== undefined);
      return found.sort(byId);
    },
    async mark(letter, before, next) {
      const row = letter as unknown as TableItem;
      const Key = marshalItem(Object.fromEntries(key.map((name) => [name, row[name]])));
      const change = updateOf(before, next);
      try {
        await client.send(new UpdateItemCommand({ TableName: table, Key, ...change }));
        return true;
      } catch (error) {
        if (error instanceof ConditionalCheckFailedException) return false;
        throw failed(error, "write", table, "mark of a dead letter");
      }
    },
  };
}

function updateOf(before: PutBack | null, next: PutBack | null) {
  const values: [string, { readonly S: string }][] = [];
  const value = (name: string, text: string): string => {
    values.push([name, { S: text }]);
    return name;
  };
  const condition =
    before === null
      ? "attribute_not_exists(#at)"
      : `#at = ${value(":before", before.at)} AND attribute_not_exists(#to)`;
  const set = next === null ? [] : [`#at = ${value(":at", next.at)}`];
  if (next !== null && next.to !== null) set.push(`#to = ${value(":to", next.to)}`);
  const names = set.some((one) => one.startsWith("#to")) || before !== null ? attributes : { "#at": attributes["#at"] };
  return {
    UpdateExpression: next === null ? "REMOVE #at" : `SET ${set.join(", ")}`,
    ConditionExpression: `attribute_exists(#data) AND ${condition}`,
    ExpressionAttributeNames: { ...names, "#data": "data" },
    ...(values.length === 0 ? {} : { ExpressionAttributeValues: Object.fromEntries(values) }),
  };
}

/** None where the item is a tombstone, or no dead letter. */
function storedIn(item: TableItem): readonly StoredLetter[] {
  const letter = "~deleted" in item ? null : letterOf(item);
  if (letter === null) return [];
  const at = item[attributes["#at"]];
  const to = item[attributes["#to"]];
  return [{ letter, putBack: typeof at === "string" ? { at, to: typeof to === "string" ? to : null } : null }];
}

function failed(error: unknown, intent: "read" | "write", table: string, doing: string): StreamError {
  const target = {
    name: `DynamoDB table "${table}"`,
    actions: "dynamodb:Scan and UpdateItem on it",
    whenAbsent: "the pipeline has never run in this environment, or writes its dead letters to another",
  };
  return awsError(error, { intent, target, doing });
}
