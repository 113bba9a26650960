import assert from "node:assert/strict";
import type { ComparableValue, Comparison, TableComparison } from "../../ports/tables.js";
import { airportKey, type It, version } from "./tables.js";

/** That a put asks more of the item that is there than W1 does. */
export function conditionsConformance(it: It): void {
  const stored = { airport: "JFK", n: 5, text: "b", flag: true, bytes: Buffer.from([1, 2]) };
  const cases: readonly (readonly [
    what: string,
    fulfilled: readonly TableComparison[],
    not: readonly TableComparison[],
  ])[] = [
    ["what is there", [{ attribute: "n", is: "present" }], [{ attribute: "n", is: "absent" }]],
    ["what is absent", [{ attribute: "m", is: "absent" }], [{ attribute: "m", is: "present" }]],
    ["a smaller number", [at("n", "<", 5.5), at("n", "<=", 5)], [at("n", "<", 5), at("n", "<", -7n)]],
    ["a greater number", [at("n", ">", -10n), at("n", ">=", 5)], [at("n", ">", 5), at("n", ">=", 10)]],
    ["a text", [at("text", "<", "ba"), at("text", ">", "B"), at("text", "=", "b")], [at("text", ">", "b")]],
    [
      "bytes",
      [at("bytes", "<", Buffer.from([1, 3])), at("bytes", "=", Buffer.from([1, 2]))],
      [at("bytes", ">", Buffer.from([2]))],
    ],
    ["a boolean", [at("flag", "=", true), at("flag", "<>", false)], [at("flag", "=", false)]],
    ["another type", [at("n", "<>", "5")], [at("n", "=", "5"), at("text", ">", 0)]],
    ["an absent attribute", [at("m", "<", 1, true), at("m", "<>", 1)], [at("m", "<", 1), at("m", "=", 1)]],
  ];
  for (const [what, fulfilled, not] of cases)
    it(`a put is written only where the item is as onlyIf says: ${what}`, async ({ tables, createTable, plant }) => {
      const table = await createTable(airportKey);
      const { airport: _, ...rest } = stored;
      for (const [index, one] of [...fulfilled, ...not].entries()) {
        const key = { airport: `A${index}` };
        await plant(table, { ...key, ...rest });
        const item = { ...key, n: 99 };
        const result = await tables.put({ table, key: ["airport"], item, version: version(1, 1), onlyIf: [one] });
        const isWritten = index < fulfilled.length;
        assert.deepEqual(
          result,
          isWritten ? { kind: "written" } : { kind: "refused", version: null },
          JSON.stringify(one.attribute),
        );
        assert.equal((await tables.read(table, key))?.n, isWritten ? 99 : 5);
      }
    });

  it("W1 an older item that is not as onlyIf says is refused with its version; all conditions must hold", async (given) => {
    const { tables, createTable } = given;
    const table = await createTable(airportKey);
    const own = { table, key: ["airport"], item: { airport: "JFK", n: 1 } };
    assert.deepEqual(await tables.put({ ...own, version: version(1, 1), onlyIf: [at("n", "<", 1, true)] }), {
      kind: "written",
    });
    const onlyIf = [at("n", "=", 1), at("n", ">", 1)];
    const refused = await tables.put({ ...own, version: version(2, 1), onlyIf });
    assert.equal(refused.kind, "refused");
    assert.equal(Buffer.compare(refused.version ?? new Uint8Array(), version(1, 1)), 0, "another version");
    assert.deepEqual(await tables.put({ ...own, version: version(2, 1), onlyIf: [at("n", "=", 1)] }), {
      kind: "written",
    });
  });
}

const at = (attribute: string, is: Comparison, value: ComparableValue, orAbsent = false): TableComparison => ({
  attribute,
  is,
  value,
  orAbsent,
});
