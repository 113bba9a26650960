import assert from "node:assert/strict";
import { checkpointId, generation, taskId } from "../../model/ids.js";
import { encodeVersion, versionAttribute } from "../../model/versions.js";
import { type AttributeType, itemBytesMax, type TableItem, type Tables } from "../../ports/tables.js";
import type { Test, Without } from "./suite.js";
import { conditionsConformance } from "./tables-conditions.js";
import { transactionsConformance } from "./tables-transactions.js";

export interface OpenTables {
  readonly tables: Tables;
  /** Makes a table under a new name, and answers with it. */
  createTable(key: readonly { readonly name: string; readonly type: AttributeType }[]): Promise<string>;
  /** Puts an item as somebody else would: as it is, without condition. */
  plant(table: string, item: TableItem): Promise<void>;
}

export type It = (name: string, run: (given: OpenTables) => Promise<void>) => void;

/** What every implementation of Tables must do. */
export function tablesConformance(
  test: Test,
  open: () => Promise<OpenTables>,
  without: Without<"member __proto__" | "transactions"> = {},
): void {
  const it: It = (name, run) => test(name, async () => run(await open()));
  conditions(it);
  conditionsConformance(it);
  values(it);
  if (without["member __proto__"] === undefined) protoMembers(it);
  keys(it);
  limits(it);
  if (without.transactions === undefined) transactionsConformance(it);
}

const incarnation = "0a0b0c0d0e0f";
export const version = (epoch: number, seq: number, of = incarnation): Uint8Array =>
  encodeVersion({ incarnation: of, generation: generation(1), epoch: checkpointId(epoch), task: taskId(0, 3), seq });

export const airportKey = [{ name: "airport", type: "string" }] as const;
const put = (tables: Tables, table: string, item: TableItem, at: Uint8Array) =>
  tables.put({ table, key: ["airport"], item, version: at });

/** Without our attribute, which must be the version `at`. */
async function readBack(tables: Tables, table: string, key: TableItem, at: Uint8Array): Promise<TableItem> {
  const item = await tables.read(table, key);
  assert.ok(item !== null, "the item is absent");
  const { [versionAttribute]: found, ...rest } = item;
  assert.ok(found instanceof Uint8Array && Buffer.compare(found, at) === 0, "another version");
  return rest;
}

function conditions(it: It): void {
  const cases = [
    { name: "an older one of the same incarnation", stored: version(4, 9), written: true },
    { name: "an equal one", stored: version(5, 1), written: false },
    { name: "a newer one", stored: version(5, 2), written: false },
    { name: "a newer one with a smaller last byte", stored: version(6, 0), written: false },
    { name: "an older one of another incarnation", stored: version(4, 9, "000000000001"), written: false },
    { name: "a newer one of another incarnation", stored: version(6, 9, "ffffffffffff"), written: false },
  ];
  for (const { name, stored, written } of cases) {
    it(`W1 a put over ${name} is ${written ? "written" : "refused with its version"}`, async ({
      tables,
      createTable,
    }) => {
      const table = await createTable(airportKey);
      const [before, after] = [
        { airport: "ATL", flights: 1 },
        { airport: "ATL", delays: 2 },
      ];
      assert.deepEqual(await put(tables, table, before, stored), { kind: "written" });
      const result = await put(tables, table, after, version(5, 1));
      if (written) assert.deepEqual(result, { kind: "written" });
      else assert.deepEqual(result.kind === "refused" && Buffer.from(result.version ?? []), Buffer.from(stored));
      const there = await readBack(tables, table, { airport: "ATL" }, written ? version(5, 1) : stored);
      // The whole item, not the two merged.
      assert.deepEqual(there, written ? after : before);
    });
  }

  it("W1 a put over an item without version, and over none, is written", async ({ tables, createTable, plant }) => {
    const table = await createTable(airportKey);
    assert.equal(await tables.read(table, { airport: "ATL" }), null);
    await plant(table, { airport: "ATL", by: "somebody" });
    assert.deepEqual(await tables.read(table, { airport: "ATL" }), { airport: "ATL", by: "somebody" });
    for (const airport of ["ATL", "ORD"]) {
      assert.deepEqual(await put(tables, table, { airport, by: "us" }, version(1, 1)), { kind: "written" });
      assert.deepEqual(await readBack(tables, table, { airport }, version(1, 1)), { airport, by: "us" });
    }
  });

  it("W1 of racing puts the newest stays", async ({ tables, createTable }) => {
    const table = await createTable(airportKey);
    const order = Array.from({ length: 30 }, (_, index) => (index * 11) % 30);
    const results = await Promise.all(order.map((seq) => put(tables, table, { airport: "ATL", seq }, version(1, seq))));
    assert.equal(results[order.indexOf(29)]?.kind, "written");
    assert.deepEqual(await readBack(tables, table, { airport: "ATL" }, version(1, 29)), { airport: "ATL", seq: 29 });
  });
}

