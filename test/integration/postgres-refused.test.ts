// Real processes and a database that refuses a row: what the sink throws keeps its kind on its way through the function.
import { afterAll, expect, it, vi } from "vitest";
import { endAll } from "../fixtures/cli/command.js";
import { dev } from "../fixtures/cli/dev.js";
import { failuresOf } from "../fixtures/cli/kills.js";
import { newProject } from "../fixtures/cli/project.js";
import { startPostgres } from "../fixtures/postgres/server.js";

// Processes start slowly on a busy machine.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 });

const project = newProject({
  "pipeline.ts": `
import { fileSource, json, pipeline } from "tidemark";
import { postgres } from "tidemark/postgres";

interface Order { readonly id: number; readonly cents: number }

export default pipeline("billing", { checkpoint: { interval: "300ms", timeout: "4s" }, session: { reserve: "10s" } }, (flow) =>
  flow
    .from("orders", fileSource({ path: "orders.jsonl", codec: json<Order>() }))
    .to("orders", postgres({ database: "shop", table: "orders", mode: "append" })),
);
`,
  "tidemark.config.ts": `export default { bindings: { databases: { shop: "env:SHOP_URL" } } };`,
  "orders.jsonl": `{"id":1,"cents":5}\n{"id":2,"cents":-5}\n`,
});

const server = await startPostgres();
afterAll(async () => {
  endAll();
  await server.close();
  project.remove();
});

it("C5 a row that the database refuses fails the pipeline at once, as invalid", async () => {
  await server.query("create table orders (id integer, cents integer check (cents > 0))");
  const running = dev(project, [], { SHOP_URL: server.url });
  const { failures, status } = await running.event("end");
  expect(status).toBe("failed");
  expect(failures.map(({ kind }) => kind)).toEqual(["invalid"]);
  expect(failures[0]?.message).toContain("orders_cents_check");
  expect(failuresOf(running)).toHaveLength(1);
  expect(await running.ended).not.toMatchObject({ code: 0 });
});
