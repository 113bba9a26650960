// Counts what the SDK's clients send: each attempt is a request, as the service bills it, and DynamoDB says what it takes for it.

/** What a refused conditional write costs, which no answer says: as if it had been made. */
const kilobyte = 1_024;
/** Each item of a transaction is written twice. */
const writesPerTransaction = 2;
/** What a record of Kinesis costs is counted in such units. */
const putUnitBytes = 25 * kilobyte;

/**
 * @param {{ dynamo: object, kinesis: object, s3: object }} clients
 * @returns {{ requests: () => Record<string, { requests: number, units: number }> }} by "Service.Operation"; units of DynamoDB, and of what is put into
 *   streams
 */
export function meter(clients) {
  const counts = new Map();
  const add = (name, requests, units) => {
    const before = counts.get(name) ?? { requests: 0, units: 0 };
    counts.set(name, { requests: before.requests + requests, units: before.units + units });
  };
  for (const [service, client] of [
    ["DynamoDB", clients.dynamo],
    ["Kinesis", clients.kinesis],
    ["S3", clients.s3],
  ])
    count(service, client, add);
  return { requests: () => Object.fromEntries([...counts].sort(([a], [b]) => (a < b ? -1 : 1))) };
}

function count(service, client, add) {
  const nameOf = (context) => `${service}.${context.commandName.replace(/Command$/, "")}`;
  // Within the step that tries again, so that each attempt is seen.
  client.middlewareStack.add(
    (next, context) => (args) => {
      add(nameOf(context), 1, 0);
      return next(args);
    },
    { step: "finalizeRequest", priority: "low", name: "countRequests" },
  );
  if (service === "S3") return;
  if (service === "Kinesis") {
    client.middlewareStack.add(
      (next, context) => (args) => {
        add(nameOf(context), 0, putUnits(args.input));
        return next(args);
      },
      { step: "finalizeRequest", priority: "low", name: "countPutUnits" },
    );
    return;
  }
  client.middlewareStack.add(
    (next, context) => async (args) => {
      const input = { ReturnConsumedCapacity: "TOTAL", ...args.input };
      try {
        const result = await next({ ...args, input });
        add(nameOf(context), 0, result.output.ConsumedCapacity?.CapacityUnits ?? transactionUnits(args.input));
        return result;
      } catch (error) {
        if (error.name === "ConditionalCheckFailedException")
          add(nameOf(context), 0, Math.ceil(JSON.stringify(args.input).length / kilobyte));
        throw error;
      }
    },
    { step: "initialize", name: "countUnits" },
  );
}

/** For endpoints whose answers to transactions do not say it; items are taken to be as small as what is sent. */
function transactionUnits({ TransactItems = [] }) {
  const writes = TransactItems.map((item) => Math.ceil(JSON.stringify(item).length / kilobyte));
  return writesPerTransaction * writes.reduce((sum, units) => sum + units, 0);
}

function putUnits({ Records = [] }) {
  const units = Records.map(({ Data, PartitionKey }) => Math.ceil((Data.length + PartitionKey.length) / putUnitBytes));
  return units.reduce((sum, one) => sum + one, 0);
}
