// runPipeline with sinks as users write them: one object literal each, over targets of their own, to which calls are lost.
import { describe, expect, it } from "vitest";
import {
  idempotent,
  json,
  kinesisSource,
  pipeline,
  type Segment,
  StreamError,
  twoPhase,
  value,
  writeAheadLog,
} from "../../lib/index.js";
import { runPipeline } from "../../lib/testing/run/run-pipeline.js";

interface Item {
  readonly id: string;
  readonly n: number;
}

const items: readonly Item[] = Array.from({ length: 60 }, (_, n) => ({ id: `id-${n % 5}`, n }));
const source = kinesisSource({ stream: "items", codec: json<Item>() });
const seeds = Array.from({ length: 12 }, (_, index) => index + 1);
const lossy = { lost: 0.05, slow: 0.05 };

/** Rows and the last position of each lane, changed in one step. */
function ledger() {
  const rows: Item[] = [];
  const positions = new Map<string, string>();
  return {
    rows,
    positions,
    apply({ token, rows: some }: Segment<Item>) {
      if ((positions.get(token.lane) ?? "") >= token.position) return;
      positions.set(token.lane, token.position);
      rows.push(...some);
    },
  };
}

const rowsByKey = (rows: readonly Item[]) =>
  Object.fromEntries(["id-0", "id-1", "id-2", "id-3", "id-4"].map((id) => [id, rows.filter((row) => row.id === id)]));

describe("C5 a write-ahead log", () => {
  it.each(seeds)("shows every row once, in order, whatever becomes of the calls (seed %i)", async (seed) => {
    const { rows, apply } = ledger();
    const log = writeAheadLog<Item>({
      kind: "ledger",
      rowsMax: 3,
      open: () => ({
        async apply(segment) {
          apply(segment);
          expect(rows).toEqual(items.slice(0, rows.length));
        },
      }),
    });
    const made = pipeline("logged", {}, (flow) => flow.from("items", source).to("out", log));
    const run = await runPipeline(made, { items }, { seed, crashes: 4, faults: lossy, seen: { out: () => rows } });
    expect(run.sinks.out).toEqual(items);
    expect(run.crashes).toBe(4);
    expect(run.trace().some((line) => line.includes("sinks.apply"))).toBe(true);
  });

  it.each(seeds)("keeps the order of each key behind several tasks (seed %i)", async (seed) => {
    const { rows, positions, apply } = ledger();
    const log = writeAheadLog<Item>({
      kind: "ledger",
      target: { kind: "database", name: "ledger" },
      open: ({ target }) => ({
        check: async () => expect(target).toBe("ledger"),
        apply: async (segment) => apply(segment),
      }),
    });
    const made = pipeline("logged", { parallelism: 3 }, (flow) =>
      flow
        .from("items", source)
        .keyBy(({ id }) => id)
        .process("count", {
          state: { n: value(0) },
          onRecord(item, { state }) {
            state.n.update((n) => n + 1);
            return { id: item.id, n: state.n.get() };
          },
        })
        .to("out", log),
    );
    const options = { seed, crashes: 3, shards: 3, faults: lossy, seen: { out: () => rows } };
    const run = await runPipeline(made, { items }, options);
    const counted = Array.from({ length: 12 }, (_, n) => n + 1);
    for (const [id, found] of Object.entries(rowsByKey(run.sinks.out)))
      expect([id, found.map(({ n }) => n)]).toEqual([id, counted]);
    expect(new Set([...positions.keys()].map((lane) => lane.split("-").at(-1))).size).toBeGreaterThan(1);
  });

  it("Q1 puts a record aside whose row it refuses, with all its rows", async () => {
    const { rows, apply } = ledger();
    const dead: unknown[] = [];
    const log = writeAheadLog<Item>({
      kind: "ledger",
      rowsMax: 2,
      open: () => ({
        validate({ n }) {
          if (n % 10 === 3) throw new StreamError("invalid", "no three");
        },
        apply: async (segment) => apply(segment),
      }),
    });
    const deadLetters = writeAheadLog({
      kind: "dead",
      open: () => ({
        apply: async ({ token, rows: letters }) => {
          if (!dead.includes(token.id)) dead.push(token.id, ...letters);
        },
      }),
    });
    const made = pipeline("careful", { onBadRecord: "quarantine", deadLetters }, (flow) =>
      flow
        .from("items", source)
        .flatMap((item) => [{ ...item, n: item.n + 100 }, item, { ...item, n: item.n + 200 }])
        .to("out", log),
    );
    const seen = { out: () => rows, "dead-letters": () => dead.filter((one) => typeof one !== "string") };
    const run = await runPipeline(made, { items }, { seed: 3, crashes: 3, seen });
    const good = items.filter(({ n }) => n % 10 !== 3);
    expect(rows.map(({ n }) => n)).toEqual(good.flatMap(({ n }) => [n + 100, n, n + 200]));
    expect(run.deadLetters).toHaveLength(items.length - good.length);
    expect(JSON.stringify(run.deadLetters[0])).toContain("no three");
  });

  it("R4 fails with the cause that the target gives, and has applied nothing twice", async () => {
    const { rows, apply } = ledger();
    const log = writeAheadLog<Item>({
      kind: "ledger",
      open: () => ({
        async apply(segment) {
          if (segment.rows.some(({ n }) => n > 30)) throw new StreamError("invalid", "the account is closed");
          apply(segment);
        },
      }),
    });
    const made = pipeline("refused", {}, (flow) => flow.from("items", source).to("out", log));
    await expect(runPipeline(made, { items }, { seen: { out: () => rows } })).rejects.toMatchObject({
      kind: "invalid",
      message: expect.stringContaining('sink "out": ledger: apply: the account is closed'),
    });
    expect(rows).toEqual(items.slice(0, rows.length));
  });

  it("waits out a target that is away for minutes", async () => {
    const { rows, apply } = ledger();
    let calls = 0;
    const log = writeAheadLog<Item>({
      kind: "ledger",
      open: () => ({
        async apply(segment) {
          if (++calls < 30) throw new TypeError("fetch failed");
          apply(segment);
        },
      }),
    });
    const made = pipeline("patient", {}, (flow) => flow.from("items", source).to("out", log));
    const run = await runPipeline(made, { items }, { seen: { out: () => rows } });
    expect(run.sinks.out).toEqual(items);
    expect(run.restarts).toBeGreaterThan(0);
  });
});

