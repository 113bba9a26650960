import { bytes, kinesisSource, pipeline } from "tidemark";
import { describe, expect, it } from "vitest";
import { prepareRecord } from "../../lib/checkpoint/opening.js";
import { millis } from "../../lib/model/ids.js";
import type { SourceTable } from "../../lib/model/shards.js";
import type { SourceConfig } from "../../lib/pipeline/source.js";
import { memoryLog } from "../../lib/testing/memory/log.js";
import { desired, head, incarnation, now, record } from "./checkpoint-samples.js";
import { memoryStore } from "./checkpoint-worlds.js";
import { sink } from "./task-samples.js";

type Start = "latest" | "trim-horizon" | { readonly at: Date };

/** The shard table of the record of an opening without a checkpoint, where `before` is that of the generation before. */
async function opened(start: Start, before: Partial<SourceTable> | null = null): Promise<SourceTable> {
  const { store, clock } = memoryStore();
  const { log, control } = memoryLog(clock);
  control.createStream("flights", 1);
  const made = pipeline("p", {}, (flow) =>
    flow.from("flights", kinesisSource({ stream: "flights", codec: bytes, start })).to("out", sink()),
  );
  const context = { store, log, plan: made.plan, library: "0.1.0", bindStream: (name: string) => name };
  const first = await prepareRecord(context, null, null, desired(), { reason: "start", origin: null, incarnation });
  const table = first.shards?.flights as SourceTable;
  if (before === null) return table;
  const previous = record({ shards: { flights: { ...table, ...before } } });
  const next = await prepareRecord(context, head(), previous, desired(), {
    reason: "failure",
    origin: null,
    incarnation,
  });
  return next.shards?.flights as SourceTable;
}
const hour = 3_600_000;
const at = (time: number): Start => ({ at: new Date(time) });

describe("P0 where a source starts", () => {
  it("P0 P1 a time before the stream was made is its beginning: nothing before it can be missing", async () => {
    const { start, shards } = await opened(at(now - 400 * 24 * hour));
    expect(start).toBe(now);
    expect(shards.map((entry) => entry.at)).toEqual([
      { kind: "open", position: { kind: "timestamp", at: now, readTo: now } },
    ]);
  });

  it.each<readonly [string, Start, SourceConfig["start"], SourceConfig["start"]]>([
    ["P0 LATEST stays the time that it was resolved to", "latest", millis(now - hour), millis(now - hour)],
    ["P0 the horizon stays", "trim-horizon", "horizon", "horizon"],
    [
      "P0 a time that was mended is the new one, while there is no checkpoint",
      at(now + hour),
      millis(now),
      millis(now + hour),
    ],
    ["P0 the horizon in place of a time", "trim-horizon", millis(now), "horizon"],
    ["P0 LATEST in place of the horizon is now", "latest", "horizon", millis(now)],
  ])("%s", async (_, start, before, expected) => {
    expect((await opened(start, { start: before as SourceTable["start"] })).start).toBe(expected);
  });

  it("P0 a stream that lists no shards yet is waited for: a table without any would never have one", async () => {
    const { store, clock } = memoryStore();
    const { log, control } = memoryLog(clock);
    control.createStream("flights", 1);
    const made = pipeline("p", {}, (flow) =>
      flow.from("flights", kinesisSource({ stream: "flights", codec: bytes, start: "trim-horizon" })).to("out", sink()),
    );
    const empty = { ...log, shards: async () => [] };
    const context = { store, log: empty, plan: made.plan, library: "0.1.0", bindStream: (name: string) => name };
    const opening = { reason: "start", origin: null, incarnation } as const;
    await expect(prepareRecord(context, null, null, desired(), opening)).rejects.toMatchObject({ kind: "transient" });
  });
});
