// Records at a steady rate, each with its number and the time at which it was put.
import { putLines } from "../cloud/open-cloud.mjs";
import { flightLines } from "../inputs.mjs";

const putsPerSecond = 10;

/**
 * @param {object} kinesis
 * @param {{ records: number, perSecond: number, signal: AbortSignal, put: (origin: string, at: number) => void }} options
 *   `put`: told of each record before it is put; times are those of `performance.now()`
 */
export async function feed(kinesis, { records, perSecond, signal, put }) {
  const lines = [...flightLines(records)];
  const perPut = perSecond / putsPerSecond;
  const startedAt = performance.now();
  for (let fed = 0; fed < records && !signal.aborted; fed += perPut) {
    const at = performance.now();
    const portion = lines.slice(fed, fed + perPut).map((line, index) => {
      const flight = JSON.parse(line);
      put(flight.origin, at);
      return JSON.stringify({ ...flight, n: fed + index, at });
    });
    await putLines(kinesis, portion);
    const due = startedAt + ((fed + perPut) * 1_000) / perSecond;
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, due - performance.now())));
  }
}