function values(it: It): void {
  it("every kind of value comes back as it was", async ({ tables, createTable }) => {
    const table = await createTable(airportKey);
    const item = {
      airport: "ATL",
      texts: ["", "plain", "é\u{1f600}\u0000\n"],
      numbers: [0, 1, -1, 0.1, -2.5, 1.7976931348623e100, 5e-100, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER],
      big: [2n ** 64n, -(2n ** 100n), 10n ** 37n + 1n],
      flags: [true, false, null],
      nested: { list: [[], [[1]], {}], map: { "a.b": { c: "d" }, constructor: 1, toString: "x" } },
      "attribute with space": 1,
    };
    await put(tables, table, item, version(1, 1));
    assert.deepEqual(await readBack(tables, table, { airport: "ATL" }, version(1, 1)), item);
  });

  it("bytes come back as bytes", async ({ tables, createTable }) => {
    const table = await createTable(airportKey);
    const bytes = Uint8Array.from({ length: 256 }, (_, index) => index);
    await put(tables, table, { airport: "ATL", bytes, deep: { none: new Uint8Array(0) } }, version(1, 1));
    const item = await readBack(tables, table, { airport: "ATL" }, version(1, 1));
    assert.ok(item.bytes instanceof Uint8Array);
    assert.deepEqual(Buffer.from(item.bytes), Buffer.from(bytes));
    const { none } = item.deep as { none: unknown };
    assert.ok(none instanceof Uint8Array && none.byteLength === 0);
  });

  it("members that are undefined are left out", async ({ tables, createTable }) => {
    const table = await createTable(airportKey);
    await put(tables, table, { airport: "ATL", gone: undefined, map: { gone: undefined, here: 1 } }, version(1, 1));
    const item = await readBack(tables, table, { airport: "ATL" }, version(1, 1));
    assert.deepEqual(item, { airport: "ATL", map: { here: 1 } });
    assert.deepEqual(Object.keys(item).sort(), ["airport", "map"]);
  });

  it("what cannot be stored is refused by its path", async ({ tables, createTable }) => {
    const table = await createTable(airportKey);
    const cyclic: unknown[] = [];
    cyclic.push(cyclic);
    const wrong: readonly (readonly [value: unknown, path: RegExp])[] = [
      [{ rows: [0, { price: Number.NaN }] }, /value\.rows\[1\]\.price is NaN/],
      [Number.POSITIVE_INFINITY, /value is Infinity/],
      [1e-200, /value is 1e-200/],
      [10n ** 40n + 1n, /value has 41 significant digits/],
      [new Date(0), /value is a Date; write its toISOString/],
      [new Map(), /value is a Map/],
      [() => 0, /value is a function/],
      [["a", undefined], /value\[1\] is undefined/],
      ["\ud800", /value is a string with a lone surrogate/],
      [cyclic, /nested deeper than 32 levels/],
    ];
    for (const [value, message] of wrong) {
      const refused = { name: "StreamError", kind: "invalid", message };
      await assert.rejects(put(tables, table, { airport: "ATL", value }, version(1, 1)), refused);
      assert.throws(() => tables.measure({ airport: "ATL", value }), refused);
    }
    assert.equal(await tables.read(table, { airport: "ATL" }), null);
  });
}

function protoMembers(it: It): void {
  it("a member called __proto__ comes back", async ({ tables, createTable }) => {
    const table = await createTable(airportKey);
    const item = JSON.parse('{"airport":"ATL","map":{"__proto__":{"a":1},"b":2}}') as TableItem;
    await put(tables, table, item, version(1, 1));
    const read = await readBack(tables, table, { airport: "ATL" }, version(1, 1));
    // Its members have no order that a table keeps.
    assert.deepEqual(read, item);
    assert.ok(Object.hasOwn(Object(read.map), "__proto__"));
  });
}

