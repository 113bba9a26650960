import type { Counted, RequestCounts } from "../model/prices.js";
import type { AwsClients } from "./clients.js";

const kilobyte = 1_024;
/** What a record of Kinesis costs is counted in such units. */
const putUnitBytes = 25 * kilobyte;
/** Each item of a transaction is written twice. */
const writesPerTransaction = 2;

/** The part of the SDK's middleware that is used here: the same of every client. */
interface Client {
  readonly middlewareStack: { add(middleware: Middleware, options: object): void };
}
type Middleware = (next: Next, context: { readonly commandName?: string }) => Next;
type Next = (args: Arguments) => Promise<{ readonly output: { readonly ConsumedCapacity?: unknown } }>;
interface Arguments {
  readonly input: Input;
}
interface Input {
  readonly TransactItems?: readonly unknown[];
  readonly Records?: readonly PutRecord[];
}
interface PutRecord {
  readonly Data?: Uint8Array;
  readonly PartitionKey?: string;
}

type Add = (name: string, requests: number, units: number) => void;

/**
 * Counts what the clients send from now on. DynamoDB is asked to say what it takes for each request.
 *
 * @returns what was counted so far, by "Service.Operation"
 * @example const counted = meterClients(clients); … counted()["DynamoDB.PutItem"]?.units
 */
export function meterClients(clients: Omit<AwsClients, "destroy">): () => RequestCounts {
  const counts = new Map<string, Counted>();
  const add: Add = (name, requests, units) => {
    const before = counts.get(name) ?? { requests: 0, units: 0 };
    counts.set(name, { requests: before.requests + requests, units: before.units + units });
  };
  const { dynamo, kinesis, lambda, s3 } = clients as unknown as Readonly<Record<keyof typeof clients, Client>>;
  countRequests("DynamoDB", dynamo, add);
  countRequests("Lambda", lambda, add);
  countRequests("S3", s3, add);
  countPuts(kinesis, add);
  countCapacity(dynamo, add);
  return () => Object.fromEntries([...counts].sort(([a], [b]) => (a < b ? -1 : 1)));
}

const nameOf = (service: string, { commandName = "" }: { readonly commandName?: string }): string =>
  `${service}.${commandName.replace(/Command$/, "")}`;

/** Within the step that tries again, so that each attempt is seen. */
const eachAttempt = { step: "finalizeRequest", priority: "low" } as const;

function countRequests(service: string, { middlewareStack }: Client, add: Add): void {
  const count: Middleware = (next, context) => (args) => {
    add(nameOf(service, context), 1, 0);
    return next(args);
  };
  middlewareStack.add(count, { ...eachAttempt, name: "countRequests" });
}

function countPuts({ middlewareStack }: Client, add: Add): void {
  const count: Middleware = (next, context) => (args) => {
    add(nameOf("Kinesis", context), 1, putUnits(args.input));
    return next(args);
  };
  middlewareStack.add(count, { ...eachAttempt, name: "countPuts" });
}

function countCapacity({ middlewareStack }: Client, add: Add): void {
  const count: Middleware = (next, context) => async (args) => {
    const name = nameOf("DynamoDB", context);
    try {
      const answer = await next({ ...args, input: { ReturnConsumedCapacity: "TOTAL", ...args.input } as Input });
      add(name, 0, capacityOf(answer.output.ConsumedCapacity) ?? transactionUnits(args.input));
      return answer;
    } catch (error) {
      // What a refused conditional write costs no answer says: as much as if it had been made.
      if ((error as Error).name === "ConditionalCheckFailedException") add(name, 0, writeUnits(args.input));
      throw error;
    }
  };
  middlewareStack.add(count, { step: "initialize", name: "countCapacity" });
}

/** Of one table, or one entry for each. null: the endpoint does not say. */
function capacityOf(consumed: unknown): number | null {
  if (consumed === undefined || consumed === null) return null;
  const all = [consumed].flat() as readonly { readonly CapacityUnits?: number }[];
  return all.reduce((sum, { CapacityUnits = 0 }) => sum + CapacityUnits, 0);
}

/** For endpoints whose answers to transactions do not say it; items are taken to be as small as what is sent. */
const transactionUnits = ({ TransactItems = [] }: Input): number =>
  writesPerTransaction * TransactItems.reduce<number>((sum, item) => sum + writeUnits(item), 0);

const writeUnits = (item: unknown): number => Math.ceil(JSON.stringify(item, asText).length / kilobyte);

/** Bytes count as many as they are. */
const asText = (_: string, value: unknown): unknown =>
  value instanceof Uint8Array ? "x".repeat(value.byteLength) : value;

const putUnits = ({ Records = [] }: Input): number =>
  Records.reduce(
    (sum, { Data, PartitionKey = "" }) => sum + Math.ceil(((Data?.length ?? 0) + PartitionKey.length) / putUnitBytes),
    0,
  );
