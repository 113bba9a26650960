import { parseArgs } from "node:util";

/** Of the processes of a benchmark on the embedded cloud. */
export function readArguments() {
  const text = { type: "string" };
  const { values } = parseArgs({ options: { records: text, name: text, table: text, interval: text } });
  return { ...values, records: Number(values.records) };
}