describe("W1 rows by key", () => {
  it.each(seeds)("shows the newest of each, whatever becomes of the calls (seed %i)", async (seed) => {
    const rows = new Map<string, { readonly row: Item; readonly version: Uint8Array }>();
    const scores = idempotent<Item>({
      kind: "scores",
      key: ({ id }) => id,
      open: () => ({
        async apply(writes) {
          for (const write of writes) {
            const there = rows.get(write.key);
            if (there === undefined || Buffer.compare(there.version, write.version) < 0)
              rows.set(write.key, { row: write.row, version: write.version });
          }
        },
      }),
    });
    const made = pipeline("keyed", {}, (flow) => flow.from("items", source).to("out", scores));
    const seen = { out: () => [...rows.values()].map(({ row }) => row) };
    const run = await runPipeline(made, { items }, { seed, crashes: 4, faults: lossy, seen });
    expect(run.sinks.out.toSorted((a, b) => a.n - b.n)).toEqual(items.slice(55));
  });
});

describe("C2 transactions", () => {
  it.each(seeds)("shows every row once, in order, and leaves nothing behind (seed %i)", async (seed) => {
    const prepared = new Map<string, readonly Item[]>();
    const committed = new Map<string, readonly Item[]>();
    const ledgers = twoPhase<Item, { readonly name: string }>({
      kind: "ledger",
      open() {
        let open: Item[] = [];
        return {
          write: async (rows) => void open.push(...rows),
          async prepare(name) {
            prepared.set(name, open);
            open = [];
            return { name };
          },
          async commit({ name }) {
            const rows = prepared.get(name);
            if (rows === undefined && !committed.has(name)) throw new StreamError("corrupt", `${name} is gone`);
            if (rows !== undefined) committed.set(name, rows);
            prepared.delete(name);
          },
          abort: async ({ name }) => void prepared.delete(name),
          leftovers: async (prefix) =>
            [...prepared.keys()]
              .filter((name) => name.startsWith(prefix))
              .map((name) => ({ name, committable: { name } })),
        };
      },
    });
    const made = pipeline("transactions", {}, (flow) => flow.from("items", source).to("out", ledgers));
    const seen = { out: () => [...committed.values()].flat() };
    const run = await runPipeline(made, { items }, { seed, crashes: 4, faults: lossy, seen });
    expect(run.sinks.out).toEqual(items);
  });
});
