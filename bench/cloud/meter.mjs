// Counts what the SDK's clients send: each attempt is a request, as the service bills it, and DynamoDB says what it takes for it.

/** What a refused conditional write costs, which no answer says: as if it had been made. */
const kilobyte = 1_024;

/**
 * @param {{ dynamo: object, kinesis: object, s3: object }} clients
 * @returns {{ requests: () => Record<string, { requests: number, units: number }> }} by "Service.Operation"; units of DynamoDB alone
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
  if (service !== "DynamoDB") return;
  client.middlewareStack.add(
    (next, context) => async (args) => {
      const input = { ReturnConsumedCapacity: "TOTAL", ...args.input };
      try {
        const result = await next({ ...args, input });
        add(nameOf(context), 0, result.output.ConsumedCapacity?.CapacityUnits ?? 0);
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
