import { kinesisSource, pipeline, type Sink, text } from "tidemark";
import type { Flow } from "../../lib/pipeline/stream.js";
import { Task } from "../../lib/runtime/task.js";

/** A sink of rows by a key; a row that is no pair keys itself. */
export const sink = (table = "t"): Sink<unknown> => ({
  kind: "rows",
  delivery: "held",
  config: { table },
  keyOf: (row) => (Array.isArray(row) ? String(row[0]) : JSON.stringify(row)),
  open: () => {
    throw new Error("a task opens nothing");
  },
});
export const source = (stream = "s") => kinesisSource({ stream, codec: text });
export const position = (n = 1, from = "in") => ({ source: from, shard: "shard-0", sequenceNumber: String(n) });
export const build = (make: (flow: Flow) => void) => new Task(pipeline("p", {}, (flow) => void make(flow)).plan);

/** A task with one source and one sink. */
export const task = (make: (stream: ReturnType<Flow["from"]>) => { to(name: string, sink: Sink<unknown>): unknown }) =>
  build((flow) => make(flow.from("in", source())).to("out", sink()));
export type Stream = ReturnType<Flow["from"]>;

/** The rows of the sink "out" after these records. */
export function run(one: Task, ...records: readonly unknown[]): readonly unknown[] {
  for (const [i, record] of records.entries()) one.take(record, position(i + 1));
  return rows(one);
}
export const rows = (one: Task, name = "out") =>
  one.sinks
    .get(name)
    ?.take()
    .map(({ row }) => row) ?? [];
