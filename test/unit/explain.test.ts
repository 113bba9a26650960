// `tidemark explain` says what acks and manifests say, and of what they do not say, that it is not known.
import { describe, expect, it } from "vitest";
import { explainedText } from "../../lib/cli/explain.js";
import { explain } from "../../lib/cli/explain-report.js";
import { priceOf } from "../../lib/cli/prices.js";
import type { Ack } from "../../lib/model/checkpoints.js";
import { checkpointId, millis, sessionId } from "../../lib/model/ids.js";
import { sha256 } from "../../lib/model/sha256.js";
import type { SnapshotFile } from "../../lib/model/snapshots.js";
import { ack, ago, manifest, now, ref, task0, task1 } from "./checkpoint-samples.js";

const file = (epoch: number, size: number, keys: number): SnapshotFile => ({
  format: 1,
  body: { kind: "object", key: `state ${epoch}`, size, sha256: sha256("") },
  session: sessionId("s1"),
  epoch: checkpointId(epoch),
  slices: [
    {
      operator: "count",
      stateVersion: 1,
      keyGroups: [0, 127],
      offset: 10,
      length: size - 10,
      keys,
      codec: "cbor",
      sha256: sha256(""),
    },
  ],
});

const figures = (over: Partial<Ack["figures"]>): Ack["figures"] => ({
  cutAt: ago(900),
  ackedAt: ago(800),
  recordsIn: 100,
  recordsOut: 10,
  bytes: 0,
  requests: {},
  ...over,
});

const open = (readTo: number) => ({
  kind: "open" as const,
  position: { kind: "after" as const, sequenceNumber: "1", sub: null, readTo: millis(readTo) },
});

describe("what is told of a checkpoint", () => {
  const first = ack({
    task: task0,
    snapshot: { format: 1, base: file(1, 1_000, 50), deltas: [file(2, 100, 3)] },
    positions: { words: [{ shardId: "s-1", at: open(now - 4_000) }] },
    figures: figures({ bytes: 150, requests: { "blobs.put": 5, "registers.read": 20, "tables.transact": 2 } }),
  });
  const second = ack({
    task: task1,
    session: sessionId("other"),
    snapshot: { format: 1, base: file(1, 2_000, 50), deltas: [] },
    positions: { words: [{ shardId: "s-2", at: open(0) }] },
    figures: figures({ cutAt: ago(700), ackedAt: ago(100), requests: { "registers.read": 4 } }),
  });
  const before = manifest({
    checkpointId: checkpointId(1),
    tasks: [
      ack({ task: task0, figures: figures({ recordsIn: 60, requests: { "blobs.put": 2, "registers.read": 20 } }) }),
      ack({ task: task1, session: sessionId("older") }),
    ],
  });
  const at = manifest({ checkpointId: checkpointId(2), triggeredAt: ago(1_000), tasks: [first, second] });

  it("is how long each task waited and stored, what it wrote, and its requests since the checkpoint before", () => {
    expect(explain(ref(2), at, before)).toMatchObject({
      durationMillis: 900,
      slowest: "0.1",
      bytes: 150,
      unpriced: ["tables.transact"],
      tasks: [
        {
          task: "0.0",
          waitedMillis: 100,
          storedMillis: 100,
          snapshot: "delta",
          stateBytes: 100,
          outputBytes: 50,
          keys: 3,
          records: 40,
          requests: { "blobs.put": 3, "tables.transact": 2 },
          requestsSince: "the checkpoint before",
          dollars: 3 * 0.000_005,
          shards: [{ source: "words", shard: "s-1", behindMillis: 3_100 }],
        },
        {
          task: "0.1",
          waitedMillis: 300,
          storedMillis: 600,
          snapshot: "unchanged",
          stateBytes: 0,
          records: null,
          requests: { "registers.read": 4 },
          requestsSince: "the session began",
          shards: [{ behindMillis: null }],
        },
      ],
    });
  });

  it("is for people a table, with what is not known as that", () => {
    const text = explainedText(explain(ref(2), at, before));
    expect(text).toContain("all acks after 900 ms, the last one that of task 0.1; 150 bytes written");
    expect(text).toMatch(/^0\.0 {3}100 ms {2}100 ms {2}delta, 3 keys, 100 bytes {2}50 bytes {2}40 /m);
    expect(text).toMatch(/^0\.1 .* unchanged .* \? .*4 since the session began/m);
    expect(text).toContain("without tables.transact");
    expect(text).toContain("words/s-1, task 0.0: 3.1 s");
    expect(text).not.toContain("s-2");
    const written = { ...at, written: { how: "set", from: null } } as const;
    expect(explainedText(explain(ref(2), written, null))).toContain("written by a person");
  });

  it("has no price for calls whose number does not say it", () => {
    expect(priceOf({ "registers.swap": 1_000_000, "files.read": 7, "streams.put": 1 })).toEqual({
      dollars: 0.625,
      unpriced: ["streams.put"],
    });
  });
});
