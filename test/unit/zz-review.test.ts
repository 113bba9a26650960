import { dynamoTable, json, kinesisSource, pipeline } from "tidemark";
import { it } from "vitest";
import { desired } from "./checkpoint-samples.js";
import { cloud } from "./runtime-world.js";

interface Order { readonly id: string }

it.each(["running", "stopped"] as const)("F a long commit at the start, and desired is %s", async (state) => {
  const made = pipeline("p", { checkpoint: { interval: "2s" } }, (flow) =>
    flow
      .from("flights", kinesisSource({ stream: "flights", codec: json<Order>(), start: "trim-horizon" }))
      .to("orders", dynamoTable({ table: "orders", key: ["id"] })),
  );
  const isPut = (m: string, what: unknown) => m === "put" && typeof what === "object" && what !== null && "item" in what;
  const world = cloud(made, { way: (m, what) => (isPut(m, what) ? 1_000 : 0) });
  world.stream.createStream("flights", 1);
  world.tables.createTable("orders", [{ name: "id", type: "string" }]);
  for (let n = 0; n < 8000; n++) world.stream.put("flights", String(n), Buffer.from(JSON.stringify({ id: `o${n}` })));
  await world.wish();
  await world.until((h) => h.completed !== null, 60_000);
  await world.clock.sleep(3_000);
  await world.crash();
  await world.clock.sleep(3_000);
  if (state === "stopped") await world.wish(desired({ state }), 1);
  for (let t = 0; t < 40; t++) {
    const h = await world.until((x) => x.endedAt !== null && false, 60_000);
    console.log(state, t, "min: generation", h?.generation, h?.status, "aborts", h?.consecutiveAborts, "items", world.tables.items("orders").length, JSON.stringify(h?.failures.at(-1)?.message));
    if (h?.endedAt != null) break;
  }
}, 100_000);
