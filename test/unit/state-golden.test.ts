import { readFileSync } from "node:fs";
import { Decoder } from "cbor-x";
import { describe, expect, it } from "vitest";
import type { Key } from "../../lib/model/keys.js";
import { sha256 } from "../../lib/model/sha256.js";
import type { SnapshotFile, SnapshotRef, SnapshotSlice } from "../../lib/model/snapshots.js";
import type { ListState, ValueState } from "../../lib/pipeline/state-spec.js";
import { restoreInto } from "../../lib/state/snapshot-reader.js";
import { createStateTable, type StateTable } from "../../lib/state/table.js";
import { allGroups, Files, mixedOf, mixedTable } from "./state-samples.js";

// Format 1 is never to change: where one of these fails, the code is wrong, or there is a format 2 beside it.

interface GoldenFile {
  readonly hex: string;
  readonly slices: readonly SnapshotSlice[];
  readonly operators: SnapshotFile["operators"];
}
interface Golden {
  readonly example: { readonly base: GoldenFile; readonly delta: GoldenFile };
  readonly everyKind: GoldenFile;
}
const read = (path: string): string => readFileSync(new URL(path, import.meta.url), "utf8");
const golden = (): Golden => JSON.parse(read("../golden/snapshot-1.json"));

const exampleTable = (): StateTable =>
  createStateTable("punctuality", 1, { flights: { kind: "value", initial: 0 }, delays: { kind: "list" } });

/** The example of docs/SNAPSHOT-FORMAT.md: two airports, of which one goes and the other changes. */
async function exampleFiles() {
  const files = new Files();
  const table = exampleTable();
  const flights = table.accessors.flights as ValueState<number>;
  const delays = table.accessors.delays as ListState<number>;
  table.enter("JFK");
  flights.set(2);
  delays.add(17);
  table.enter("ORD");
  flights.set(1);
  const base = await files.write([table], { kind: "base" });
  flights.clear();
  table.enter("JFK");
  flights.set(3);
  delays.add(2.5);
  const delta = await files.write([table], { kind: "delta" });
  return { files, base, delta };
}

const keys: readonly Key[] = [
  "",
  "__proto__",
  "Zürich",
  0,
  -1,
  1,
  "1",
  1n,
  -1n,
  2n ** 64n,
  0.5,
  1.1,
  true,
  false,
  [],
  ["a", [1, 1n]],
];
const values: readonly unknown[] = [
  null,
  true,
  23,
  24,
  -0,
  2 ** 53 - 1,
  2 ** 53,
  1.5,
  1.1,
  Number.NaN,
  Number.NEGATIVE_INFINITY,
  0n,
  -(2n ** 70n),
  "水",
  "cut \ud83d",
  Uint8Array.of(0, 255),
  new Date(0),
  new Date(1_500),
  new Date(-1),
  new Map<unknown, unknown>([
    [1, "a"],
    ["1", { b: [] }],
  ]),
  new Set([2, 1]),
  JSON.parse('{"__proto__": 1, "constructor": null}'),
  { absent: undefined },
];

async function everyKindFile() {
  const files = new Files();
  const table = mixedTable("every kind");
  const { count, last, seen, by } = mixedOf(table);
  for (const [i, key] of keys.entries()) {
    table.enter(key);
    count.set(i + 1);
  }
  for (const [i, value] of values.entries()) {
    table.enter(`value ${i}`);
    last.set(value);
    seen.add(value);
    for (const key of i === 0 ? keys : []) by.set(key, value);
  }
  return { files, file: await files.write([table], { kind: "base", sliceBytesTarget: 200 }) };
}

const goldenOf = (files: Files, file: SnapshotFile, index: number): GoldenFile => ({
  hex: Buffer.from([...files.bytes.values()][index] ?? []).toString("hex"),
  slices: file.slices,
  operators: file.operators,
});

/** Files as a restore finds them, with the golden bytes in them. */
function goldenRef(...found: readonly GoldenFile[]): { readonly files: Files; readonly ref: SnapshotRef } {
  const files = new Files();
  const [base, ...deltas] = found.map(({ hex, slices, operators }, i) => {
    const bytes = Buffer.from(hex, "hex");
    files.bytes.set(`golden-${i}`, bytes);
    const body = { kind: "object", key: `golden-${i}`, size: bytes.length, sha256: sha256(bytes) };
    return {
      format: 1,
      body,
      session: "s",
      epoch: i + 1,
      slices,
      operators,
    } as unknown as SnapshotRef["deltas"][number];
  });
  return { files, ref: { format: 1, base: base ?? null, deltas } };
}

describe("snapshot format 1", () => {
  it("is written as it was, to the byte", async () => {
    const { files, base, delta } = await exampleFiles();
    const every = await everyKindFile();
    const found = {
      example: { base: goldenOf(files, base, 0), delta: goldenOf(files, delta, 1) },
      everyKind: goldenOf(every.files, every.file, 0),
    };
    expect(JSON.parse(JSON.stringify(found))).toEqual(golden());
  });

  it("is read as it was", async () => {
    const { example, everyKind } = golden();
    const found = goldenRef(example.base, example.delta);
    const table = exampleTable();
    await restoreInto([table], found.ref, allGroups, found.files.read);
    table.enter("JFK");
    expect([
      table.keys,
      ...Object.values(table.accessors).map((state) => (state as ValueState<unknown>).get()),
    ]).toEqual([1, [17, 2.5], 3]);
    const every = goldenRef(everyKind);
    const restored = mixedTable("every kind");
    await restoreInto([restored], every.ref, allGroups, every.files.read);
    const { count, last, by } = mixedOf(restored);
    expect(restored.keys).toBe(keys.length + values.length);
    for (const [i, key] of keys.entries()) {
      restored.enter(key);
      expect(count.get()).toBe(i + 1);
    }
    for (const [i, value] of values.entries()) {
      restored.enter(`value ${i}`);
      expect(last.get()).toStrictEqual(value);
    }
    restored.enter("value 0");
    expect([...by.entries()].map(([key]) => key)).toStrictEqual(keys);
  });

  it("is read by another CBOR library, item by item", () => {
    const { base } = golden().example;
    const [slice] = base.slices;
    const bytes = Buffer.from(base.hex, "hex").subarray(slice?.offset, (slice?.offset ?? 0) + (slice?.length ?? 0));
    const items: unknown[] = [];
    new Decoder({ useRecords: false, mapsAsObjects: true }).decodeMultiple(bytes, (item: unknown) => {
      items.push(item);
    });
    expect(items).toEqual([
      [1, "punctuality", 1, ["delays", "flights"], ["list", "value"]],
      [97, "ORD", [undefined, 1]],
      [116, "JFK", [[17], 2]],
    ]);
  });

  it("is what docs/SNAPSHOT-FORMAT.md shows", () => {
    const doc = read("../../docs/SNAPSHOT-FORMAT.md");
    const hexOf = (name: string) => {
      const [, block = ""] = new RegExp(`\`\`\`hex ${name}\n([^\`]*)\`\`\``).exec(doc) ?? [];
      return block.replaceAll(/#.*$/gm, "").replaceAll(/\s/g, "");
    };
    const { base, delta } = golden().example;
    expect(hexOf("base")).toBe(base.hex);
    expect(hexOf("delta")).toBe(delta.hex);
    for (const { sha256: hash } of [...base.slices, ...delta.slices]) expect(doc).toContain(hash);
  });
});
