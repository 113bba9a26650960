import { dynamoTable, json, kinesisSource, pipeline, value } from "tidemark";
import { expect, it } from "vitest";
import type { InheritedSnapshot } from "../../lib/checkpoint/inherit.js";
import type { KeyGroups } from "../../lib/model/checkpoints.js";
import { checkpointId, type SessionId, type Sha256 } from "../../lib/model/ids.js";
import type { SnapshotSlice } from "../../lib/model/snapshots.js";
import { checkMemory } from "../../lib/runtime/memory.js";
import { task0 } from "./checkpoint-samples.js";
import { cloud } from "./runtime-world.js";

const mebibyte = 1024 * 1024;
const sha256 = "00" as Sha256;

const slice = (keyGroups: KeyGroups, megabytes: number): SnapshotSlice => ({
  operator: "count",
  stateVersion: 1,
  keyGroups,
  offset: 0,
  length: megabytes * mebibyte,
  keys: 1,
  codec: "cbor",
  sha256,
});

const snapshot = (keyGroups: KeyGroups, ...slices: readonly SnapshotSlice[]): InheritedSnapshot => {
  const body = { kind: "object", key: "base", size: 1, sha256 } as const;
  const base = { format: 1, body, session: "s" as SessionId, epoch: checkpointId(1), slices } as const;
  return { ref: { format: 1, base, deltas: [] }, keyGroups, isWhole: true };
};

it("state that a function cannot hold is told before it is killed for it: task, sizes and both remedies", () => {
  const taken = [snapshot([0, 127], slice([0, 63], 500), slice([64, 127], 300))];
  expect(() => checkMemory(task0, taken, 1_024 * mebibyte)).toThrow(
    `task ${task0}: the state that it takes over has 800 MB in its snapshot, its function 1024 MB of memory; give the function more than 1067 MB (taskMemorySize), or the pipeline more tasks (parallelism)`,
  );
  expect(() => checkMemory(task0, taken, 1_067 * mebibyte)).not.toThrow();
});

it("only what the task takes over counts, and nothing where nobody says what memory there is", () => {
  const half = snapshot([0, 63], slice([0, 63], 500), slice([64, 127], 300));
  expect(() => checkMemory(task0, [half], 700 * mebibyte)).not.toThrow();
  expect(() => checkMemory(task0, [half, half], 700 * mebibyte)).toThrow("1000 MB");
  expect(() => checkMemory(task0, [half, half], null)).not.toThrow();
});

it("R4 a pipeline whose functions cannot hold its state fails at once, with that cause", async () => {
  const counting = pipeline("p", { checkpoint: { interval: "1s" } }, (flow) =>
    flow
      .from("flights", kinesisSource({ stream: "flights", codec: json<{ airport: string }>(), start: "trim-horizon" }))
      .keyBy((flight) => flight.airport)
      .process("count", {
        state: { n: value(0) },
        onRecord(_flight, { key, state }) {
          state.n.update((n) => n + 1);
          return { airport: key };
        },
      })
      .to("airports", dynamoTable({ table: "airports", key: ["airport"] })),
  );
  const world = cloud(counting, { memoryBytes: 16 });
  world.stream.createStream("flights", 1);
  world.tables.createTable("airports", [{ name: "airport", type: "string" }]);
  world.stream.put("flights", "ATL", Buffer.from(JSON.stringify({ airport: "ATL" })));
  await world.wish();
  await world.clock.sleep(10_000);
  expect((await world.head())?.completed).not.toBeNull();
  await world.crash();
  await world.clock.sleep(10_000);
  const head = await world.head();
  expect(head?.status).toBe("failed");
  expect(head?.failures.at(-1)?.message).toContain("taskMemorySize");
});
