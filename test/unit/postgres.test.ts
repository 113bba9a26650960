// The sink over a server of the test's own: what it asks of tables and rows, and what it says.

import pg from "pg";
import { deleted, type Sink } from "tidemark";
import { type PostgresAppend, type PostgresUpsert, postgres } from "tidemark/postgres";
import { afterAll, describe, expect, it, vi } from "vitest";
import { databaseError } from "../../lib/connectors/postgres/database-errors.js";
import type { LogWriter, SinkResources } from "../../lib/pipeline/sink.js";
import { permitFor } from "../../lib/testing/conformance/sink-permits.js";
import { memoryResources } from "../../lib/testing/conformance/sink-resources.js";
import { segmentOf } from "../fixtures/postgres/segments.js";
import { startPostgres } from "../fixtures/postgres/server.js";
import { commitWay } from "../fixtures/postgres/way.js";

vi.setConfig({ testTimeout: 60_000 });

const server = await startPostgres();
const way = await commitWay(server.port);
const writers: LogWriter[] = [];
afterAll(async () => {
  for (const writer of writers) await writer.close();
  await way.close();
  await server.close();
});

type Options = Omit<PostgresAppend, "database" | "table"> | Omit<PostgresUpsert<string>, "database" | "table">;
let tables = 0;

/** A table of its own for each test; `$t` stands for its name. */
async function tableOf(create: string): Promise<string> {
  const table = `orders_${++tables}`;
  for (const sql of create.split(";")) await server.query(sql.replaceAll("$t", table));
  return table;
}

function writerOf(table: string, options: Options, url = server.url, more: Partial<SinkResources> = {}): LogWriter {
  // Lanes are the same in all tests.
  const tokensTable = `tokens_of_${table.replaceAll(/\W/g, "")}`;
  const sink: Sink<never> = postgres({ database: "shop", table, tokensTable, ...options } as PostgresAppend);
  if (sink.delivery !== "log") throw new Error("it is no log");
  const writer = sink.open({ ...memoryResources(), bind: () => url, ...more });
  writers.push(writer);
  return writer;
}

/** A writer that has looked at its table. */
async function checked(
  create: string,
  options: Options,
): Promise<{ readonly table: string; readonly writer: LogWriter }> {
  const table = await tableOf(create);
  const writer = writerOf(table, options);
  await writer.check();
  return { table, writer };
}

let positions = 0;
const apply = (writer: LogWriter, rows: readonly unknown[], checkpoint = ++positions) =>
  writer.apply(writer.target, segmentOf(checkpoint, rows), permitFor(1_000_000));

const upsert = (...key: [string, ...string[]]): Options => ({ mode: "upsert", key });
const append: Options = { mode: "append" };

const refusedBy = (writer: LogWriter, row: unknown): string => {
  try {
    writer.validate(row);
  } catch (error) {
    expect(error).toMatchObject({ name: "StreamError", kind: "invalid" });
    return (error as Error).message;
  }
  return "taken";
};

