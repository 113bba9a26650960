// What files of each format are to those who read them.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { constants, gunzipSync } from "node:zlib";
import { DuckDBInstance } from "@duckdb/node-api";
import { csv, type FileFormat, json, jsonLines, parquet, text } from "tidemark";
import { afterAll, describe, expect, it } from "vitest";
import { zstdOf } from "../../lib/connectors/compression.js";
import { partitionFolder } from "../../lib/connectors/partitions.js";

const folder = mkdtempSync(join(tmpdir(), "tidemark-formats-"));
afterAll(() => rmSync(folder, { recursive: true }));
let files = 0;

/** One file of these rows, closed, and where it lies. */
function fileOf<T>(
  format: FileFormat<T>,
  rows: readonly unknown[],
): { readonly bytes: Uint8Array; readonly path: string } {
  const file = format.open()();
  for (const row of rows) {
    file.append(row);
    file.settle();
  }
  expect(file.rows).toBe(rows.length);
  const bytes = file.finish();
  const path = join(folder, `file-${++files}${format.ending}`);
  writeFileSync(path, bytes);
  return { bytes, path };
}

const textOf = (bytes: Uint8Array) => Buffer.from(bytes).toString("utf8");

/** What DuckDB answers, as JSON of its values. */
async function duck(sql: string): Promise<readonly Readonly<Record<string, unknown>>[]> {
  const instance = await DuckDBInstance.create(":memory:");
  const connection = await instance.connect();
  const answer = await connection.runAndReadAll(sql);
  const rows = answer.getRowObjectsJson();
  connection.closeSync();
  instance.closeSync();
  return rows as readonly Readonly<Record<string, unknown>>[];
}

const many = Array.from({ length: 60_000 }, (_, n) => ({
  n,
  airport: ["ATL", "BOS", "JFK"][n % 3],
  note: `é ${n * 7919}`,
}));
const sum = (60_000 * 59_999) / 2;
const counted = [{ rows: "60000", sum: String(sum), last: "é 475132081" }];
const count = (from: string) =>
  duck(`SELECT count(*) AS rows, sum(n)::BIGINT AS sum, max_by(note, n) AS last FROM ${from}`);

describe("JSON lines", () => {
  it("are a row a line, or what another codec makes of it", () => {
    expect(textOf(fileOf(jsonLines(), [{ a: 1 }, { b: "x\ny" }]).bytes)).toBe('{"a":1}\n{"b":"x\\ny"}\n');
    expect(jsonLines({ codec: text }).ending).toBe(".txt");
    expect(textOf(fileOf(jsonLines({ codec: text }), ["ä", "b"]).bytes)).toBe("ä\nb\n");
    expect(jsonLines({ codec: json(), compression: "gzip" }).ending).toBe(".jsonl.gz");
  });

  it.each(["none", "gzip"] as const)("are read by DuckDB, compression %s", async (compression) => {
    const { path, bytes } = fileOf(jsonLines({ compression }), many);
    expect(await count(`read_json('${path}')`)).toEqual(counted);
    if (compression === "gzip") expect(bytes.length).toBeLessThan(700_000);
  });

  it("gzip is one member of many pieces, without name and time, and the same for the same rows", () => {
    const { bytes } = fileOf(jsonLines({ compression: "gzip" }), many);
    expect(textOf(gunzipSync(bytes)).trimEnd().split("\n")).toHaveLength(many.length);
    // What Z_SYNC_FLUSH would be for a member cut off: whole ones need no such leave.
    expect(() => gunzipSync(bytes.subarray(0, -1))).toThrow("unexpected end of file");
    expect(gunzipSync(bytes.subarray(0, -1), { finishFlush: constants.Z_SYNC_FLUSH }).length).toBeGreaterThan(1);
    expect([...bytes.subarray(0, 10)]).toEqual([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff]);
    expect(Buffer.compare(bytes, fileOf(jsonLines({ compression: "gzip" }), many).bytes)).toBe(0);
  });

  // Node has zstd from 22.15 on: what is older refuses it when the pipeline is built.
  it.runIf(zstdOf() !== null)("zstd is read by DuckDB", async () => {
    const { path } = fileOf(jsonLines({ compression: "zstd" }), many);
    expect(await count(`read_json('${path}')`)).toEqual(counted);
  });

  // The other side of the same: it says what is missing.
  it.runIf(zstdOf() === null)("zstd is refused when the pipeline is built, where this Node has none", () => {
    const refused = expect.objectContaining({
      kind: "invalid",
      message: expect.stringContaining("no zstd, which came with 22.15"),
    });
    expect(() => jsonLines({ compression: "zstd" })).toThrow(refused);
    expect(() => csv({ compression: "zstd" })).toThrow(refused);
    expect(() => parquet({ columns: { a: "string" }, compression: "zstd" })).toThrow(refused);
  });

  it("options that are none are refused", () => {
    expect(() => jsonLines({ compression: "lzo" as "gzip" })).toThrow('"lzo"; it may be none, gzip or zstd');
    expect(() => jsonLines({ colour: 1 } as object)).toThrow('"colour" is not known');
    expect(() => jsonLines({ codec: {} as never })).toThrow("codec");
  });
});

