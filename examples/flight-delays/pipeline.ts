import { dynamoTable, json, kinesisSource, pipeline, value } from "tidemark";

/** A departure, as the airline reported it. `delay` in minutes; null where the flight was cancelled. */
export interface Flight {
  readonly origin: string;
  readonly destination: string;
  readonly delay: number | null;
}

/** Running counts and delays per origin airport: a stage that reads, and one that counts, of four tasks each. */
export default pipeline(
  "flight-delays",
  { parallelism: 4, checkpoint: { interval: "1s", timeout: "4s" }, session: { reserve: "8s" } },
  (flow) =>
    flow
      .from("flights", kinesisSource({ stream: "flights", codec: json<Flight>(), start: "trim-horizon" }))
      .keyBy((flight) => flight.origin)
      .process("punctuality", {
        state: { flights: value(0), late: value(0), minutes: value(0) },
        onRecord(flight, { key, state }) {
          state.flights.update((n) => n + 1);
          if (flight.delay !== null && flight.delay > 15) state.late.update((n) => n + 1);
          state.minutes.update((sum) => sum + (flight.delay ?? 0));
          return { airport: key, flights: state.flights.get(), late: state.late.get(), minutes: state.minutes.get() };
        },
      })
      .to("airports", dynamoTable({ table: "airports", key: ["airport"] })),
);