describe("values", () => {
  const types = `
    i2 smallint, i4 integer, i8 bigint, f4 real, f8 double precision, n numeric, n2 numeric(6, 2), b boolean, t text,
    v varchar(3), u uuid, x bytea, d date, ts timestamp, tz timestamptz, j json, jb jsonb, a integer[], ta text[],
    m mood, ip inet, span interval`;
  const row = {
    i2: -32_768,
    i4: 2_147_483_647,
    i8: 9_223_372_036_854_775_807n,
    f4: 1.5,
    f8: 0.1,
    n: 12345678901234567890n,
    n2: "9999.99",
    b: false,
    t: 'a "quoted" \\ text, \u2028 🙂 \u0001',
    v: "🙂🙂🙂",
    u: "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11",
    x: new Uint8Array([0, 1, 255]),
    d: new Date("2024-02-29T23:59:59.999Z"),
    ts: new Date("2024-02-29T23:59:59.999Z"),
    tz: "2024-02-29T23:59:59.999999+02:00",
    j: { big: 12345678901234567890n, at: new Date(0), list: [1, null, undefined], "": "", left: undefined },
    jb: [{ deep: { er: true } }, "text", 1e-7],
    a: [1, null, 3],
    ta: ['with "quotes"', "and, commas", "{}"],
    m: 'it\'s "fine"',
    ip: "10.0.0.0/8",
    span: "1 day 02:00:00",
  };

  it("come back as they were given", async () => {
    await server.query(`create type mood as enum ('it''s "fine"', 'bad')`);
    const { table, writer } = await checked(`create table $t (${types})`, append);
    writer.validate(row);
    await apply(writer, [row]);
    const texts = Object.keys(row).map((name) => `${name}::text as ${name}`);
    expect((await server.query(`select ${texts.join(", ")} from ${table}`))[0]).toEqual({
      ...Object.fromEntries(["i2", "i4", "i8", "f4", "f8", "n"].map((name) => [name, String(row[name as "i2"])])),
      n2: "9999.99",
      b: "false",
      t: row.t,
      v: row.v,
      u: row.u.toLowerCase(),
      x: "\\x0001ff",
      d: "2024-02-29",
      ts: "2024-02-29 23:59:59.999",
      tz: expect.stringContaining("59.999999"),
      j: '{"big":12345678901234567890,"at":"1970-01-01T00:00:00.000Z","list":[1,null,null],"":""}',
      jb: '[{"deep": {"er": true}}, "text", 1e-7]'.replace("1e-7", "0.0000001"),
      a: "{1,NULL,3}",
      ta: '{"with \\"quotes\\"","and, commas","{}"}',
      m: row.m,
      ip: "10.0.0.0/8",
      span: "1 day 02:00:00",
    });
    const nulls = Object.fromEntries(Object.keys(row).map((name) => [name, null]));
    writer.validate(nulls);
    await apply(writer, [nulls, { f8: Number.NaN }, { f8: Number.NEGATIVE_INFINITY }, { f8: -0 }, {}, { f4: 1e-30 }]);
    const counts = `select count(*)::integer as n, sum((f8 is null)::integer)::integer as "null" from ${table}`;
    expect(await server.query(counts)).toEqual([{ n: 7, null: 3 }]);
    expect(await server.query(`select f8::text from ${table} where f8 is not null offset 1`)).toEqual([
      { f8: "NaN" },
      { f8: "-Infinity" },
      { f8: "-0" },
    ]);
  });

  it.each([
    ["i2", 32_768],
    ["i4", 1.5],
    ["i4", "1"],
    ["i8", 2 ** 60],
    ["i8", 9_223_372_036_854_775_808n],
    ["f4", 1e39],
    ["f4", 1e-60],
    ["f8", "1"],
    ["n", Number.NaN],
    ["n", "1,5"],
    ["n2", 9999.995],
    ["b", "true"],
    ["t", "nul \0 in it"],
    ["t", "half \ud800"],
    ["t", 7],
    ["v", "four"],
    ["u", "a0eebc99"],
    ["x", "AAECAw=="],
    ["d", "2024-02-30"],
    ["d", "tomorrow"],
    ["ts", new Date(Number.NaN)],
    ["tz", "2024-01-01T25:00:00Z"],
    ["tz", new Date(-1e15)],
    ["j", new Map()],
    ["jb", { deep: [() => 1] }],
    ["jb", { "nul\0": 1 }],
    ["a", "{1}"],
    ["m", "good"],
    ["ip", new Uint8Array(4)],
  ])("of column %s are refused where it cannot hold them: %s", async (name, value) => {
    const writer = await looked();
    const message = refusedBy(writer, { [name]: value });
    expect(message).toMatch(
      new RegExp(`^postgres "shop", table "orders_\\d+", column "${name}" \\(.*\\) takes .*; a row has `),
    );
    if (typeof value === "string" && value.length > 3) expect(message).not.toContain(value);
  });

  let once: Promise<LogWriter> | null = null;
  const looked = () => {
    once ??= checked(`create table $t (${types})`, append).then(({ writer }) => writer);
    return once;
  };
});

