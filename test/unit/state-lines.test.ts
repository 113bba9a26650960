// The file of `tidemark state write`: sorted on disk, encoded task by task, and refused as a whole.
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { dynamoTable, json, kinesisSource, list, pipeline, value } from "tidemark";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { tablesOf } from "../../lib/checkpoint/written-state.js";
import { withStateLines } from "../../lib/cli/state-lines.js";
import type { KeyGroups } from "../../lib/model/checkpoints.js";
import { keyBytes, keyGroupOf } from "../../lib/model/keys.js";
import { restoreInto } from "../../lib/state/snapshot-reader.js";
import type { FinishedSnapshot } from "../../lib/state/snapshot-writer.js";
import type { StateTable } from "../../lib/state/table.js";
import { ack, task0, task1 } from "./checkpoint-samples.js";
import { Files } from "./state-samples.js";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "state-lines-"));
  vi.stubEnv("TMPDIR", folder);
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true, force: true });
});

const { plan } = pipeline("p", {}, (flow) =>
  flow
    .from("flights", kinesisSource({ stream: "flights", codec: json<{ id: string }>() }))
    .keyBy(({ id }) => id)
    .process("count", { state: { n: value(0), seen: list<string>() }, onRecord: (record) => record })
    .keyBy(() => "all")
    .process("all", { state: { n: value(0) }, onRecord: (record) => record })
    .to("rows", dynamoTable({ table: "rows", key: ["id"] })),
);

const stages = [{ name: "main", tasks: 2, operators: ["count", "all"] }];
const acks = [ack({ task: task0, keyGroups: [0, 63] }), ack({ task: task1, keyGroups: [64, 127] })];

const lineOf = (operator: string, key: unknown, state: unknown) => JSON.stringify({ operator, key, state });
const keyAt = (n: number) => (n % 3 === 0 ? n : `key\u2028${n}`);

/** The state of a file, as the tasks would restore it. */
async function prepared(lines: readonly string[]) {
  const path = join(folder, "in.jsonl");
  writeFileSync(path, lines.join("\n"));
  return withStateLines({ path, plan, acks, stages }, async (state) => {
    expect(readdirSync(folder)).toHaveLength(2);
    const tables: (readonly StateTable[])[] = [];
    for (const [index, file] of state.files.entries()) {
      const of = tablesOf(plan);
      const made = await file();
      if (made !== null) await restore(of, made, acks[index]?.keyGroups ?? [0, 0]);
      tables.push(of);
    }
    return { keys: state.keys, tables };
  });
}

async function restore(tables: readonly StateTable[], made: FinishedSnapshot, groups: KeyGroups) {
  const files = new Files();
  await restoreInto(tables, { format: 1, base: files.keep(made), deltas: [] }, groups, files.read);
}

function valueIn(tables: readonly StateTable[], operator: string, key: string | number): unknown {
  const table = tables.find((one) => one.operator === operator);
  table?.enter(key);
  return (table?.accessors.n as { get(): unknown } | undefined)?.get();
}

describe("state in JSON lines", () => {
  it("is that of the tasks, with each key in one of them, however many parts it was sorted into", async () => {
    // More than two parts.
    const padding = "x".repeat(150);
    const lines = Array.from({ length: 60_000 }, (_, n) => lineOf("count", keyAt(n), { n, seen: [padding] }));
    lines.splice(7, 0, "", lineOf("all", "all", { n: 3 }), " \r");
    const { keys, tables } = await prepared(lines);
    expect(keys).toBe(60_001);
    const sizes = tables.map((of) => of.reduce((sum, table) => sum + table.keys, 0));
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(60_001);
    expect(Math.min(...sizes)).toBeGreaterThan(25_000);
    for (let n = 0; n < 60_000; n += 611) {
      const found = tables.map((of) => valueIn(of, "count", keyAt(n)));
      expect(found.sort()).toEqual([0, n].sort());
    }
    expect(tables.map((of) => valueIn(of, "all", "all")).sort()).toEqual([0, 3]);
    expect(readdirSync(folder)).toEqual(["in.jsonl"]);
  });

  it("is refused whole, by the first line that is wrong, and leaves nothing behind", async () => {
    const padding = "x".repeat(150);
    const good = Array.from({ length: 60_000 }, (_, n) => lineOf("count", keyAt(n), { n, seen: [padding] }));
    const refused = async (changes: Readonly<Record<number, string>>, why: RegExp) => {
      await expect(prepared(good.map((line, at) => changes[at + 1] ?? line))).rejects.toThrow(why);
      expect(readdirSync(folder)).toEqual(["in.jsonl"]);
    };
    // Of two, though the second is in a part that comes before that of the first.
    const groupAt = (at: number) => keyGroupOf(keyBytes(keyAt(at)));
    const ats = Array.from({ length: 1_000 }, (_, n) => n);
    const [first, second] = [ats.find((at) => groupAt(at) > 120) ?? 0, ats.findLast((at) => groupAt(at) < 8) ?? 0];
    expect(second).toBeGreaterThan(first);
    const twice = (at: number) => [at + 20_000, lineOf("count", keyAt(at), { n: 1 })] as const;
    await refused(
      Object.fromEntries([twice(first), twice(second)]),
      new RegExp(`in\\.jsonl, line ${first + 20_000}: its key was there before`),
    );
    await refused(
      { 9: lineOf("count", "a", { m: 1 }) },
      /line 9: operator "count" declares no state "m"; it has n, seen/,
    );
    await refused({ 9: lineOf("count", "a", { seen: 1 }) }, /line 9: state "seen".* is a list: write an array, not/);
    await refused(
      { 9: lineOf("counts", "a", { n: 1 }) },
      /line 9: .*no operator "counts" with state; it has "count", "all"/,
    );
    await refused({ 9: lineOf("count", "a", {}) }, /line 9: .*or its state is empty/);
    await refused({ 60000: "{" }, /line 60000: .*JSON/);
  });

  it("has no file for a task without keys, and none at all of an empty one", async () => {
    const path = join(folder, "in.jsonl");
    writeFileSync(path, `${lineOf("count", "JFK", { n: 1 })}\n`);
    const made = (of: string) =>
      withStateLines({ path: of, plan, acks, stages }, async ({ files }) => Promise.all(files.map((file) => file())));
    // Key group 116.
    expect((await made(path)).map((file) => file?.slices.length ?? 0)).toEqual([0, 1]);
    writeFileSync(path, "");
    expect(await made(path)).toEqual([null, null]);
  });
});