describe("CSV", () => {
  const odd = [
    { a: "plain", b: 1, c: true, d: new Date(0) },
    { a: 'quote " comma , end', b: -0.5, c: false, d: null },
    { a: "two\r\nlines", b: 1e21, c: undefined, d: undefined },
    { a: "", b: 12n, c: null, d: null },
    { a: null, b: null, c: null, d: null },
  ];
  const columns = ["a", "b", "c", "d"];

  it("is RFC 4180, with the names first", () => {
    const written = textOf(fileOf(csv({ columns }), odd).bytes);
    expect(written).toBe(
      [
        "a,b,c,d",
        "plain,1,true,1970-01-01T00:00:00.000Z",
        '"quote "" comma , end",-0.5,false,',
        '"two\r\nlines",1e+21,,',
        '"",12,,',
        ",,,",
        "",
      ].join("\r\n"),
    );
  });

  it("is read by DuckDB as it was written", async () => {
    const { path } = fileOf(csv({ columns }), odd);
    const rows = await duck(
      `SELECT a, b::DOUBLE AS b, c, d FROM read_csv('${path}', header = true, allow_quoted_nulls = false, new_line = '\\r\\n')`,
    );
    expect(rows.map(({ a }) => a)).toEqual(["plain", 'quote " comma , end', "two\r\nlines", "", null]);
    expect(rows.map(({ b }) => b)).toEqual([1, -0.5, 1e21, 12, null]);
    const gzipped = fileOf(csv({ compression: "gzip" }), many);
    expect(gzipped.path).toMatch(/\.csv\.gz$/);
    expect(await count(`read_csv('${gzipped.path}', header = true)`)).toEqual(counted);
  });

  it("has the members of the first row as columns where none are given, in each file", () => {
    const open = csv().open();
    const [one, two] = [open(), open()];
    one.append({ x: 1, y: 2 });
    two.append({ y: 3 });
    expect([textOf(one.finish()), textOf(two.finish())]).toEqual(["x,y\r\n1,2\r\n", "y\r\n3\r\n"]);
    expect(textOf(fileOf(csv({ header: false }), [{ x: 1 }]).bytes)).toBe("1\r\n");
  });

  it("a row of one empty field is no empty line", () => {
    expect(textOf(fileOf(csv({ columns: ["a"] }), [{ a: null }, { a: 1 }]).bytes)).toBe('a\r\n""\r\n1\r\n');
  });

  it.each([
    ["a member that is no column", { a: 1, z: 2 }, /"z", which is no column; the columns are "a"/],
    ["an object", { a: { b: 1 } }, /"a" of a row is an object; a field may be/],
    ["an array", { a: [] }, /"a" of a row is an array/],
    ["no number", { a: Number.NaN }, /"a" of a row is NaN/],
    ["no date", { a: new Date(Number.NaN) }, /an object of Date/],
    ["half a character", { a: "\ud83d" }, /lone surrogate/],
    ["no row", "text", /must be an object/],
  ])("%s is refused, and the file is as it was", (_, row, message) => {
    const file = csv({ columns: ["a"] }).open()();
    file.append({ a: 1 });
    expect(() => file.append(row)).toThrow(
      expect.objectContaining({ kind: "invalid", message: expect.stringMatching(message) }),
    );
    file.append({ a: 2 });
    expect(textOf(file.finish())).toBe("a\r\n1\r\n2\r\n");
  });

  it("a first row that is refused or taken back decides nothing", () => {
    const file = csv().open()();
    expect(() => file.append({ bad: {} })).toThrow("bad");
    file.append({ taken: "back" });
    file.rollback();
    file.append({ a: 1 });
    expect(textOf(file.finish())).toBe("a\r\n1\r\n");
  });

  it("columns that are none are refused", () => {
    expect(() => csv({ columns: [] })).toThrow('"columns" must be names');
    expect(() => csv({ columns: ["a", "a"] })).toThrow("a name twice");
    expect(() => csv({ header: 1 as never })).toThrow('"header" must be true or false');
  });
});

