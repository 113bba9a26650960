import * as zlib from "node:zlib";
import type { Json } from "../../model/canonical-json.js";
import type { MemoryObjects } from "../memory/objects.js";

/** What a sink of files in a bucket says of itself in its config (`s3Files`). */
export interface ObjectsConfig {
  readonly bucket: string;
  readonly prefix: string;
  readonly staging: string;
  readonly format: { readonly name: string; readonly ending: string; readonly config: Json };
}

type Inflate = (bytes: Uint8Array) => Uint8Array;

/** Rows of all files in the order of their names: of each partition in that of the checkpoints. */
export async function objectRows(
  { keys, read }: MemoryObjects,
  { bucket, prefix, staging, format }: ObjectsConfig,
): Promise<readonly unknown[]> {
  const shown = keys(bucket).filter((key) => key.startsWith(prefix) && !key.startsWith(staging));
  const rows: unknown[] = [];
  for (const key of shown.filter((name) => name.endsWith(format.ending)))
    rows.push(...(await rowsOf(read(bucket, key) ?? new Uint8Array(0), format)));
  return rows;
}

/** The rows of one file. */
export async function rowsOf(
  bytes: Uint8Array,
  { name, config }: ObjectsConfig["format"],
): Promise<readonly unknown[]> {
  if (name === "parquet") return parquetRows(bytes, config as unknown as ParquetConfig);
  const text = Buffer.from(inflated(bytes, config as { readonly compression: string })).toString("utf8");
  if (name === "csv") return csvRows(text, config as unknown as CsvConfig);
  const lines = text.split("\n").filter((line) => line !== "");
  const isJson = (config as { readonly codec: string }).codec === "json";
  return lines.map((line): unknown => (isJson ? JSON.parse(line) : line));
}

function inflated(bytes: Uint8Array, { compression }: { readonly compression: string }): Uint8Array {
  if (compression === "gzip") return zlib.gunzipSync(bytes);
  return compression === "zstd" ? unzstd(bytes) : bytes;
}

const unzstd: Inflate = (bytes) =>
  (zlib as unknown as { readonly zstdDecompressSync: Inflate }).zstdDecompressSync(bytes);

interface CsvConfig {
  readonly columns: readonly string[] | null;
  readonly header: boolean;
}

/** A field in quotes, or without, and what ends it (RFC 4180). */
const field = /(?:"((?:[^"]|"")*)"|([^,\r\n]*))(,|\r\n|$)/y;

/** Texts by column; null where a field is empty. */
function csvRows(text: string, { columns, header }: CsvConfig): readonly unknown[] {
  const lines: (string | null)[][] = [];
  let line: (string | null)[] = [];
  field.lastIndex = 0;
  while (field.lastIndex < text.length) {
    const [, quoted, plain = "", end] = field.exec(text) ?? [];
    line.push(quoted === undefined ? plain || null : quoted.replaceAll('""', '"'));
    if (end === ",") continue;
    lines.push(line);
    line = [];
  }
  const names = header ? lines.shift() : columns;
  return lines.map((values) => Object.fromEntries(values.map((value, index) => [names?.[index] ?? index, value])));
}

interface ParquetConfig {
  readonly columns: Readonly<Record<string, string>>;
}

/** Whole numbers as numbers where those hold them; JSON as values. */
async function parquetRows(bytes: Uint8Array, { columns }: ParquetConfig): Promise<readonly unknown[]> {
  const { parquetReadObjects } = await import("hyparquet");
  const file = Uint8Array.from(bytes).buffer;
  const compressors = { GZIP: (packed: Uint8Array) => zlib.gunzipSync(packed), ZSTD: unzstd };
  const rows = await parquetReadObjects({ file, compressors, utf8: false });
  const cellOf = (name: string, value: unknown): unknown => {
    if (typeof value === "bigint") return Number.isSafeInteger(Number(value)) ? Number(value) : value;
    return columns[name]?.startsWith("json") && typeof value === "string" ? JSON.parse(value) : value;
  };
  return rows.map((row) => Object.fromEntries(Object.entries(row).map(([name, value]) => [name, cellOf(name, value)])));
}
