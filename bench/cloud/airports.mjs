import { ScanCommand } from "@aws-sdk/client-dynamodb";

/** What the sink's table says. @returns {Promise<Map<string, { flights: number, late: number, sum: number }>>} */
export async function airportsOf(dynamo, TableName) {
  const airports = new Map();
  for (let ExclusiveStartKey; ; ) {
    const page = await dynamo.send(new ScanCommand({ TableName, ExclusiveStartKey, ConsistentRead: true }));
    for (const { airport, flights, late, sum } of page.Items ?? [])
      airports.set(airport.S, { flights: Number(flights.N), late: Number(late.N), sum: Number(sum.N) });
    ExclusiveStartKey = page.LastEvaluatedKey;
    if (ExclusiveStartKey === undefined) return airports;
  }
}
