import { StreamError } from "./errors.js";
import { type Row, rowMaker } from "./json-rows.js";
import { absent, JsonScan } from "./json-scan.js";
import { jsonOfBytes, jsonOfLine, parseJson } from "./json-text.js";
import type { LineDecoder } from "./lines.js";
import { fromMarkedUtf8 } from "./utf8.js";

/** Reads some members of JSON objects. */
export interface FieldReader {
  readonly decode: (body: Uint8Array) => Row;
  readonly lines: LineDecoder<Row>;
}

/**
 * A reader of the named members. What their values are, and which of two members of one name counts, is as JSON.parse has it.
 *
 * @throws StreamError `invalid`: no name, one twice, or `__proto__`. From what it returns: no UTF-8, no object, or no JSON as far
 *   as it is looked at
 */
export function fieldReader(names: readonly string[]): FieldReader {
  checkNames(names);
  const rowOf = rowMaker(names);
  const ofRecords = new JsonScan(names, parseJson);
  return {
    decode(body) {
      const text = fromMarkedUtf8(body);
      ofRecords.source.loadUtf8(text, body);
      return ofRecords.read(0, text.length) ? rowOf(ofRecords.values) : rowOf(picked(names, jsonOfBytes(body)));
    },
    lines: fieldLines(names, rowOf),
  };
}

function fieldLines(names: readonly string[], rowOf: (values: readonly unknown[]) => Row): LineDecoder<Row> {
  const scan = new JsonScan(names, parseJson);
  let loaded = 0;
  let blocks = 0;
  return {
    block(text) {
      const block = ++blocks;
      return (from, to) => {
        // Nobody says that one block is read to its end before the next one is begun.
        if (loaded !== block) scan.source.load(text);
        loaded = block;
        return scan.read(from, to)
          ? rowOf(scan.values)
          : rowOf(picked(names, jsonOfLine(text.slice(from, to), parseJson)));
      };
    },
  };
}

/** The members' values out of a whole record, for rowMaker. */
function picked(names: readonly string[], record: unknown): readonly unknown[] {
  if (typeof record !== "object" || record === null || Array.isArray(record)) {
    throw new StreamError("invalid", "the record is JSON, but no object, so that it has no fields to read");
  }
  return names.map((name) => (Object.hasOwn(record, name) ? (record as Row)[name] : absent));
}

function checkNames(names: readonly string[]): void {
  const refused = (problem: string) => new StreamError("invalid", `json().fields(): ${problem}`);
  if (names.length === 0) throw refused("it names no field; name those that the pipeline reads");
  const odd = names.findIndex((name) => typeof name !== "string");
  if (odd >= 0) throw refused(`name ${odd + 1} is no string but ${typeof names[odd]}`);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw refused(`${JSON.stringify(twice)} is named twice`);
  if (names.includes("__proto__")) throw refused('"__proto__" is left out of every record; leave it out here');
}
