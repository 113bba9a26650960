// The example of the documentation, as users write it. Compiled, never run.
import { json, kinesisSource, pipeline, type Sink, value } from "tidemark";
import { z } from "zod";

declare function dynamoTable<const K extends string>(options: {
  readonly table: string;
  readonly key: readonly [K] | readonly [K, K];
  readonly delivery?: "held" | "eager";
}): Sink<{ readonly [P in K]: string }>;

const Flight = z.object({ origin: z.string(), delay: z.number().nullable() });

export default pipeline("flight-delays", { parallelism: 2, checkpoint: { interval: "10s" } }, (flow) =>
  flow
    .from("flights", kinesisSource({ stream: "flights", codec: json(Flight) }))
    .keyBy((flight) => flight.origin)
    .process("punctuality", {
      state: { flights: value(0), late: value(0) },
      onRecord(flight, { key, state }) {
        if (flight.delay === null) return;
        state.flights.update((n) => n + 1);
        if (flight.delay > 15) state.late.update((n) => n + 1);
        return { airport: key, flights: state.flights.get(), late: state.late.get() }; // or an array, or yield
      },
    })
    .to("airports", dynamoTable({ table: "airports", key: ["airport"] })),
);
