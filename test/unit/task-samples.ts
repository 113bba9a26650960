import { kinesisSource, type PipelineOptions, pipeline, type Sink, text } from "tidemark";
import type { HeldSink } from "../../lib/pipeline/sink.js";
import type { Flow } from "../../lib/pipeline/stream.js";
import type { HeldOutput } from "../../lib/runtime/held-output.js";
import type { RecordView } from "../../lib/runtime/record-view.js";
import { detachedTask, type Task } from "../../lib/runtime/task.js";

/** A sink of rows by a key; a row that is no pair keys itself. */
export const sink = (table = "t"): HeldSink<unknown> => ({
  kind: "rows",
  delivery: "held",
  config: { table },
  keyOf: (row) => (Array.isArray(row) ? String(row[0]) : JSON.stringify(row)),
  open: () => {
    throw new Error("a task opens nothing");
  },
});
export const source = (stream = "s") => kinesisSource({ stream, codec: text });
export const position = (n = 1, from = "in", data = ""): RecordView => ({
  source: from,
  shard: "shard-0",
  sequenceNumber: String(n),
  subSequenceNumber: null,
  arrivedAt: null,
  data: Buffer.from(data),
});
export type KeptTask = Task<HeldOutput>;
export const build = (make: (flow: Flow) => void, options: PipelineOptions = {}): KeptTask =>
  detachedTask(pipeline("p", options, (flow) => void make(flow)).plan);

/** A task with one source and one sink. */
export const task = (make: (stream: ReturnType<Flow["from"]>) => { to(name: string, sink: Sink<unknown>): unknown }) =>
  build((flow) => make(flow.from("in", source())).to("out", sink()));
export type Stream = ReturnType<Flow["from"]>;

/** The rows of the sink "out" after these records. */
export function run(one: KeptTask, ...records: readonly unknown[]): readonly unknown[] {
  for (const [i, record] of records.entries()) one.take(record, position(i + 1));
  return rows(one);
}
export const rows = (one: KeptTask, name = "out") =>
  one.outputs
    .get(name)
    ?.take()
    .map(({ row }) => row) ?? [];