function keys(it: It): void {
  const samples = {
    string: ["a", "é b"],
    number: [7, -0.5],
    bytes: [Buffer.from([0]), Buffer.from([0, 255])],
  } as const;
  for (const type of ["string", "number", "bytes"] as const) {
    it(`a table is described, and items are told apart, by a key of type ${type}`, async ({ tables, createTable }) => {
      const key = [
        { name: "part", type },
        { name: "sort", type },
      ] as const;
      const table = await createTable(key);
      assert.deepEqual(await tables.describe(table), { kind: "found", key });
      const [one, two] = samples[type];
      const all = [one, two].flatMap((part) => [one, two].map((sort) => ({ part, sort })));
      for (const [n, at] of all.entries()) {
        await tables.put({ table, key: ["part", "sort"], item: { ...at, n }, version: version(1, n) });
      }
      for (const [n, at] of all.entries()) assert.equal((await tables.read(table, at))?.n, n);
    });
  }

  it("an absent table is described as absent, and a put or read there is invalid and names it", async ({ tables }) => {
    assert.deepEqual(await tables.describe("no-such-table"), { kind: "absent" });
    const invalid = { name: "StreamError", kind: "invalid", message: /"no-such-table".*does not exist/ };
    await assert.rejects(put(tables, "no-such-table", { airport: "ATL" }, version(1, 1)), invalid);
    await assert.rejects(tables.read("no-such-table", { airport: "ATL" }), invalid);
  });

  it("an item without its key, with a key of another type, or with our attribute is invalid", async (given) => {
    const { tables, createTable } = given;
    const table = await createTable(airportKey);
    const invalid = (message: RegExp) => ({ name: "StreamError", kind: "invalid", message });
    await assert.rejects(put(tables, table, { flights: 1 }, version(1, 1)), invalid(/no "airport"/));
    await assert.rejects(put(tables, table, { airport: 7 }, version(1, 1)), invalid(/airport/));
    await assert.rejects(put(tables, table, { airport: "" }, version(1, 1)), invalid(/airport/));
    const ours = { airport: "ATL", [versionAttribute]: "mine" };
    await assert.rejects(put(tables, table, ours, version(1, 1)), invalid(/written by the sink/));
  });

  it("an item of somebody who uses our attribute for something else is invalid, not overwritten", async (given) => {
    const { tables, createTable, plant } = given;
    const table = await createTable(airportKey);
    await plant(table, { airport: "ATL", [versionAttribute]: "a text" });
    const refused = { name: "StreamError", kind: "invalid", message: /no version of ours/ };
    await assert.rejects(put(tables, table, { airport: "ATL" }, version(1, 1)), refused);
  });
}

function limits(it: It): void {
  it("an item is measured as the service counts it", async ({ tables }) => {
    const sizes: readonly (readonly [TableItem, number])[] = [
      [{ a: "text" }, 5],
      [{ é: "é" }, 4],
      [{ n: 0 }, 2],
      [{ n: 100 }, 3],
      [{ n: 12345 }, 5],
      [{ n: -12345 }, 6],
      [{ n: 0.001 }, 3],
      [{ n: 123456789012345678901234567890n }, 17],
      [{ b: true, c: null }, 4],
      [{ b: new Uint8Array(10) }, 11],
      [{ l: [] }, 4],
      [{ l: ["ab", "c"] }, 9],
      [{ m: { k: "v" } }, 7],
      [{ m: { k: { j: [1] } } }, 1 + 3 + 1 + 1 + 3 + 1 + 1 + 3 + 1 + 2],
    ];
    for (const [item, size] of sizes) assert.equal(tables.measure(item), size, `of ${Object.keys(item).join()}`);
  });

  it("an item of 400 KB fits, and a greater one is invalid, with table, key and size", async (given) => {
    const { tables, createTable } = given;
    const table = await createTable(airportKey);
    const overhead = tables.measure({ airport: "secret", text: "", [versionAttribute]: version(1, 1) });
    const item = (size: number) => ({ airport: "secret", text: "x".repeat(size - overhead) });
    assert.deepEqual(await put(tables, table, item(itemBytesMax), version(1, 1)), { kind: "written" });
    await assert.rejects(put(tables, table, item(itemBytesMax + 1), version(1, 2)), (error: Error) => {
      assert.match(error.message, new RegExp(`"${table}".*\\(airport\\).*${itemBytesMax + 1} bytes`));
      assert.doesNotMatch(error.message, /secret/);
      return (error as unknown as { kind: string }).kind === "invalid";
    });
  });
}
