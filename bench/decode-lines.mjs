// Decoding alone: decode.mjs, which can also be run by itself.
import { runScript } from "./children.mjs";
import { fixed, table } from "./figures.mjs";

const timeoutMs = 5 * 60_000;

export const run = ({ pairs }) => runScript("decode.mjs", { args: ["--json", `--pairs=${pairs}`], timeoutMs });

export function report({ pairs, results }) {
  const rows = [
    ["decode: ns of CPU a record", "JSON.parse", "json()", "fields()", "JSON.parse : fields()"],
    ...results.map(({ name, parseNs, wholeNs, fieldsNs, ratio }) => [
      name,
      fixed(parseNs, 0),
      fixed(wholeNs, 0),
      fixed(fieldsNs, 0),
      fixed(ratio),
    ]),
  ];
  return `${table(rows)}\n  medians of ${pairs} pairs`;
}
