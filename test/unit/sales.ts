// Sales of shops, counted: what tests of replays and forks have in common.
import { type Flow, json, kinesisSource, type PipelineOptions, value } from "tidemark";
import type { CheckpointRef } from "../../lib/model/checkpoints.js";
import type { Head } from "../../lib/model/head.js";
import type { cloud } from "./runtime-world.js";

interface Sale {
  readonly shop: string;
}

export const salesOptions: PipelineOptions = {
  checkpoint: { interval: "1s", timeout: "10s" },
  session: { reserve: "30s" },
};

/** Counts the sales of the stream "flights" in steps, so that rows tell which code wrote them. */
export const countSales = (flow: Flow, step = 1) =>
  flow
    .from("sales", kinesisSource({ stream: "flights", codec: json<Sale>(), start: "trim-horizon" }))
    .keyBy(({ shop }) => shop)
    .process("count", {
      state: { n: value(0) },
      onRecord({ shop }, { state }) {
        state.n.update((n) => n + step);
        return { shop, n: state.n.get() };
      },
    });

type World = Pick<ReturnType<typeof cloud>, "stream" | "head" | "until">;

/** Sells: so often, in one of so many shops after the other. */
export function salesInto(world: World, shops = 3) {
  let sold = 0;
  const put = (count: number): void => {
    for (let i = 0; i < count; i++, sold++)
      world.stream.put("flights", `k${sold}`, Buffer.from(JSON.stringify({ shop: `s${sold % shops}` })));
  };
  return {
    sold: () => sold,
    put,
    /** And waits for a checkpoint after it whose output is written. */
    async sell(count: number): Promise<CheckpointRef> {
      put(count);
      const before = (await world.head())?.completed?.checkpointId ?? 0;
      const head = await world.until(({ completed }) => (completed?.checkpointId ?? 0) > before, 60_000);
      await world.until(() => false, 3_000);
      return (head as Head).completed as CheckpointRef;
    },
  };
}
