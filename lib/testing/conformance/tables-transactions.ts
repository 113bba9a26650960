import assert from "node:assert/strict";
import { incrementsMax, markAttribute, type TableItem, type TableTransactionResult } from "../../ports/tables.js";
import type { OpenTables } from "./tables.js";

interface Case extends OpenTables {
  readonly table: string;
  /** Adds to items of these airports, and moves the mark. */
  readonly add: (
    position: string,
    sums: Readonly<Record<string, TableItem>>,
    mark?: string,
  ) => Promise<TableTransactionResult>;
  readonly assertItem: (airport: string, expected: TableItem | null) => Promise<void>;
}

type It = (name: string, run: (given: OpenTables) => Promise<void>) => void;
type ItCase = (name: string, run: (given: Case) => Promise<void>) => void;

const keyOf = (airport: string): TableItem => ({ airport });

/** What every implementation of {@link Tables.transact} must do. */
export function transactionsConformance(of: It): void {
  const it: ItCase = (name, run) => of(name, async (given) => run(await caseOf(given)));
  counts(it);
  marks(it);
  wholes(it);
  numbers(it);
}

async function caseOf(given: OpenTables): Promise<Case> {
  const table = await given.createTable([{ name: "airport", type: "string" }]);
  return {
    ...given,
    table,
    add(position, sums, mark = "mark") {
      const increments = Object.entries(sums).map(([airport, add]) => ({
        key: keyOf(airport),
        add: add as Readonly<Record<string, bigint>>,
      }));
      return given.tables.transact({ table, increments, mark: { key: keyOf(mark), position } });
    },
    async assertItem(airport, expected) {
      const item = await given.tables.read(table, keyOf(airport));
      assert.deepEqual(item, expected === null ? null : { airport, ...expected });
    },
  };
}

function counts(it: ItCase): void {
  it("C5 adds to what is there, and to nothing from 0", async ({ add, assertItem, plant, table }) => {
    await plant(table, { airport: "ATL", flights: 40, name: "Atlanta" });
    assert.deepEqual(await add("1", { ATL: { flights: 2n }, JFK: { flights: 1n, late: -3n } }), { kind: "applied" });
    await assertItem("ATL", { flights: 42, name: "Atlanta" });
    await assertItem("JFK", { flights: 1, late: -3 });
    await assertItem("mark", { [markAttribute]: "1" });
    await add("2", { JFK: { late: 0n, cancelled: 0n } });
    await assertItem("JFK", { flights: 1, late: -3, cancelled: 0 });
  });

  it("adds to attributes of any name, and to as many as a transaction has", async ({ add, assertItem }) => {
    const odd = { "a.b": 1n, "with space": 2n, size: 3n, "#0": 4n, ":0": 5n, é: 6n };
    await add("1", { ATL: odd });
    await assertItem("ATL", Object.fromEntries(Object.entries(odd).map(([name, n]) => [name, Number(n)])));
    const many = Array.from({ length: 100 }, (_, index) => [`attribute ${index}`, BigInt(index)] as const);
    await add("2", { JFK: Object.fromEntries(many) });
    await assertItem("JFK", Object.fromEntries(many.map(([name, n]) => [name, Number(n)])));
  });

  it("adds to ninety-nine items at once", async ({ add, assertItem }) => {
    const all = Array.from({ length: incrementsMax }, (_, index) => `airport ${index}`);
    await add("1", Object.fromEntries(all.map((airport, index) => [airport, { n: BigInt(index) }])));
    await assertItem("airport 0", { n: 0 });
    await assertItem("airport 98", { n: 98 });
  });
}

function marks(it: ItCase): void {
  it("C5 changes nothing where the mark stands at the position, or has passed it", async ({ add, assertItem }) => {
    await add("0009", { ATL: { n: 1n } });
    for (const position of ["0009", "0008", ""]) {
      assert.deepEqual(await add(position, { ATL: { n: 5n }, JFK: { n: 5n } }), { kind: "passed" });
    }
    await assertItem("ATL", { n: 1 });
    await assertItem("JFK", null);
    assert.deepEqual(await add("0010", { ATL: { n: 1n } }), { kind: "applied" });
    await assertItem("ATL", { n: 2 });
    await assertItem("mark", { [markAttribute]: "0010" });
  });

  it("C5 moves each mark by itself", async ({ add, assertItem }) => {
    await add("5", { ATL: { n: 1n } }, "mark one");
    assert.deepEqual(await add("4", { ATL: { n: 1n } }, "mark two"), { kind: "applied" });
    await assertItem("ATL", { n: 2 });
  });

  it("moves a mark alone", async ({ add, assertItem }) => {
    assert.deepEqual(await add("1", {}), { kind: "applied" });
    assert.deepEqual(await add("1", {}), { kind: "passed" });
    await assertItem("mark", { [markAttribute]: "1" });
  });

  it("C5 of racing transactions with one position one counts", async ({ add, assertItem }) => {
    const racing = Array.from({ length: 8 }, () => add("1", { ATL: { n: 1n }, JFK: { n: 1n } }));
    const results = await Promise.allSettled(racing);
    // Some may meet, and say that they may not have happened.
    const kinds = results.map((result) => (result.status === "fulfilled" ? result.value.kind : "lost"));
    assert.ok(kinds.filter((kind) => kind === "applied").length <= 1);
    await add("1", { ATL: { n: 1n }, JFK: { n: 1n } });
    await assertItem("ATL", { n: 1 });
    await assertItem("JFK", { n: 1 });
  });
}

function wholes(it: ItCase): void {
  const invalid = { name: "StreamError", kind: "invalid" };

  it("C5 changes nothing, nor the mark, where an attribute is no number", async ({ add, assertItem, plant, table }) => {
    await plant(table, { airport: "ATL", flights: "many" });
    await assert.rejects(add("1", { JFK: { flights: 1n }, ATL: { flights: 1n } }), invalid);
    await assertItem("JFK", null);
    await assertItem("mark", null);
    assert.deepEqual(await add("1", { JFK: { flights: 1n } }), { kind: "applied" });
  });

  it("an absent table, and a key of another type, are invalid", async ({ tables, add, table }) => {
    const mark = { key: keyOf("mark"), position: "1" };
    await assert.rejects(tables.transact({ table: "no-such-table", increments: [], mark }), {
      ...invalid,
      message: /"no-such-table".*does not exist/,
    });
    const wrong = { key: { airport: 7 }, add: { n: 1n } };
    await assert.rejects(tables.transact({ table, increments: [wrong], mark }), invalid);
    await assert.rejects(add("1", { mark: { n: 1n } }), invalid);
  });
}

function numbers(it: ItCase): void {
  it("sums are exact, beyond what a number holds", async ({ add, assertItem }) => {
    await add("1", { ATL: { n: 2n ** 53n } });
    await add("2", { ATL: { n: 1n } });
    await assertItem("ATL", { n: 2n ** 53n + 1n });
    await add("3", { ATL: { n: 10n ** 34n } });
    await assertItem("ATL", { n: 10n ** 34n + 2n ** 53n + 1n });
    await add("4", { ATL: { n: -(10n ** 34n) } });
    await assertItem("ATL", { n: 2n ** 53n + 1n });
  });

  it("a fraction that is there keeps its digits", async ({ add, assertItem, plant, table }) => {
    await plant(table, { airport: "ATL", hours: 0.1, height: -2.5 });
    await add("1", { ATL: { hours: 3n, height: 2n } });
    await assertItem("ATL", { hours: 3.1, height: -0.5 });
  });
}
