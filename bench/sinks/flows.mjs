// The pipelines, by sink. Counts per airport where the sink has rows by key; where it appends, the records as they are.
import { dynamoCounters } from "../../dist/connectors/dynamo-counters.js";
import { dynamoTable } from "../../dist/connectors/dynamo-table.js";
import { jsonLines } from "../../dist/connectors/json-lines.js";
import { kinesisStream } from "../../dist/connectors/kinesis-stream.js";
import { s3Files } from "../../dist/connectors/s3-files.js";
import { value } from "../../dist/pipeline/declare-state.js";
import { postgres } from "../../dist/postgres.js";
import { columns, places } from "./places.mjs";

const { target, prefix } = places;
const key = ["airport"];

const state = { flights: value(0), late: value(0), sum: value(0) };
const isLate = ({ delay }) => (delay > 15 ? 1 : 0);

const counted = (flights) =>
  flights
    .keyBy(({ origin }) => origin)
    .process("punctuality", {
      state,
      onRecord(flight, { key: airport, state: own }) {
        own.flights.update((n) => n + 1);
        own.late.update((n) => n + isLate(flight));
        own.sum.update((sum) => sum + (flight.delay ?? 0));
        return { airport, flights: own.flights.get(), late: own.late.get(), sum: own.sum.get() };
      },
    });

const increment = (flight) => ({ airport: flight.origin, flights: 1, late: isLate(flight), sum: flight.delay ?? 0 });

/** By the names of `catalog.mjs`. */
export const flows = {
  held: (flights) => counted(flights).to("target", dynamoTable({ table: target, key })),
  eager: (flights) =>
    counted(flights).to("target", dynamoTable({ table: target, key, delivery: "eager", stableKeys: true })),
  counters: (flights) => flights.map(increment).to("target", dynamoCounters({ table: target, key })),
  postgres: (flights) =>
    counted(flights).to("target", postgres({ database: "env:BENCH_URL", table: target, mode: "upsert", key, columns })),
  files: (flights) => flights.to("target", s3Files({ bucket: target, prefix, format: jsonLines() })),
  stream: (flights) => flights.to("target", kinesisStream({ stream: target, partitionKey: ({ origin }) => origin })),
};
