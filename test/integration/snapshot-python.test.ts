// docs/SNAPSHOT-FORMAT.md is all that a reader in another language needs: its program, run by Python, reads what the library wrote.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { dynamoTable, json, kinesisSource, list, map, pipeline, value } from "tidemark";
import { afterAll, describe, expect, it } from "vitest";
import { readManifest } from "../../lib/checkpoint/store.js";
import type { CheckpointRef } from "../../lib/model/checkpoints.js";
import type { Head } from "../../lib/model/head.js";
import { cloud } from "../unit/runtime-world.js";

const cborVersion = "6.3.0";
const folder = mkdtempSync(join(tmpdir(), "snapshot-python-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A Python that has the CBOR library, set up once; or why there is none. */
function pythonWithCbor(): { readonly python: string } | { readonly missing: string } {
  const place = join(process.env.TIDEMARK_CLOUD_CACHE ?? join(homedir(), ".cache", "tidemark"), `cbor2-${cborVersion}`);
  const python = join(place, "bin/python");
  if (existsSync(python)) return { python };
  // Where another run does the same at the same time, the later one finds it made.
  const made = `${place}.${process.pid}`;
  mkdirSync(dirname(made), { recursive: true });
  const steps: readonly (readonly [string, readonly string[]])[] = [
    ["python3", ["-m", "venv", made]],
    [
      join(made, "bin/python"),
      ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", `cbor2==${cborVersion}`],
    ],
  ];
  for (const [command, args] of steps) {
    const { status, stderr, error } = spawnSync(command, args, { encoding: "utf8" });
    if (status !== 0) {
      rmSync(made, { recursive: true, force: true });
      const why = error?.message ?? stderr.trim().split("\n").at(-1);
      return { missing: `${command} ${args.join(" ")}: ${why}` };
    }
  }
  if (!existsSync(place)) renameSync(made, place);
  return { python };
}

const found = pythonWithCbor();

const everything = pipeline("p", { parallelism: 2, checkpoint: { interval: "1s" } }, (flow) =>
  flow
    .from("flights", kinesisSource({ stream: "flights", codec: json<{ readonly n: number }>(), start: "trim-horizon" }))
    .keyBy(({ n }) => (n % 3 === 0 ? n % 600 : [`key ${n % 600}`, n % 2 === 0]))
    .process("every-kind", {
      state: {
        n: value(0),
        last: value<unknown>(),
        seen: list<number>(),
        by: map<string | number, unknown>(),
        never: value<string>(),
      },
      onRecord({ n }, { state }) {
        state.n.update((before) => before + 1);
        if (state.seen.get().length < 3) state.seen.add(n);
        state.by.set(n % 2, { text: `n ${n % 7}`, big: 2n ** 70n });
        const values = [
          null,
          -0.5,
          "水",
          new Date(1_500),
          Uint8Array.of(1, 255),
          new Map([["a", 1]]),
          new Set([1]),
          true,
        ];
        state.last.set(values[n % values.length]);
        if (n % 1_200 === 1_199) for (const one of [state.n, state.last, state.seen, state.by]) one.clear();
        return undefined;
      },
    })
    .to("out", dynamoTable({ table: "out", key: ["id"] }) as never),
);

/** Runs it until there are deltas, and lays the bucket out in the folder; what state it has by then. */
async function written() {
  const world = cloud(everything);
  world.stream.createStream("flights", 4);
  world.tables.createTable("out", [{ name: "id", type: "string" }]);
  let n = 0;
  const put = (count: number) => {
    for (let i = 0; i < count; i++, n++) world.stream.put("flights", `k${n % 600}`, Buffer.from(JSON.stringify({ n })));
  };
  put(5_995);
  await world.wish();
  await world.until((head) => head.completed !== null, 60_000);
  for (let i = 0; i < 4; i++) {
    put(3);
    await world.until(() => false, 4_000);
  }
  const head = (await world.head()) as Head;
  for await (const { key } of world.store.blobs.list("")) {
    const path = join(folder, key);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, (await world.store.blobs.get(key)) ?? new Uint8Array());
  }
  const { tasks } = await readManifest(world.store, head.incarnation, head.completed as CheckpointRef);
  return { head, records: n, deltas: tasks.reduce((sum, { snapshot }) => sum + snapshot.deltas.length, 0) };
}

/** The program of the page, and a caller of it that prints what it gives. */
function program(): string {
  const page = readFileSync(new URL("../../docs/SNAPSHOT-FORMAT.md", import.meta.url), "utf8");
  const [, text = ""] = /```python\n([\s\S]*?)```/.exec(page) ?? [];
  return `${text}
import sys, datetime

def shown(value):
    if isinstance(value, cbor2.CBORTag): return {"tag": value.tag, "value": shown(value.value)}
    if isinstance(value, datetime.datetime): return {"at": value.timestamp()}
    if isinstance(value, bytes): return {"hex": value.hex()}
    if isinstance(value, (set, frozenset)): return {"set": [shown(one) for one in value]}
    if hasattr(value, "items"): return {name: shown(member) for name, member in value.items()}
    if isinstance(value, (list, tuple)): return [shown(one) for one in value]
    return str(value) if isinstance(value, int) and abs(value) > 2 ** 53 else value

folder, pipeline, incarnation, id = sys.argv[1:]
get = lambda key: open(f"{folder}/{key}", "rb").read()
print(json.dumps([[operator, shown(key), shown(states)] for operator, key, states in checkpoint(get, pipeline, incarnation, int(id))]))
`;
}

describe("a checkpoint that Python reads", () => {
  // Where there is no Python, or its packages cannot be fetched; the name of the test says what was missing.
  it.skipIf("missing" in found)(
    `by the program of docs/SNAPSHOT-FORMAT.md is what was kept${"missing" in found ? ` (skipped: ${found.missing})` : ""}`,
    { timeout: 120_000 },
    async () => {
      const python = "python" in found ? found.python : "";
      const { head, records, deltas } = await written();
      expect(deltas, "there is no delta to be read").toBeGreaterThan(0);
      writeFileSync(join(folder, "read.py"), program());
      const id = String(head.completed?.checkpointId);
      const run = () =>
        spawnSync(python, [join(folder, "read.py"), folder, "p", head.incarnation, id], {
          encoding: "utf8",
          maxBuffer: 1 << 26,
        });
      const { stdout, stderr } = run();
      expect(stderr).toBe("");
      const read = new Map(
        (JSON.parse(stdout) as [string, unknown, Record<string, unknown>][]).map(([operator, key, states]) => [
          `${operator} ${JSON.stringify(key)}`,
          states,
        ]),
      );
      expect(read).toEqual(expected(records));
      // It would not take other bytes for these.
      const state = readFileSync(join(folder, "read.py"), "utf8");
      writeFileSync(
        join(folder, "read.py"),
        state.replace("states is None:\n                    keys.pop(name, None)", "False:\n                    pass"),
      );
      expect(run().stdout).not.toBe(stdout);
    },
  );
});

/** As the pipeline would have it, computed without any of it. */
function expected(records: number): ReadonlyMap<string, unknown> {
  const keys = new Map<string, { n: number; last: unknown; seen: number[]; by: [number, unknown][] }>();
  const shown = [null, -0.5, "水", { at: 1.5 }, { hex: "01ff" }, { tag: 259, value: { a: 1 } }, { set: [1] }, true];
  for (let n = 0; n < records; n++) {
    const key = JSON.stringify(n % 3 === 0 ? n % 600 : [`key ${n % 600}`, n % 2 === 0]);
    const at = keys.get(key) ?? { n: 0, last: null, seen: [], by: [] };
    at.n += 1;
    if (at.seen.length < 3) at.seen.push(n);
    const entry: [number, unknown] = [n % 2, { text: `n ${n % 7}`, big: String(2n ** 70n) }];
    const place = at.by.findIndex(([of]) => of === n % 2);
    if (place === -1) at.by.push(entry);
    else at.by[place] = entry;
    at.last = shown[n % shown.length];
    if (n % 1_200 === 1_199) keys.delete(key);
    else keys.set(key, at);
  }
  return new Map([...keys].map(([key, states]) => [`every-kind ${key}`, states]));
}