describe("rows", () => {
  const create =
    "create table $t (id integer primary key, a text not null, b text default 'none', g integer generated always as (id * 2) stored)";

  it("are refused with a column that is not there, without one that must be, and where they are none", async () => {
    const { writer } = await checked(create, upsert("id"));
    const id = { id: 1, a: "a" };
    writer.validate(id);
    expect(refusedBy(writer, { ...id, c: 1 })).toMatch(/"c", which is no column of the table; leave it out/);
    expect(refusedBy(writer, { ...id, g: 1 })).toMatch(/column "g": the database generates it/);
    expect(refusedBy(writer, { id: 1 })).toMatch(/has no "a"; the column takes no null/);
    expect(refusedBy(writer, { id: 1, a: null })).toMatch(/column "a": a row has null/);
    expect(refusedBy(writer, { a: "a" })).toMatch(/has no "id"; it is of the key/);
    expect(refusedBy(writer, { id: null, a: "a" })).toMatch(/column "id": a row has null/);
    expect(refusedBy(writer, null)).toMatch(/a row is null, not an object/);
    expect(refusedBy(writer, [1])).toMatch(/a row is an array/);
    expect(refusedBy(writer, deleted({ id: 1, a: "a" }))).toMatch(
      /a deletion has id, a; give deleted\(\) the key alone: id/,
    );
    writer.validate(deleted({ id: 1 }));
  });

  it("have exactly the columns that the sink names", async () => {
    const { table, writer } = await checked(create, { ...upsert("id"), columns: ["id", "a", "b"] });
    expect(refusedBy(writer, { id: 1, a: "a" })).toMatch(/has no "b"; it is one of "columns"/);
    writer.validate({ id: 1, a: "a", b: null });
    const other = writerOf(table, { ...upsert("id"), columns: ["id", "a"] });
    await other.check();
    expect(refusedBy(other, { id: 1, a: "a", b: "b" })).toMatch(/"b", which is no column of "columns"/);
  });

  it("of one key in a segment are as if they came one by one", async () => {
    const { table, writer } = await checked(create, upsert("id"));
    const rows = [
      { id: 1, a: "first", b: "kept" },
      { id: 1, a: "second" },
      { id: 2, a: "gone" },
      deleted({ id: 2 }),
      { id: 3, a: "before", b: "lost" },
      deleted({ id: 3 }),
      { id: 3, a: "after" },
      deleted({ id: 4 }),
    ];
    await apply(writer, rows);
    const expected = [
      { id: 1, a: "second", b: "kept" },
      { id: 3, a: "after", b: "none" },
    ];
    const seen = () => server.query(`select id, a, b from ${table} order by id`);
    expect(await seen()).toEqual(expected);
    await apply(writer, [deleted({ id: 1 }), { id: 1, a: "third" }, { id: 3, a: "again", b: "b" }, deleted({ id: 3 })]);
    expect(await seen()).toEqual([{ id: 1, a: "third", b: "none" }]);
  });

  it("of a key that is all they have stay as they are", async () => {
    const { table, writer } = await checked("create table $t (x text, y date, primary key (x, y))", upsert("y", "x"));
    const row = { x: "x", y: new Date("2026-01-02T03:04:05Z") };
    await apply(writer, [row, row, { x: "x", y: "2026-01-02" }, { x: "x", y: "2026-01-03" }]);
    await apply(writer, [row, deleted({ x: "x", y: "2026-01-03" })]);
    expect(await server.query(`select x, y::text from ${table}`)).toEqual([{ x: "x", y: "2026-01-02" }]);
  });

  it("whose keys only the database finds equal are told apart by it", async () => {
    const { table, writer } = await checked("create table $t (c char(4) primary key, n integer)", upsert("c"));
    await apply(writer, [
      { c: "a", n: 1 },
      { c: "a  ", n: 2 },
      { c: "b", n: 3 },
    ]);
    await apply(writer, [{ c: "b", n: 4 }, deleted({ c: "b " })]);
    expect(await server.query(`select c::text, n from ${table}`)).toEqual([{ c: "a", n: 2 }]);
  });

  it("are appended in their order, and not deleted", async () => {
    const { table, writer } = await checked("create table $t (at serial, n integer, note text default '-')", append);
    const rows = Array.from({ length: 1_000 }, (_, n) => (n % 3 === 0 ? { n, note: "third" } : { n }));
    await apply(writer, rows);
    const seen = await server.query(`select n, note from ${table} order by at`);
    expect(seen).toEqual(rows.map(({ n, note = "-" }) => ({ n, note })));
    expect(refusedBy(writer, deleted({ n: 1 }))).toMatch(/rows are appended; use mode: "upsert"/);
  });
});

