// Decoding alone: decode.mjs, which can also be run by itself.
import { runScript } from "./children.mjs";
import { fixed, table } from "./figures.mjs";

const timeoutMs = 5 * 60_000;

export const run = ({ pairs }) => runScript("decode.mjs", { args: ["--json", `--pairs=${pairs}`], timeoutMs });

export function report({ pairs, results }) {
  const rows = [
    ["decode: ns of CPU a record", "json()", "fields()", "ratio"],
    ...results.map(({ name, parseNs, fieldsNs, ratio }) => [name, fixed(parseNs, 0), fixed(fieldsNs, 0), fixed(ratio)]),
  ];
  return `${table(rows)}\n  medians of ${pairs} pairs`;
}
