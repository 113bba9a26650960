import { dynamoTable, json, kinesisSource, type PipelineOptions, pipeline, value } from "tidemark";

export interface Flight {
  readonly airport: string;
}

/** Counts flights of the stream "flights" by airport, in the table "airports"; with `end` only those that came before it. */
export const countingFlights = (options: PipelineOptions = {}, end: number | null = null) =>
  pipeline("p", options, (flow) =>
    flow
      .from(
        "flights",
        kinesisSource({
          stream: "flights",
          codec: json<Flight>(),
          start: "trim-horizon",
          ...(end === null ? {} : { end: { at: new Date(end) } }),
        }),
      )
      .keyBy((flight) => flight.airport)
      .process("count", {
        state: { n: value(0) },
        onRecord(_flight, { key, state }) {
          state.n.update((n) => n + 1);
          return { airport: key, flights: state.n.get() };
        },
      })
      .to("airports", dynamoTable({ table: "airports", key: ["airport"] })),
  );