describe("a table", () => {
  const refusal = async (table: string, options: Options): Promise<string> => {
    const refused = writerOf(table, options).check();
    await expect(refused).rejects.toMatchObject({ name: "StreamError", kind: "invalid" });
    return refused.then(
      () => "taken",
      (error: Error) => error.message,
    );
  };

  it("is refused where it cannot be written as the sink says", async () => {
    const table = await tableOf("create table $t (id integer, part integer, a text)");
    expect(await refusal("nowhere", append)).toMatch(/table "nowhere": there is no such table/);
    expect(await refusal(table, upsert("id"))).toMatch(
      /no primary key or unique constraint has exactly the columns id;.*add unique \("id"\)/,
    );
    expect(await refusal(table, { ...append, columns: ["b"] })).toMatch(/it has no column "b"; it has id, part, a/);
    await server.query(`create unique index on ${table} (id) where part > 1`);
    await server.query(`create unique index on ${table} (id, (part + 1))`);
    expect(await refusal(table, upsert("id"))).toMatch(/no primary key/);
    await server.query(`create unique index on ${table} (part, id)`);
    expect(await refusal(table, upsert("id"))).toMatch(/no primary key/);
    await writerOf(table, upsert("id", "part")).check();
    const view = `${table}_view`;
    await server.query(`create view ${view} as select * from ${table}`);
    expect(await refusal(view, append)).toMatch(/it is no table/);
  });

  it("may have any name", async () => {
    const [schema, name] = [`Odd "Schema" ${++tables}`, 'sel"ect ; drop'];
    const quote = (text: string) => `"${text.replaceAll('"', '""')}"`;
    await server.query(`create schema ${quote(schema)}`);
    await server.query(`create table ${quote(schema)}.${quote(name)} ("Key ""1""" integer primary key, "a b" text)`);
    const writer = writerOf(`${schema}.${name}`, upsert('Key "1"'));
    await writer.check();
    await apply(writer, [{ 'Key "1"': 1, "a b": "x" }, { 'Key "1"': 2 }, deleted({ 'Key "1"': 2 })]);
    expect(await server.query(`select * from ${quote(schema)}.${quote(name)}`)).toEqual([{ 'Key "1"': 1, "a b": "x" }]);
  });

  it("of tokens is made once, by whoever comes first, unless it is not to be", async () => {
    const table = await tableOf("create table $t (n integer)");
    const tokensTable = `tokens_of_${table}`;
    expect(await refusal(table, { ...append, tokensTable, createTokensTable: false })).toMatch(
      /there is no table "tokens_of_.*have it created: create table if not exists .* \(lane text/,
    );
    await Promise.all([1, 2, 3, 4].map(() => writerOf(table, { ...append, tokensTable }).check()));
    const writer = writerOf(table, { ...append, tokensTable, createTokensTable: false });
    await writer.check();
    await apply(writer, [{ n: 1 }], 999_999);
    expect(await server.query(`select sink, position from ${tokensTable}`)).toEqual([
      { sink: "out", position: "000000999999-000000" },
    ]);
    await server.query(`create table other_${table} (lane text)`);
    expect(await refusal(table, { ...append, tokensTable: `other_${table}` })).toMatch(/column "sink" does not exist/);
  });
});

