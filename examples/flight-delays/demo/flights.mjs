// Real departures: flights-3m.parquet of npm vega-datasets, three million flights of 2001 with origin, destination and delay.
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { decompress } from "fzstd";
import { asyncBufferFromFile, parquetReadObjects } from "hyparquet";

/**
 * @typedef {{ origin: string, destination: string, delay: number | null }} Flight
 * @typedef {{ flights: number, late: number, minutes: number }} Punctuality
 * @typedef {Map<string, Punctuality>} Airports by their codes
 */

export const flightsInFile = 3_000_000;

/** A departure counts as late from so many minutes on; the pipeline has its own notion of it, which is compared with this one. */
const lateAfterMinutes = 15;

/** How the file's pages are compressed; Node has it from version 22.15 on. */
const compressors = { ZSTD: (bytes, length) => decompress(bytes, new Uint8Array(length)) };

/** The first `count` flights of the file, in its order: that of departure. @returns {Promise<Flight[]>} */
export async function readFlights(count) {
  const columns = ["origin", "destination", "delay"];
  const rows = await parquetReadObjects({ file: await openFile(), compressors, columns, rowEnd: count });
  return rows.map(({ origin, destination, delay }) => ({ origin, destination, delay: toNumber(delay) }));
}

/** What the pipeline must have come to, straight from the file. @returns {Promise<Airports>} */
export async function recompute(count) {
  const columns = ["origin", "delay"];
  const rows = await parquetReadObjects({ file: await openFile(), compressors, columns, rowEnd: count });
  const airports = new Map();
  for (const { origin, delay } of rows) {
    const before = airports.get(origin) ?? { flights: 0, late: 0, minutes: 0 };
    const minutes = toNumber(delay) ?? 0;
    airports.set(origin, {
      flights: before.flights + 1,
      late: before.late + (minutes > lateAfterMinutes ? 1 : 0),
      minutes: before.minutes + minutes,
    });
  }
  return airports;
}

/** The package exports its module alone: the file is found from there. */
const openFile = () =>
  asyncBufferFromFile(
    join(dirname(createRequire(import.meta.url).resolve("vega-datasets")), "..", "data", "flights-3m.parquet"),
  );

/** Parquet's 64-bit integers are read as BigInt. */
const toNumber = (delay) => (delay === null || delay === undefined ? null : Number(delay));
