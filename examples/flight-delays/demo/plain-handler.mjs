// The control: a handler behind a Kinesis trigger as it is often written, without checkpoints. It increments counters in a table, and
// whoever delivers its batches delivers a batch again when it did not answer.
import { DynamoDBClient, UpdateItemCommand } from "@aws-sdk/client-dynamodb";

const table = process.env.TABLE;
const updatesAtOnce = 8;
const dynamo = new DynamoDBClient({});

/** @param {import("./flights.mjs").Flight[]} batch */
async function handler(batch) {
  const airports = new Map();
  for (const { origin, delay } of batch) {
    const sum = airports.get(origin) ?? { flights: 0, late: 0, minutes: 0 };
    sum.flights += 1;
    if (delay !== null && delay > 15) sum.late += 1;
    sum.minutes += delay ?? 0;
    airports.set(origin, sum);
  }
  const left = [...airports];
  const work = async () => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) await increment(...next);
  };
  await Promise.all(Array.from({ length: updatesAtOnce }, work));
}

const increment = (airport, { flights, late, minutes }) =>
  dynamo.send(
    new UpdateItemCommand({
      TableName: table,
      Key: { airport: { S: airport } },
      UpdateExpression: "ADD flights :flights, late :late, minutes :minutes",
      ExpressionAttributeValues: {
        ":flights": { N: String(flights) },
        ":late": { N: String(late) },
        ":minutes": { N: String(minutes) },
      },
    }),
  );

process.on("message", async ({ batch }) => {
  await handler(batch);
  process.send({ done: true });
});
process.on("disconnect", () => process.exit());
process.send({ ready: true });
