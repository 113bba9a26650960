import { dynamoTable, type Sink } from "tidemark";
import { describe, expect, it } from "vitest";
import { observeCompletion } from "../../lib/checkpoint/permit.js";
import type { CommitPermit } from "../../lib/model/checkpoints.js";
import { StreamError } from "../../lib/model/errors.js";
import { checkpointId, generation } from "../../lib/model/ids.js";
import { encodeVersion, versionAttribute } from "../../lib/model/versions.js";
import type { HeldWrite, HeldWriter } from "../../lib/pipeline/sink.js";
import { type AttributeType, itemBytesMax, type TableItem, type Tables } from "../../lib/ports/tables.js";
import { openWriter } from "../../lib/runtime/writers.js";
import { memoryTables } from "../../lib/testing/memory/tables.js";
import { head, incarnation, ref, task0 } from "./checkpoint-samples.js";
import { sinkResources } from "./sink-samples.js";

const permit = observeCompletion(head({ completed: ref(1) })) as CommitPermit;
const version = (seq: number, of = incarnation, epoch = 1) =>
  encodeVersion({ incarnation: of, generation: generation(1), epoch: checkpointId(epoch), task: task0, seq });
const write = (id: string, n: number, seq = n, of = incarnation): HeldWrite => ({
  key: id,
  row: { id, n },
  change: "put",
  version: version(seq, of),
  checkpointId: checkpointId(1),
});
const thrown = (call: () => unknown): StreamError => {
  try {
    call();
  } catch (error) {
    if (error instanceof StreamError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
};

function heldWriter(sink: Sink<never>, tables: Tables): HeldWriter {
  const opened = openWriter(sink, sinkResources({ tables }));
  if (opened.delivery !== "held") throw new Error("it is not held");
  return opened.writer;
}

/** The sink opened on a table in memory; `around` may come between them. */
function world(around: (tables: Tables) => Partial<Tables> = () => ({})) {
  const memory = memoryTables();
  memory.createTable("acme-t", [{ name: "id", type: "string" }]);
  const tables: Tables = { ...memory.tables, ...around(memory.tables) };
  const writer = heldWriter(dynamoTable({ table: "t", key: ["id"] }), tables);
  const apply = (...writes: readonly HeldWrite[]) => writer.apply("acme-t", writes, permit);
  const items = () => memory.items("acme-t");
  return { ...memory, writer, apply, items };
}

describe("before anything is written", () => {
  it("an absent table is told, with the key that it needs", async () => {
    const writer = heldWriter(dynamoTable({ table: "none", key: { p: "string", s: "number" } }), memoryTables().tables);
    await expect(writer.check()).rejects.toMatchObject({ kind: "invalid" });
    await expect(writer.check()).rejects.toThrow(
      '"acme-none": there is no such table; create it with the key (p: string, s: number)',
    );
  });

  it.each<readonly [string, Readonly<Record<string, AttributeType>>, boolean]>([
    ["the same key", { id: "string" }, true],
    ["another name", { ID: "string" }, false],
    ["another type", { id: "number" }, false],
    ["a sort key more", { id: "string", at: "number" }, false],
  ])("a table with %s", async (_, key, good) => {
    const { writer, createTable } = world();
    createTable(
      "acme-t",
      Object.entries(key).map(([name, type]) => ({ name, type })),
    );
    if (good) return expect(await writer.check()).toBeUndefined();
    const text = Object.entries(key)
      .map(([name, type]) => `${name}: ${type}`)
      .join(", ");
    await expect(writer.check()).rejects.toThrow(`its key is (${text}), the pipeline writes by (id: string)`);
  });

  it("a row is told whose item, with our attribute, is a byte too long; one that just fits is written", async () => {
    const { writer, apply, items } = world();
    const overhead = "id".length + 1 + "body".length + versionAttribute.length + 24;
    const row = (length: number) => ({ id: "a", body: "x".repeat(length - overhead) });
    expect(thrown(() => writer.validate(row(itemBytesMax + 1))).message).toContain(
      `a row has ${itemBytesMax + 1} bytes, an item may have ${itemBytesMax} (400 KB)`,
    );
    writer.validate(row(itemBytesMax));
    await apply({
      key: "a",
      row: row(itemBytesMax),
      change: "put",
      version: version(1),
      checkpointId: checkpointId(1),
    });
    expect(items()).toHaveLength(1);
  });

  it("a row is told that has our attribute, or a value that no item holds", () => {
    const { writer } = world();
    const ours = thrown(() => writer.validate({ id: "a", [versionAttribute]: undefined }));
    expect(ours).toMatchObject({
      kind: "invalid",
      message: expect.stringContaining('attribute "~tidemark": that name is ours'),
    });
    expect(thrown(() => writer.validate({ id: "a", when: new Date(0) })).message).toContain("when");
  });

  it.each([
    [{ totals: { "": 1 } }, "totals has a member without a name"],
    [{ rows: [{ id: 1 }, { by: { "": null } }] }, "rows[1].by has a member without a name"],
  ])("a row is told in which a member has no name, wherever it is: %j", (members, message) => {
    const { writer } = world();
    const told = thrown(() => writer.validate({ id: "a", ...members }));
    expect(told).toMatchObject({ kind: "invalid", message: expect.stringContaining(message) });
    writer.validate({ id: "a", totals: { "": undefined, there: 1 } });
  });
});

describe("W1 held writes", () => {
  it("W1 are written whole, and again without a change; an older one that comes late changes nothing", async () => {
    const { apply, items, tables } = world();
    await apply(
      {
        key: "a",
        row: { id: "a", n: 1, gone: true },
        change: "put",
        version: version(1),
        checkpointId: checkpointId(1),
      },
      write("b", 1),
    );
    await apply(write("a", 2));
    expect(items()).toEqual([
      { id: "a", n: 2 },
      { id: "b", n: 1 },
    ]);
    await apply(write("a", 2), write("a", 1), write("b", 1));
    expect(items()).toEqual([
      { id: "a", n: 2 },
      { id: "b", n: 1 },
    ]);
    expect((await tables.read("acme-t", { id: "a" }))?.[versionAttribute]).toEqual(new Uint8Array(version(2)));
  });

  it("W1 an item of nobody's is taken over", async () => {
    const { apply, items, plant } = world();
    plant("acme-t", { id: "a", theirs: 1 });
    await apply(write("a", 1));
    expect(items()).toEqual([{ id: "a", n: 1 }]);
  });

  it("W1 an item of another incarnation, older or newer, is left alone, with both remedies", async () => {
    for (const other of ["000000000001", "ffffffffffff"]) {
      const { apply, items } = world();
      await apply(write("a", 9, 9, other));
      const applied = apply(write("a", 1));
      await expect(applied).rejects.toMatchObject({ kind: "invalid" });
      const { message } = (await applied.catch((error: unknown) => error)) as Error;
      for (const part of ['"acme-t"', "key id", 'Remove the attribute "~tidemark"', "another table"])
        expect(message).toContain(part);
      expect(items()).toEqual([{ id: "a", n: 9 }]);
    }
  });

  it("many rows are written, each once, sixteen at a time at most", async () => {
    let [underWay, most, puts] = [0, 0, 0];
    const { apply, items } = world((inner) => ({
      async put(one) {
        most = Math.max(most, ++underWay);
        puts++;
        await new Promise(setImmediate);
        const result = await inner.put(one);
        underWay--;
        return result;
      },
    }));
    await apply(...Array.from({ length: 131 }, (_, i) => write(`k${i}`, i + 1)));
    expect([items().length, puts, most]).toEqual([131, 131, 16]);
    expect(items()).toContainEqual({ id: "k130", n: 131 });
  });

  it("no rows, no calls", async () => {
    const { apply } = world(() => ({ put: () => Promise.reject(new Error("asked")) }));
    await apply();
  });
});

describe("R5 answers", () => {
  /** The first puts meet this; then they are answered. */
  const failing = (fates: readonly ("lost" | "unanswered" | "busy" | "vanished" | StreamError)[]) => {
    const left = [...fates];
    let puts = 0;
    const made = world((inner) => ({
      async put(one) {
        puts++;
        const fate = left.shift();
        if (fate === "vanished") return { kind: "refused", version: null };
        if (fate instanceof StreamError) throw fate;
        if (fate === undefined) return inner.put(one);
        if (fate === "unanswered") await inner.put(one);
        throw new StreamError(fate === "busy" ? "transient" : "ambiguous", "no answer");
      },
    }));
    return { ...made, puts: () => puts };
  };

  it.each<readonly [string, Parameters<typeof failing>[0]]>([
    ["the write was lost", ["lost"]],
    ["the write happened, and was refused by itself", ["unanswered"]],
    ["the table was busy", ["busy", "busy", "busy", "busy"]],
    ["it happened late", ["lost", "unanswered", "lost"]],
    ["the item that refused it went meanwhile", ["vanished", "vanished"]],
  ])("R5 %s: it is put again, and stands once", async (_, fates) => {
    const { apply, items, puts } = failing(fates);
    await apply(write("a", 1));
    expect(items()).toEqual([{ id: "a", n: 1 }]);
    expect(puts()).toBe(fates.length + 1);
  });

  it("R5 no answer ten times: it may be tried again later, and says where", async () => {
    const { apply, puts } = failing(Array(10).fill("lost"));
    await expect(apply(write("a", 1))).rejects.toMatchObject({
      kind: "transient",
      message: expect.stringContaining('"acme-t"'),
    });
    expect(puts()).toBe(10);
  });

  it.each(["invalid", "fenced", "bug"] as const)("an error of kind %s is told at once", async (kind) => {
    const { apply, puts } = failing([new StreamError(kind, "no")]);
    await expect(apply(write("a", 1))).rejects.toMatchObject({ kind, message: "no" });
    expect(puts()).toBe(1);
  });

  it("C2 the target is the committable's, which may be another table than the sink's", async () => {
    const made = world();
    made.createTable("old", [{ name: "id", type: "string" }]);
    await made.writer.apply("old", [write("a", 1)], permit);
    expect(made.items()).toEqual([]);
    const old: TableItem | null = await made.tables.read("old", { id: "a" });
    expect(old).toMatchObject({ id: "a", n: 1 });
  });
});
