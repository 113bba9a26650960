// onlyIf: a row is written only where the item that is there is as the user says.
import { deleted, dynamoTable, type Sink, type TableCondition } from "tidemark";
import { describe, expect, it } from "vitest";
import { observeCompletion } from "../../lib/checkpoint/permit.js";
import type { CommitPermit } from "../../lib/model/checkpoints.js";
import { StreamError } from "../../lib/model/errors.js";
import { checkpointId, generation } from "../../lib/model/ids.js";
import { encodeVersion } from "../../lib/model/versions.js";
import type { TableItem, Tables } from "../../lib/ports/tables.js";
import { openWriter } from "../../lib/runtime/writers.js";
import { memoryTables } from "../../lib/testing/memory/tables.js";
import { head, incarnation, ref, task0 } from "./checkpoint-samples.js";
import { sinkResources } from "./sink-samples.js";

const newer: TableCondition = { attribute: "at", is: "<", row: "at", orAbsent: true };
const permit = observeCompletion(head({ completed: ref(1) })) as CommitPermit;

function world(onlyIf: readonly TableCondition[], around: (tables: Tables) => Partial<Tables> = () => ({})) {
  const memory = memoryTables();
  memory.createTable("acme-t", [{ name: "id", type: "string" }]);
  const puts: unknown[] = [];
  const counted: Tables = {
    ...memory.tables,
    async put(put) {
      const result = await memory.tables.put(put);
      puts.push(result.kind);
      return result;
    },
  };
  const opened = openWriter(
    dynamoTable({ table: "t", key: ["id"], onlyIf }) as Sink<never>,
    sinkResources({ tables: { ...counted, ...around(counted) } }),
  );
  if (opened.delivery !== "held") throw new Error("it is not held");
  const { writer } = opened;
  const apply = (row: TableItem, seq: number) => {
    const at = { incarnation, generation: generation(1), epoch: checkpointId(1), task: task0, seq };
    const write = { key: String(row.id), row, change: "put", version: encodeVersion(at) } as const;
    return writer.apply("acme-t", [{ ...write, checkpointId: checkpointId(1) }], permit);
  };
  return { ...memory, writer, apply, puts, items: () => memory.items("acme-t") };
}

describe("onlyIf", () => {
  it("leaves out a row of an item that is not as it says, and writes the others", async () => {
    const { apply, items, puts } = world([newer]);
    await apply({ id: "a", at: 5 }, 1);
    await apply({ id: "a", at: 4 }, 2);
    expect(items()).toEqual([{ id: "a", at: 5 }]);
    // Once more, for the item may have changed since.
    expect(puts).toEqual(["written", "refused", "refused"]);
    await apply({ id: "a", at: 6 }, 3);
    expect(items()).toEqual([{ id: "a", at: 6 }]);
  });

  it("holds for items of others too", async () => {
    const { apply, items, plant } = world([newer, { attribute: "frozen", is: "absent" }]);
    plant("acme-t", { id: "a", at: 1, frozen: true });
    plant("acme-t", { id: "b", at: 1 });
    await apply({ id: "a", at: 2 }, 1);
    await apply({ id: "b", at: 2 }, 2);
    expect(items()).toEqual([
      { id: "a", at: 1, frozen: true },
      { id: "b", at: 2 },
    ]);
  });

  it("R5 a put whose answer is lost is written, and not judged again by the item that it has made", async () => {
    const lost: string[] = [];
    const { apply, items } = world([{ attribute: "at", is: "absent" }], (tables) => ({
      async put(put) {
        const result = await tables.put(put);
        if (lost.push(result.kind) === 1) throw new StreamError("ambiguous", "lost");
        return result;
      },
    }));
    await apply({ id: "a", at: 5 }, 1);
    await apply({ id: "a", at: 5 }, 1);
    expect(items()).toEqual([{ id: "a", at: 5 }]);
    expect(lost).toEqual(["written", "refused", "refused"]);
  });

  it("compares with what each row has: one that has it not fails its record, as deleted() does", () => {
    const { writer } = world([newer]);
    const message = 'sink table "acme-t": a row has no attribute "at", with which onlyIf compares the item\'s "at"';
    expect(() => writer.validate({ id: "a" })).toThrow(message);
    expect(() => writer.validate({ id: "a", at: [1] })).toThrow('a row has an array as its attribute "at"');
    expect(() => world([{ attribute: "at", is: "absent" }]).writer.validate(deleted({ id: "a" }))).not.toThrow();
  });

  it("is part of the plan", () => {
    expect(dynamoTable({ table: "t", key: ["id"], onlyIf: [newer] }).config).toMatchObject({ onlyIf: [newer] });
    expect(dynamoTable({ table: "t", key: ["id"] }).config).not.toHaveProperty("onlyIf");
  });

  it.each<readonly [given: unknown, message: string]>([
    [[], '"onlyIf" must be a list of 1 to 20 conditions'],
    [newer, '"onlyIf" must be a list'],
    [["at"], "onlyIf[0]: must be an object, not"],
    [[{ is: "absent" }], '"attribute" must name an attribute of the item'],
    [[newer, { attribute: "at", is: "==", value: 1 }], 'onlyIf[1]: "is" is "=="; there are absent, present, ='],
    [[{ attribute: "at", is: "<" }], 'either "value", or "row"'],
    [[{ attribute: "at", is: "<", value: 1, row: "at" }], 'either "value", or "row"'],
    [[{ attribute: "at", is: "<", value: null }], '"value" must be a string, a number or a boolean'],
    [[{ attribute: "at", is: "absent", orAbsent: true }], '"absent" is compared with nothing'],
    [[{ attribute: "at", is: "absent", than: 1 }], 'has a member "than"'],
  ])("%j is refused", (onlyIf, message) => {
    expect(() => dynamoTable({ table: "t", key: ["id"], onlyIf: onlyIf as never })).toThrow(message);
  });
});