describe("Parquet", () => {
  const format = parquet({
    columns: {
      text: "string",
      flag: "boolean",
      small: "int32",
      large: "int64",
      ratio: "double",
      half: "float",
      at: "timestamp",
      day: "date",
      rest: "json",
      raw: "bytes",
      maybe: "string?",
    },
  });
  const row = {
    text: "Zürich",
    flag: true,
    small: -(2 ** 31),
    large: 2n ** 63n - 1n,
    ratio: 0.1,
    half: 0.5,
    at: new Date(Date.UTC(2026, 6, 31, 12, 30)),
    day: "2026-07-31",
    rest: { a: [1, null] },
    raw: Uint8Array.of(0, 255),
  };

  it("is read by DuckDB with its types and values", async () => {
    const other = {
      ...row,
      text: "",
      flag: false,
      small: 1,
      large: 5,
      at: 0,
      day: new Date(0),
      rest: 5,
      maybe: "x",
    };
    const { path } = fileOf(format, [row, other]);
    const described = await duck(`DESCRIBE SELECT * FROM '${path}'`);
    expect(Object.fromEntries(described.map((column) => [column.column_name, column.column_type]))).toEqual({
      text: "VARCHAR",
      flag: "BOOLEAN",
      small: "INTEGER",
      large: "BIGINT",
      ratio: "DOUBLE",
      half: "FLOAT",
      at: expect.stringMatching(/^TIMESTAMP/),
      day: "DATE",
      rest: "VARCHAR",
      raw: "BLOB",
      maybe: "VARCHAR",
    });
    const rows = await duck(`SELECT * REPLACE (epoch_ms("at"::TIMESTAMPTZ) AS "at", hex(raw) AS raw) FROM '${path}'`);
    expect(rows).toEqual([
      {
        ...{ text: "Zürich", flag: true, small: -(2 ** 31), large: "9223372036854775807", ratio: 0.1, half: 0.5 },
        ...{ at: String(row.at.getTime()), day: "2026-07-31", rest: '{"a":[1,null]}', raw: "00FF", maybe: null },
      },
      {
        ...{ text: "", flag: false, small: 1, large: "5", ratio: 0.1, half: 0.5 },
        ...{ at: "0", day: "1970-01-01", rest: "5", raw: "00FF", maybe: "x" },
      },
    ]);
  });

  it.each(["snappy", "gzip", "none"] as const)(
    "has row groups, and is read whole by DuckDB, %s",
    async (compression) => {
      const columns = { n: "int64", airport: "string", note: "string" } as const;
      const rows = Array.from({ length: 4 }, () => many).flat();
      const { path } = fileOf(parquet({ columns, compression }), rows);
      const quadruple = [{ rows: "240000", sum: String(4 * sum), last: "é 475132081" }];
      expect(await count(`'${path}'`)).toEqual(quadruple);
      const [groups] = await duck(`SELECT num_row_groups::INT AS n FROM parquet_file_metadata('${path}')`);
      expect(Number(groups?.n)).toBeGreaterThan(1);
    },
  );

  it.each([
    ["a text for a number", { small: "1" }, /"small" of a row is a string, which is no int32/],
    ["a number out of range", { small: 2 ** 31 }, /"small" of a row is a number out of its range, which is no int32/],
    ["a fraction", { large: 1.5 }, /"large" of a row is a number with a fraction/],
    ["a number that is not exact", { large: 2 ** 53 }, /"large"/],
    ["a bigint out of range", { large: 2n ** 63n }, /"large" of a row is a bigint/],
    ["no time", { at: new Date(Number.NaN) }, /"at"/],
    ["no day", { day: "2026-02-30" }, /"day" of a row is a string, which is no date/],
    ["half a character", { text: "\ud83d" }, /"text"/],
    ["what JSON cannot hold", { rest: { n: 1n } }, /"rest" of a row is an object, which is no json/],
    ["null", { flag: null }, /"flag" of a row is null; "boolean\?" would allow that/],
    ["nothing", { flag: undefined }, /"flag" of a row is missing/],
    ["a member that is no column", { more: 1 }, /"more", which is no column/],
  ])("%s is refused, and the file is as it was", async (_, change, message) => {
    const file = format.open()();
    file.append(row);
    expect(() => file.append({ ...row, ...change })).toThrow(
      expect.objectContaining({ kind: "invalid", message: expect.stringMatching(message) }),
    );
    file.settle();
    file.append(row);
    file.rollback();
    const path = join(folder, `refused-${++files}.parquet`);
    writeFileSync(path, file.finish());
    expect(await duck(`SELECT count(*)::INT AS rows, max(text) AS text FROM '${path}'`)).toEqual([
      { rows: 1, text: "Zürich" },
    ]);
  });

  it("columns that are none are refused", () => {
    expect(() => parquet({ columns: {} })).toThrow('"columns" must be types by names');
    expect(() => parquet({ columns: { a: "decimal" as "string" } })).toThrow(
      '"a" has no type that there is; types are string',
    );
    expect(() => parquet({ columns: { a: "string" }, compression: "lz4" as "gzip" })).toThrow(
      "snappy, none, gzip or zstd",
    );
  });
});

