// Sinks as a user writes them: one object literal each, over targets that lose calls.
import { describe, test } from "vitest";
import { StreamError } from "../../lib/model/errors.js";
import { deleted } from "../../lib/pipeline/deletion.js";
import { type Idempotent, idempotent } from "../../lib/pipeline/idempotent.js";
import { twoPhase } from "../../lib/pipeline/two-phase.js";
import { writeAheadLog } from "../../lib/pipeline/write-ahead-log.js";
import { keyedSinkConformance } from "../../lib/testing/conformance/keyed-sinks.js";
import { logSinkConformance } from "../../lib/testing/conformance/log-sinks.js";
import { type LossyWay, lossyWay } from "../../lib/testing/conformance/sink-losses.js";
import { memoryResources } from "../../lib/testing/conformance/sink-resources.js";
import { twoPhaseSinkConformance } from "../../lib/testing/conformance/two-phase-sinks.js";

interface Row {
  readonly id: string;
  readonly n: number;
}

/** Rows by key, each with the version that left it there: one conditional put is one step. */
function keyedTarget(way: LossyWay) {
  const rows = new Map<string, { readonly row: Row | null; readonly version: Uint8Array }>();
  const put = (key: string, row: Row | null, version: Uint8Array) =>
    way.send(async () => {
      const there = rows.get(key);
      if (there !== undefined && Buffer.compare(there.version.subarray(0, 6), version.subarray(0, 6)) !== 0)
        throw new StreamError("invalid", `row ${key} was written by another pipeline`);
      if (there === undefined || Buffer.compare(there.version, version) < 0) rows.set(key, { row, version });
    });
  return { put, seen: () => [...rows.values()].flatMap(({ row }) => row ?? []) };
}

for (const delivery of ["held", "eager"] as const) {
  describe(`rows by key, ${delivery}`, () => {
    keyedSinkConformance(test, async () => {
      const way = lossyWay();
      const target = keyedTarget(way);
      type Scores = Idempotent<Row, Pick<Row, "id">> & { readonly delivery?: "held" };
      const scores: Scores = {
        kind: "scores",
        key: ({ id }) => id,
        open: () => ({
          async apply(writes) {
            for (const { key, version, ...write } of writes)
              await target.put(key, write.change === "put" ? write.row : null, version);
          },
        }),
      };
      const eager = { delivery: "eager", stableKeys: true, keyFor: String } as const;
      return {
        sink: delivery === "held" ? idempotent(scores) : idempotent({ ...scores, ...eager }),
        resources: memoryResources(),
        row: (id, n): Row => ({ id, n }),
        deletion: (id) => deleted({ id }),
        seen: async () => target.seen(),
        losses: way,
      };
    });
  });
}

describe("a log, with the last position of each lane", () => {
  logSinkConformance(test, async () => {
    const way = lossyWay();
    const rows: Row[] = [];
    const positions = new Map<string, string>();
    return {
      sink: writeAheadLog<Row>({
        kind: "orders",
        target: { kind: "database", name: "orders" },
        open: () => ({
          apply: ({ token, rows: some }) =>
            way.send(async () => {
              // One transaction.
              if ((positions.get(token.lane) ?? "") >= token.position) return;
              rows.push(...some);
              positions.set(token.lane, token.position);
            }),
        }),
      }),
      resources: memoryResources(),
      row: (n): Row => ({ id: "row", n }),
      seen: async () => rows,
      shows: (contents) => contents.map((n) => ({ id: "row", n })),
      losses: way,
    };
  });
});

describe("a log of increments, one at a time", () => {
  logSinkConformance(test, async () => {
    const way = lossyWay();
    let sum = 0;
    const positions = new Map<string, string>();
    return {
      sink: writeAheadLog<number>({
        kind: "counter",
        rowsMax: 99,
        open: () => ({
          apply: ({ token, rows }) =>
            way.send(async () => {
              if ((positions.get(token.lane) ?? "") >= token.position) return;
              for (const row of rows) sum += row;
              positions.set(token.lane, token.position);
            }),
        }),
      }),
      resources: memoryResources(),
      row: (n) => n,
      seen: async () => sum,
      shows: (contents) => contents.reduce((total, n) => total + n, 0),
      losses: way,
    };
  });
});

/** Transactions by name, shown in the order of their commits. */
function transactional(way: LossyWay) {
  const prepared = new Map<string, readonly Row[]>();
  const committed = new Map<string, readonly Row[]>();
  return {
    prepare: (name: string, rows: readonly Row[]) => way.send(async () => void prepared.set(name, rows)),
    commit: (name: string) =>
      way.send(async () => {
        if (committed.has(name)) return;
        const rows = prepared.get(name);
        if (rows === undefined) throw new StreamError("corrupt", `transaction ${name} is gone`);
        prepared.delete(name);
        committed.set(name, rows);
      }),
    abort: (name: string) => way.send(async () => void prepared.delete(name)),
    leftovers: (prefix: string) => way.send(async () => [...prepared.keys()].filter((name) => name.startsWith(prefix))),
    seen: () => [...committed.values()].flat(),
  };
}

describe("transactions", () => {
  twoPhaseSinkConformance(test, async () => {
    const way = lossyWay();
    const target = transactional(way);
    return {
      sink: twoPhase<Row, { readonly name: string }>({
        kind: "ledger",
        open() {
          let open: Row[] = [];
          return {
            write: async (rows) => void open.push(...rows),
            async prepare(name) {
              await target.prepare(name, open);
              open = [];
              return { name };
            },
            commit: ({ name }) => target.commit(name),
            abort: ({ name }) => target.abort(name),
            leftovers: async (prefix) =>
              (await target.leftovers(prefix)).map((name) => ({ name, committable: { name } })),
          };
        },
      }),
      resources: (session, generation) => memoryResources({ session, generation }),
      row: (n): Row => ({ id: "row", n }),
      seen: async () => target.seen(),
      losses: way,
    };
  });
});
