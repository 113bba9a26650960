// Real processes and a database: rows go into two tables while processes are killed, and SQL says what is there.
import { afterAll, expect, it, vi } from "vitest";
import { endAll, nothingIsLeft } from "../fixtures/cli/command.js";
import { dev, generationOf } from "../fixtures/cli/dev.js";
import { filesUnder, newProject } from "../fixtures/cli/project.js";
import { startPostgres } from "../fixtures/postgres/server.js";
import { commitWay } from "../fixtures/postgres/way.js";

// Processes start slowly on a busy machine.
vi.setConfig({ testTimeout: 180_000, hookTimeout: 60_000 });

const customers = 40;
const count = 12_000;
const orders = Array.from({ length: count }, (_, id) => ({
  id,
  customer: `c${(id * 7) % customers}`,
  cents: id % 500,
}));

const project = newProject({
  "pipeline.ts": `
import { deleted, fileSource, json, pipeline, value } from "tidemark";
import { postgres } from "tidemark/postgres";

interface Order { readonly id: number; readonly customer: string; readonly cents: number }

export default pipeline(
  "billing",
  {
    parallelism: 2,
    checkpoint: { interval: "400ms", timeout: "4s", tolerableFailures: 100 },
    session: { reserve: "10s" },
    restart: { initialDelay: "50ms", maxDelay: "200ms", window: "1s" },
  },
  (flow) => {
    const orders = flow
      .from("orders", fileSource({ path: "orders.jsonl", codec: json<Order>() }))
      .mapAsync("ask", { concurrency: 100, timeout: "4s" }, async (order) => {
        await new Promise((resolve) => setTimeout(resolve, 40));
        return order;
      });
    orders.to("orders", postgres({ database: "shop", table: "orders", mode: "append" }));
    orders
      .keyBy((order) => order.customer)
      .process("total", {
        state: { cents: value(0), orders: value(0) },
        onRecord(order, { key, state }) {
          state.cents.update((cents) => cents + order.cents);
          state.orders.update((n) => n + 1);
          // Every tenth order takes the row away, and the next one brings it back.
          if (state.orders.get() % 10 === 0) return deleted({ customer: key });
          return { customer: key, cents: BigInt(state.cents.get()), orders: state.orders.get() };
        },
      })
      .to("totals", postgres({ database: "shop", table: "billing.totals", mode: "upsert", key: ["customer"] }));
  },
);
`,
  "tidemark.config.ts": `export default { bindings: { databases: { shop: "env:SHOP_URL" } } };`,
  "orders.jsonl": `${orders.map((order) => JSON.stringify(order)).join("\n")}\n`,
});

const server = await startPostgres();
const way = await commitWay(server.port);
afterAll(async () => {
  endAll();
  await way.close();
  await server.close();
  project.remove();
});

const password = "Kennwort-5d1c";

it("C5 R5 every order is in the database once, however often processes are killed and commits lost", async () => {
  await server.query("create table orders (id integer, customer text, cents integer, at serial)");
  await server.query("create schema billing");
  await server.query("create table billing.totals (customer text primary key, cents bigint not null, orders integer)");
  const url = server.url.replace(/:\/\/(\w+)@/, `://$1:${password}@`).replace(`:${server.port}/`, `:${way.port}/`);
  const losing = setInterval(() => way.lose(Math.random() < 0.5 ? "request" : "answer"), 700);
  const running = dev(project, ["--chaos", "6s"], { SHOP_URL: url });
  const ended = await running.ended;
  clearInterval(losing);
  expect(ended).toMatchObject({ code: 0, err: "" });
  expect(generationOf(running)).toBeGreaterThan(1);
  expect(way.lost()).toBeGreaterThan(0);
  await nothingIsLeft(running);

  const twice = await server.query("select id, count(*) from orders group by id having count(*) > 1");
  expect(twice).toEqual([]);
  const kept = await server.query("select id, customer, cents from orders order by id");
  expect(kept).toEqual(orders);
  const expected = await server.query(
    `select customer, sum(cents)::text as cents, count(*)::integer as orders from orders
     group by customer having count(*) % 10 <> 0 order by customer`,
  );
  expect(await server.query("select customer, cents::text, orders from billing.totals order by customer")).toEqual(
    expected,
  );

  expect(ended.out + ended.err).not.toContain(password);
  const told = filesUnder(`${project.folder}/.tidemark`).filter(({ text }) => text.includes(password));
  expect(told.map(({ path }) => path)).toEqual([]);
});
