// Tables of PostgreSQL as sinks, over connections that break at the commit.
import { afterAll, describe, expect, test } from "vitest";
import { deleted } from "../../lib/pipeline/deletion.js";
import type { Sink, SinkResources } from "../../lib/pipeline/sink.js";
import { postgres } from "../../lib/postgres.js";
import { logSinkConformance, type OpenLogSink } from "../../lib/testing/conformance/log-sinks.js";
import { lossyWay } from "../../lib/testing/conformance/sink-losses.js";
import { memoryResources } from "../../lib/testing/conformance/sink-resources.js";
import { startPostgres } from "../fixtures/postgres/server.js";
import { commitWay } from "../fixtures/postgres/way.js";

const server = await startPostgres();
const way = await commitWay(server.port);
afterAll(async () => {
  await way.close();
  await server.close();
});

const url = server.url.replace(`:${server.port}/`, `:${way.port}/`);
let tables = 0;

/** Calls that come late are those of the sink; what is lost on the way is lost between its driver and the server. */
function behind(): Pick<OpenLogSink, "resources" | "losses"> {
  const calls = lossyWay();
  const send: SinkResources["send"] = (step, call) => (step === "apply" ? calls.send(call) : call());
  return {
    resources: { ...memoryResources(), bind: () => url, send },
    losses: {
      lose(loss) {
        if (loss === "late") calls.lose(loss);
        else way.lose(loss);
      },
      async arrive() {
        way.lose(null);
        await calls.arrive();
      },
    },
  };
}

async function opened(
  create: (table: string) => string,
  make: (table: string, tokensTable: string) => Sink<never>,
): Promise<Pick<OpenLogSink, "sink" | "resources" | "losses"> & { readonly table: string }> {
  const table = `out_${++tables}`;
  await server.query(create(table));
  way.lose(null);
  return { sink: make(table, `tokens_${tables}`), table, ...behind() };
}

describe("append", () => {
  logSinkConformance(test, async () => {
    const { table, ...sink } = await opened(
      (name) => `create table ${name} (n integer, at serial, note text default 'none')`,
      (name, tokensTable) => postgres({ database: "shop", table: name, mode: "append", tokensTable, ...quick }),
    );
    return {
      ...sink,
      // Of two kinds, so that one statement does not do for a segment.
      row: (n) => (n % 4 === 0 ? { n, note: "fourth" } : { n }),
      seen: () => server.query(`select n, note from ${table} order by at`),
      shows: (contents) => contents.map((n) => ({ n, note: n % 4 === 0 ? "fourth" : "none" })),
    };
  });
});

/** Keys that the sink knows to be exact, and keys that only the database can compare. */
const keys = [
  ["integer", (n: number) => n],
  ["numeric", (n: number) => `${n}.${"0".repeat(n % 3 === 0 ? 1 : 2)}`],
] as const;

describe.each(keys)("upsert by %s", (type, keyOf) => {
  logSinkConformance(test, async () => {
    const { table, ...sink } = await opened(
      (name) => `create table ${name} (k ${type} primary key, n integer not null)`,
      (name, tokensTable) =>
        postgres({ database: "shop", table: name, mode: "upsert", key: ["k"], tokensTable, ...quick }),
    );
    const row = (n: number) => (n % 7 === 5 ? deleted({ k: keyOf(n % 3) }) : { k: keyOf(n % 3), n });
    return {
      ...sink,
      row,
      seen: () => server.query(`select k::integer as k, n from ${table} order by k`),
      shows(contents) {
        const rows = new Map<number, number>();
        for (const n of contents) {
          if (n % 7 === 5) rows.delete(n % 3);
          else rows.set(n % 3, n);
        }
        return [...rows].sort(([a], [b]) => a - b).map(([k, n]) => ({ k, n }));
      },
    };
  });
});

/** What waits for a lock must not wait long: another call of the same test holds it. */
const quick = { statementTimeout: "2s" } as const;

test("R5 commits were lost on the way", () => {
  expect(way.lost()).toBeGreaterThan(100);
});
