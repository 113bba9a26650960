import { gzipSync } from "node:zlib";
import { ByteWriter, type ColumnSource, ParquetWriter } from "hyparquet-writer";
import { checkMembers, quoted, refuse } from "../pipeline/checks.js";
import { checkCompression, zstdOf } from "./compression.js";
import type { FileFormat, OpenFile } from "./file-format.js";
import {
  type Column,
  checkColumns,
  type ParquetKind,
  type ParquetRow,
  type ParquetType,
  valuesOf,
} from "./parquet-columns.js";

export interface ParquetOptions<C> {
  /** Types by name, in the order of the file. */
  readonly columns: C;
  /** Of pages, within the file. Snappy where it is not given. */
  readonly compression?: "snappy" | "none" | "gzip" | "zstd";
}

const codecs = { snappy: "SNAPPY", none: "UNCOMPRESSED", gzip: "GZIP", zstd: "ZSTD" } as const;
/** Of values in memory: then they become a row group, which nobody waits long for. */
const groupBytes = 8 * 1024 * 1024;
const groupRowsMax = 100_000;
/** What a value takes in memory beside its text or bytes. */
const valueBytes = 16;

/**
 * Apache Parquet: columns, in row groups of about 8 MiB of values. A member of a row that is no column is an error: nothing is left
 * out silently. What is nested goes into a column of type "json".
 *
 * @throws StreamError `invalid` at build: no columns, one of an unknown type, no zstd in this Node; at a record: a row that does not
 *   fit the columns
 * @example parquet({ columns: { airport: "string", at: "timestamp", delay: "int32?" } })
 */
export function parquet<const C extends Readonly<Record<string, ParquetType>>>(
  options: ParquetOptions<C>,
): FileFormat<ParquetRow<C>> {
  checkMembers("parquet", options, ["columns", "compression"]);
  const columns = checkColumns(options.columns);
  const { compression = "snappy" } = options;
  if (!Object.hasOwn(codecs, compression))
    refuse("parquet", `"compression" is ${quoted(String(compression))}; it may be snappy, none, gzip or zstd`);
  if (compression === "zstd") checkCompression("parquet", compression);
  const names = new Set(columns.map(({ name }) => name));
  return {
    name: "parquet",
    ending: ".parquet",
    config: { columns: options.columns, compression },
    open: () => () => new ParquetFile(columns, names, codecs[compression]),
  };
}

type Schema = ConstructorParameters<typeof ParquetWriter>[0]["schema"];

const elements: Readonly<Record<ParquetKind, Partial<Schema[number]>>> = {
  string: { type: "BYTE_ARRAY", converted_type: "UTF8" },
  boolean: { type: "BOOLEAN" },
  int32: { type: "INT32" },
  int64: { type: "INT64" },
  float: { type: "FLOAT" },
  double: { type: "DOUBLE" },
  timestamp: { type: "INT64", converted_type: "TIMESTAMP_MILLIS" },
  date: { type: "INT32", converted_type: "DATE" },
  json: { type: "BYTE_ARRAY", converted_type: "UTF8" },
  bytes: { type: "BYTE_ARRAY" },
};

const schemaOf = (columns: readonly Column[]): Schema => [
  { name: "root", num_children: columns.length },
  ...columns.map(({ name, kind, nullable }) => ({
    ...elements[kind],
    name,
    repetition_type: nullable ? ("OPTIONAL" as const) : ("REQUIRED" as const),
  })),
];

class ParquetFile implements OpenFile {
  rows = 0;
  readonly #columns: readonly Column[];
  readonly #names: ReadonlySet<string>;
  readonly #bytes = new ByteWriter();
  readonly #file: ParquetWriter;
  /** Rows of the next row group, by column. */
  #values: unknown[][];
  #size = 0;
  #settled = { rows: 0, values: 0, size: 0 };

  constructor(columns: readonly Column[], names: ReadonlySet<string>, codec: (typeof codecs)[keyof typeof codecs]) {
    this.#columns = columns;
    this.#names = names;
    const zstd = zstdOf();
    const compressors = { GZIP: (bytes: Uint8Array) => gzipSync(bytes), ...(zstd === null ? {} : { ZSTD: zstd }) };
    this.#file = new ParquetWriter({
      writer: this.#bytes,
      schema: schemaOf(columns),
      codec,
      compressors,
      createdBy: "tidemark",
    });
    this.#values = columns.map(() => []);
  }

  append(row: unknown): void {
    const values = valuesOf(this.#columns, this.#names, row);
    for (const [index, value] of values.entries()) {
      this.#values[index]?.push(value);
      this.#size += valueBytes + (typeof value === "string" || value instanceof Uint8Array ? value.length : 0);
    }
    this.rows++;
  }

  settle(): void {
    if (this.#size >= groupBytes || (this.#values[0]?.length ?? 0) >= groupRowsMax) this.#writeGroup();
    this.#settled = { rows: this.rows, values: this.#values[0]?.length ?? 0, size: this.#size };
  }

  rollback(): void {
    this.rows = this.#settled.rows;
    this.#size = this.#settled.size;
    for (const values of this.#values) values.length = this.#settled.values;
  }

  get size(): number {
    return this.#bytes.offset + this.#size;
  }

  get held(): number {
    return this.#bytes.buffer.byteLength + this.#size;
  }

  finish(): Uint8Array {
    this.#writeGroup();
    this.#file.finish();
    return this.#bytes.getBytes();
  }

  #writeGroup(): void {
    const rowGroupSize = this.#values[0]?.length ?? 0;
    if (rowGroupSize === 0) return;
    const columnData = this.#columns.map(
      ({ name }, index): ColumnSource => ({ name, data: this.#values[index] ?? [] }),
    );
    this.#file.write({ columnData, rowGroupSize });
    this.#values = this.#columns.map(() => []);
    this.#size = 0;
  }
}
