// What is in a table, beside what must be in it.
import { paginateScan } from "@aws-sdk/client-dynamodb";

/**
 * @typedef {object} Comparison
 * @property {number} counted flights in the table
 * @property {number} lost flights of airports that have too few
 * @property {number} twice flights of airports that have too many
 * @property {number} wrongAirports airports of which any number differs: flights, late, minutes
 */

/** @returns {Promise<import("./flights.mjs").Airports>} */
export async function readAirports(dynamo, table) {
  const airports = new Map();
  for await (const page of paginateScan({ client: dynamo }, { TableName: table, ConsistentRead: true })) {
    for (const item of page.Items ?? []) {
      const number = (name) => Number(item[name]?.N ?? 0);
      airports.set(item.airport?.S, { flights: number("flights"), late: number("late"), minutes: number("minutes") });
    }
  }
  return airports;
}

/**
 * A flight lost and another counted twice at one airport would even out in `flights`; `late` and `minutes` tell.
 *
 * @returns {Comparison}
 */
export function compare(found, expected) {
  const nothing = { flights: 0, late: 0, minutes: 0 };
  const result = { counted: 0, lost: 0, twice: 0, wrongAirports: 0 };
  for (const airport of new Set([...found.keys(), ...expected.keys()])) {
    const has = found.get(airport) ?? nothing;
    const must = expected.get(airport) ?? nothing;
    result.counted += has.flights;
    result.lost += Math.max(0, must.flights - has.flights);
    result.twice += Math.max(0, has.flights - must.flights);
    if (has.flights !== must.flights || has.late !== must.late || has.minutes !== must.minutes)
      result.wrongAirports += 1;
  }
  return result;
}