describe("partitions", () => {
  it("are named as Hive names them", () => {
    expect(partitionFolder({ year: 2026, month: "07", airport: "JFK" })).toBe("year=2026/month=07/airport=JFK/");
    expect(partitionFolder({ a: true, b: -1.5, c: 12n })).toBe("a=true/b=-1.5/c=12/");
    expect(partitionFolder({ a: null, b: undefined, c: "" })).toBe(
      "a=__HIVE_DEFAULT_PARTITION__/b=__HIVE_DEFAULT_PARTITION__/c=__HIVE_DEFAULT_PARTITION__/",
    );
    expect(partitionFolder({ at: "2026-07-31 12:00/x=y%é\u007f" })).toBe("at=2026-07-31 12%3A00%2Fx%3Dy%25é%7F/");
  });

  it.each([
    ["no object", "2026", /gave a string; it must give values by names/],
    ["a name of another kind", { "a-b": 1 }, /gave a member "a-b"/],
    ["a hidden folder", { _a: 1 }, /gave a member "_a"/],
    ["an object", { a: {} }, /gave an object for "a"/],
    ["no number", { a: Number.NaN }, /gave NaN for "a"/],
    ["half a character", { a: "\ud83d" }, /for "a"/],
  ])("%s is refused", (_, values, message) => {
    expect(() => partitionFolder(values)).toThrow(
      expect.objectContaining({ kind: "invalid", message: expect.stringMatching(message) }),
    );
  });
});