/** A user whose rights are granted one by one. */
// PGlite knows no other user than its own.
it.skipIf(server.kind === "pglite")("says which rights the user lacks", async () => {
  const table = await tableOf("create table $t (id integer primary key, n integer)");
  await server.query("create role clerk login");
  const url = server.url.replace("tester@", "clerk@");
  const refusal = () =>
    writerOf(table, upsert("id"), url)
      .check()
      .then(
        () => "taken",
        (error: Error) => error.message,
      );
  expect(await refusal()).toMatch(
    /the user "clerk" may not insert, nor update, nor select: grant insert, update, select on/,
  );
  await server.query(`grant insert, update, select on ${table} to clerk`);
  expect(await refusal()).toMatch(/for tokens may not be created by this user; have it created: create table/);
  await writerOf(table, upsert("id")).check();
  expect(await refusal()).toMatch(/lacks rights on the table of tokens: grant select, insert, update on "tokens_of_/);
  await server.query(`grant select, insert, update on tokens_of_${table} to clerk`);
  const writer = writerOf(table, upsert("id"), url);
  await writer.check();
  await apply(writer, [{ id: 1, n: 1 }]);
  await expect(apply(writer, [deleted({ id: 1 })])).rejects.toMatchObject({ kind: "invalid" });
  expect(await server.query(`select * from ${table}`)).toEqual([{ id: 1, n: 1 }]);
});

it("writes durably and in UTC, whatever the server's defaults are", async () => {
  const settings = ["synchronous_commit", "timezone", "transaction_isolation"];
  const columns = settings.map((name) => `${name}_ text default current_setting('${name}')`);
  const table = await tableOf(`create table $t (at timestamptz, ${columns.join(", ")})`);
  const options = ["synchronous_commit=off", "timezone=Asia/Tokyo", "default_transaction_isolation=serializable"];
  const flags = encodeURIComponent(options.map((option) => `-c ${option}`).join(" "));
  const writer = writerOf(table, append, `${server.url}?options=${flags}`);
  await writer.check();
  await apply(writer, [{ at: "2026-01-02T03:04:05" }]);
  expect(
    await server.query(
      `select extract(epoch from at)::integer as at, ${settings.map((name) => `${name}_`).join(", ")} from ${table}`,
    ),
  ).toEqual([
    {
      at: Date.UTC(2026, 0, 2, 3, 4, 5) / 1_000,
      synchronous_commit_: "on",
      timezone_: "UTC",
      transaction_isolation_: "read committed",
    },
  ]);
});

it.each([
  ["08006", "transient"],
  ["40001", "transient"],
  ["40P01", "transient"],
  ["53300", "transient"],
  ["57014", "transient"],
  ["57P01", "transient"],
  ["25006", "transient"],
  ["25P03", "transient"],
  ["23505", "invalid"],
  ["22003", "invalid"],
  ["42501", "invalid"],
  ["42P01", "invalid"],
  ["3D000", "invalid"],
  ["28P01", "invalid"],
])("takes SQLSTATE %s for %s", (code, kind) => {
  const error = Object.assign(new pg.DatabaseError("refused", 0, "error"), { code });
  expect(databaseError(error, "password is fixed")).toMatchObject({ kind, message: `refused (SQLSTATE ${code})` });
  expect(databaseError(error, "password is renewed").kind).toBe(code === "28P01" ? "transient" : kind);
  expect(databaseError(new Error("Connection terminated"), "password is fixed").kind).toBe("transient");
});

describe("what the database refuses", () => {
  it.each([
    ["check (n < 100)", { id: 1, n: 1_000 }, /violates check constraint "orders_\d+_n_check" \(SQLSTATE 23514\)/],
    ["unique deferrable initially deferred", { id: 1, n: 5 }, /violates unique constraint "orders_\d+_n_key"/],
  ])("for ever fails with the row's key and the constraint (%s)", async (constraint, bad, message) => {
    const { table, writer } = await checked(
      `create table $t (id integer primary key, n integer ${constraint})`,
      upsert("id"),
    );
    const rows = [{ id: 4, n: 4 }, { id: 5, n: 5 }, bad, { id: 6, n: 6 }];
    for (const row of rows) writer.validate(row);
    const applied = apply(writer, rows, 50);
    await expect(applied).rejects.toMatchObject({ name: "StreamError", kind: "invalid" });
    await expect(applied).rejects.toThrow(message);
    await expect(applied).rejects.toThrow(
      /row 3 of 4, \{"id":1\}, of the segment 000000000050-000000 cannot be written: .*start the pipeline again/,
    );
    expect(await server.query(`select * from ${table}`)).toEqual([]);
    // A person mends it, and the same segment is applied.
    await server.query(
      `alter table ${table} drop constraint ${table}_n_${constraint.startsWith("check") ? "check" : "key"}`,
    );
    await apply(writer, rows, 50);
    expect(await server.query(`select count(*)::integer as n from ${table}`)).toEqual([{ n: 4 }]);
  });

  it("is told without the values of a record", async () => {
    const { writer } = await checked("create table $t (ip inet)", append);
    const applied = apply(writer, [{ ip: "10.0.0.1" }, { ip: "Kennwort" }]);
    await expect(applied).rejects.toMatchObject({ kind: "invalid" });
    await expect(applied).rejects.toThrow(/row 2 of 2 of the segment .* invalid input syntax for type inet/);
    await expect(applied).rejects.not.toThrow("Kennwort");
  });
});

describe("names of databases", () => {
  const bound = (name: string) => {
    const sink: Sink<never> = postgres({ database: "shop", table: "t", mode: "append" });
    if (sink.delivery !== "log") throw new Error("it is no log");
    return () => sink.open({ ...memoryResources(), bind: () => name });
  };

  it("hold no password, and no message has one", () => {
    for (const name of [
      "postgres://ann:Kennwort@db/shop",
      "postgresql://db/shop?user=ann&password=Kennwort",
      "postgres://ann:Kennwort@db:port/shop",
      "Kennwort",
    ]) {
      expect(bound(name)).toThrow(
        expect.objectContaining({ kind: "invalid", message: expect.stringMatching(/^postgres "shop": /) }),
      );
      expect(bound(name)).not.toThrow("Kennwort");
    }
    expect(bound("env:SHOP_URL")().target).toBe("env:SHOP_URL");
    expect(bound("postgres://ann@db:5432/shop")().target).toBe("postgres://ann@db:5432/shop");
  });

  it("may be variables, which have passwords", async () => {
    const table = await tableOf("create table $t (n integer)");
    const at = (url: string) => {
      vi.stubEnv("SHOP_URL", url);
      return writerOf(table, append, "env:SHOP_URL");
    };
    const good = at(server.url.replace("@", ":Kennwort@"));
    await good.check();
    await apply(good, [{ n: 1 }]);
    expect(await server.query(`select n from ${table}`)).toEqual([{ n: 1 }]);
    for (const url of ["", "Kennwort", "postgres://a:Kennwort@[nowhere/x", "postgres://a:Kennwort@127.0.0.1:1/x"]) {
      const refused = at(url).check();
      await expect(refused).rejects.toMatchObject({ kind: url.includes("127") ? "transient" : "invalid" });
      await expect(refused).rejects.not.toThrow("Kennwort");
      await expect(refused).rejects.toThrow("SHOP_URL");
    }
    vi.unstubAllEnvs();
  });

  it("are not in the plan", () => {
    const password = () => "Kennwort";
    const sink: Sink<never> = postgres({ database: "shop", table: "s.t", mode: "upsert", key: ["id"], password });
    expect(sink.config).toEqual({
      table: "s.t",
      mode: "upsert",
      key: ["id"],
      columns: null,
      tokensTable: "tidemark_tokens",
      target: { kind: "database", name: "shop" },
    });
  });
});

it.each([
  [{}, /"mode"/],
  [{ mode: "upsert" }, /"key": must be names of columns/],
  [{ mode: "upsert", key: ["a", "a"] }, /"key": has "a" twice/],
  [{ mode: "append", key: ["a"] }, /"key".*leave it out/],
  [{ mode: "upsert", key: ["a"], columns: ["b"] }, /"columns".*has not "a"/],
  [{ mode: "append", table: "a.b.c" }, /too many dots/],
  [{ mode: "append", table: "x".repeat(64) }, /more than 63 bytes/],
  [{ mode: "append", tokensTable: "" }, /"tokensTable"/],
  [{ mode: "append", createTokensTable: "no" }, /"createTokensTable"/],
  [{ mode: "append", password: "secret" }, /"password": must be a function/],
  [{ mode: "append", statementTimeout: "soon" }, /"statementTimeout"/],
  [{ mode: "append", url: "postgres://" }, /"url" is not known/],
])("refuses options: %s", (options, message) => {
  const make = () => postgres({ database: "shop", table: "t", ...options } as never);
  expect(make).toThrow(expect.objectContaining({ name: "StreamError", kind: "invalid" }));
  expect(make).toThrow(message);
});

describe("sessions", () => {
  it("N4 cut off what is under way when they end, and leave no connection", async () => {
    const { table, writer } = await checked("create table $t (n integer)", append);
    await apply(writer, [{ n: 1 }]);
    // Without the cut it would wait longer than the test may.
    const late = writerOf(
      table,
      { ...append, statementTimeout: "2m" },
      server.url.replace(`:${server.port}/`, `:${way.port}/`),
    );
    await late.check();
    way.lose("silent");
    const lost = way.lost();
    const hanging = apply(late, [{ n: 2 }], 900_000).then(
      () => "applied",
      (error: { readonly kind: string }) => error.kind,
    );
    await vi.waitUntil(() => way.lost() > lost, { timeout: 20_000 });
    await late.close();
    expect(["transient", "fenced"]).toContain(await hanging);
    await expect(apply(late, [{ n: 3 }])).rejects.toMatchObject({ kind: "fenced" });
    await writer.close();
    const left = `select count(*)::integer as n from pg_stat_activity where application_name = 'tidemark' and query like '%${table}%'`;
    if (server.kind === "server")
      await vi.waitUntil(async () => (await server.query(left))[0]?.n === 0, { timeout: 20_000 });
    expect(await server.query(`select n from ${table}`)).toEqual([{ n: 1 }]);
  });

  // PGlite has one transaction at a time, and no limit of its time: nothing waits for a lock in it.
  it.skipIf(server.kind === "pglite")(
    "C5 R5 one that has stopped before its commit holds nobody up for long, and commits nothing late",
    async () => {
      const create = "create table $t (id integer primary key, n integer)";
      const { table, writer } = await checked(create, { ...upsert("id"), statementTimeout: "1s" });
      const url = server.url.replace(`:${server.port}/`, `:${way.port}/`);
      const zombie = writerOf(table, { ...upsert("id"), statementTimeout: "1s" }, url);
      await zombie.check();
      way.lose("stuck");
      const lost = way.lost();
      const hanging = apply(zombie, [{ id: 1, n: 1 }], 1).then(
        () => "applied",
        (error: { readonly kind: string }) => error.kind,
      );
      await vi.waitUntil(() => way.lost() > lost, { timeout: 20_000 });
      const meets = `select count(*)::integer as n from pg_stat_activity where wait_event_type = 'Lock'`;
      const applied = apply(writer, [{ id: 1, n: 1 }], 1);
      await vi.waitUntil(async () => Number((await server.query(meets))[0]?.n) > 0, { timeout: 20_000 });
      await applied;
      await apply(writer, [{ id: 1, n: 2 }], 2);
      way.release();
      await hanging;
      expect(await server.query(`select n from ${table}`)).toEqual([{ n: 2 }]);
    },
  );
});
