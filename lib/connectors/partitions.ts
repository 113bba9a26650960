import { StreamError } from "../model/errors.js";
import { isPlainObject, kindOf, quoted } from "../pipeline/checks.js";

/** What a partition is called by: null and undefined are Hive's default partition. */
export type PartitionValue = string | number | bigint | boolean | null | undefined;

/** What Hive calls the partition of rows without a value. */
const defaultPartition = "__HIVE_DEFAULT_PARTITION__";
/** What Hive escapes in names of folders: org.apache.hadoop.hive.common.FileUtils. Code points 1 to 31 and 127 too. */
const escaped = /[\p{Cc}"#%'*/:=?\\{[\]^]/gu;
const namePattern = /^[A-Za-z][A-Za-z0-9_]*$/;

/**
 * The folder of a row, as Hive names it: `year=2026/airport=JFK/`. "" where there is none.
 *
 * @param values what `partitionBy` gave. @throws StreamError `invalid`, naming the member
 */
export function partitionFolder(values: unknown): string {
  if (!isPlainObject(values))
    throw refused(`gave ${kindOf(values)}; it must give values by names, such as { year: "2026", airport: "JFK" }`);
  let folder = "";
  for (const name of Object.keys(values)) {
    if (!namePattern.test(name))
      throw refused(`gave a member ${quoted(name)}; names are letters, digits and "_", a letter first`);
    folder += `${name}=${valueText(name, values[name])}/`;
  }
  return folder;
}

/** Names of the partition columns, in their order: all rows of a sink have the same. */
export const partitionNames = (values: object): string => Object.keys(values).join("/");

function valueText(name: string, value: unknown): string {
  if (value === null || value === undefined || value === "") return defaultPartition;
  const isPlain = typeof value === "boolean" || typeof value === "bigint" || Number.isFinite(value);
  if (isPlain) return String(value);
  if (typeof value === "string" && value.isWellFormed()) return value.replace(escaped, percent);
  throw refused(`gave ${kindOf(value)} for ${quoted(name)}; a value may be a text, a number, a boolean or null`);
}

const percent = (char: string): string =>
  [...Buffer.from(char, "utf8")].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`).join("");

const refused = (problem: string): StreamError => new StreamError("invalid", `partitionBy ${problem}`);
