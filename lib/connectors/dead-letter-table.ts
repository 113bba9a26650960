import {
  ConditionalCheckFailedException,
  type DynamoDBClient,
  ScanCommand,
  type ScanCommandOutput,
  UpdateItemCommand,
} from "@aws-sdk/client-dynamodb";
import type { StreamError } from "../model/errors.js";
import type { DeadLetter } from "../pipeline/dead-letter.js";
import type { TableItem } from "../ports/tables.js";
import { awsError, markLostAnswers } from "./aws-errors.js";
import { marshalItem, unmarshalItem } from "./dynamo-items.js";

/** Of a dead letter that was put back. Its item stays as it was written: written again, by whoever repeats a commit, it stays marked (W1). */
export interface PutBack {
  /** ISO 8601, when that was begun. */
  readonly at: string;
  /** Shard and sequence number of the new record; null: whether it came is not known. */
  readonly to: string | null;
}

export interface StoredLetter {
  readonly letter: DeadLetter;
  readonly putBack: PutBack | null;
}

/** The dead letters in a table of {@link dynamoTable}. */
export interface DeadLetterTable {
  /** All of them, in the order of their ids. */
  list(): Promise<readonly StoredLetter[]>;
  /** @param before what the item says now. False: it says something else. */
  mark(letter: DeadLetter, before: PutBack | null, next: PutBack | null): Promise<boolean>;
}

const attributes = { "#at": "~putBackAt", "#to": "~putBackTo" };

/** @param key names of the table's key attributes */
export function deadLetterTable(client: DynamoDBClient, table: string, key: readonly string[]): DeadLetterTable {
  markLostAnswers(client);
  return {
    async list() {
      const found: StoredLetter[] = [];
      let from: ScanCommandOutput["LastEvaluatedKey"];
      do {
        const page: ScanCommandOutput = await client
          .send(new ScanCommand({ TableName: table, ConsistentRead: true, ...(from && { ExclusiveStartKey: from }) }))
          .catch((error: unknown) => Promise.reject(failed(error, "read", table, "scan")));
        for (const item of page.Items ?? []) found.push(...letterOf(unmarshalItem(item)));
        from = page.LastEvaluatedKey;
      } while (from !== undefined);
      return found.sort((a, b) => (a.letter.id < b.letter.id ? -1 : 1));
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
function letterOf(item: TableItem): readonly StoredLetter[] {
  const { id, source, shard, sequenceNumber, subSequenceNumber, arrivedAt, step, cause, data } =
    item as unknown as DeadLetter;
  if (typeof id !== "string" || typeof data !== "string" || "~deleted" in item) return [];
  const letter = { id, source, shard, sequenceNumber, subSequenceNumber, arrivedAt, step, cause, data };
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
