// The two jobs, each as a pipeline, and as what a plain loop does with a line. Both write the same rows in the same order.
import { fileSink } from "../../dist/connectors/file-sink.js";
import { fileSource } from "../../dist/connectors/file-source.js";
import { json } from "../../dist/model/codecs.js";
import { value } from "../../dist/pipeline/declare-state.js";
import { pipeline } from "../../dist/pipeline/pipeline.js";
import { flightLines, keyedLines } from "../inputs.mjs";

const lateAfterMinutes = 15;
const options = { checkpoint: { interval: "1s", timeout: "30s" } };

function flights(name, codec) {
  return pipeline(name, options, (flow) =>
    flow
      .from("flights", fileSource({ path: "input", codec }))
      .filter((flight) => flight.delay !== null)
      .keyBy((flight) => flight.origin)
      .process("punctuality", {
        state: { flights: value(0), late: value(0), sum: value(0) },
        onRecord(flight, { key, state }) {
          const flights = state.flights.get() + 1;
          const late = state.late.get() + (flight.delay > lateAfterMinutes ? 1 : 0);
          const sum = state.sum.get() + flight.delay;
          state.flights.set(flights);
          state.late.set(late);
          state.sum.set(sum);
          return { airport: key, flights, late, sum };
        },
      })
      .to("rows", fileSink({ folder: "output" })),
  );
}

function counts(name, codec) {
  return pipeline(name, options, (flow) =>
    flow
      .from("records", fileSource({ path: "input", codec }))
      .keyBy((record) => record.key)
      .process("count", {
        state: { count: value(0) },
        onRecord(_, { key, state }) {
          const count = state.count.get() + 1;
          state.count.set(count);
          return { key, count };
        },
      })
      .to("rows", fileSink({ folder: "output" })),
  );
}

/** @returns {(line: string) => string | null} */
function plainFlights(airports) {
  return (line) => {
    const flight = JSON.parse(line);
    if (flight.delay === null) return null;
    let airport = airports.get(flight.origin);
    if (airport === undefined) {
      airport = { flights: 0, late: 0, sum: 0 };
      airports.set(flight.origin, airport);
    }
    airport.flights++;
    if (flight.delay > lateAfterMinutes) airport.late++;
    airport.sum += flight.delay;
    return JSON.stringify({ airport: flight.origin, flights: airport.flights, late: airport.late, sum: airport.sum });
  };
}

/** @returns {(line: string) => string} */
function plainCounts(keys) {
  return (line) => {
    const { key } = JSON.parse(line);
    let entry = keys.get(key);
    if (entry === undefined) {
      entry = { count: 0 };
      keys.set(key, entry);
    }
    entry.count++;
    return JSON.stringify({ key, count: entry.count });
  };
}

export const jobs = {
  f1: {
    lines: flightLines,
    plain: plainFlights,
    pipelines: {
      tidemark: () => flights("f1", json()),
      fields: () => flights("f1-fields", json().fields("delay", "origin")),
    },
  },
  k1: {
    lines: keyedLines,
    plain: plainCounts,
    pipelines: {
      tidemark: () => counts("k1", json()),
      fields: () => counts("k1-fields", json().fields("key")),
    },
  },
};
