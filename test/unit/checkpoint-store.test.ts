import { describe, expect, it } from "vitest";
import { encodeDocument } from "../../lib/checkpoint/documents.js";
import { ackName, manifestKey, manifestName, markerKey } from "../../lib/checkpoint/names.js";
import { repeat, repeatAttemptsMax } from "../../lib/checkpoint/repeat.js";
import {
  documentInlineMax,
  listAcks,
  readAck,
  readGenerationRecord,
  readHead,
  readManifest,
  swapHead,
  writeAck,
  writeGenerationRecord,
  writeManifest,
  writeMarker,
} from "../../lib/checkpoint/store.js";
import { StreamError } from "../../lib/model/errors.js";
import { checkpointId, generation, taskId } from "../../lib/model/ids.js";
import { sha256 } from "../../lib/model/sha256.js";
import { ack, head, incarnation, manifest, record, ref, task0, task1 } from "./checkpoint-samples.js";
import { type Fate, memoryStore, quickClock } from "./checkpoint-worlds.js";

const committable = (index: number) => ({
  sink: "airports",
  target: "acme-airports",
  kind: "held" as const,
  generation: generation(1),
  epoch: checkpointId(1),
  checkpointId: checkpointId(2),
  task: task0,
  index,
  body: { kind: "object" as const, key: `k${index}`, size: 1, sha256: sha256(`${index}`) },
  finalKey: null,
  records: 1,
});
const long = ack({ committables: Array.from({ length: 300 }, (_, i) => committable(i)) });
const where = [incarnation, generation(1), checkpointId(2)] as const;

describe("facts", () => {
  it.each<readonly [string, readonly Fate[]]>([
    ["the answer", []],
    ["lost before the write", ["lost"]],
    ["lost after the write", ["unanswered"]],
    ["a retry underneath met its own write", ["own conflict"]],
    ["the write comes late", [{ after: 0 }]],
    ["several", ["lost", { after: 2 }, "unanswered"]],
  ])("R5 a fact is repeated with the same bytes: %s", async (_, fates) => {
    const { store, all, settle } = memoryStore(fates);
    await writeAck(store, incarnation, ack());
    await settle();
    expect(all().map(({ register }) => register)).toEqual([{ version: 1, body: encodeDocument(ack()) }]);
    expect(await readAck(store, ...where, task0)).toEqual(ack());
  });

  it("R6 another content under a name is a bug, and what stands there stays", async () => {
    const { store } = memoryStore();
    await writeAck(store, incarnation, ack());
    const other = writeAck(store, incarnation, ack({ idle: true }));
    await expect(other).rejects.toMatchObject({ kind: "bug" });
    expect(await readAck(store, ...where, task0)).toEqual(ack());
  });

  it("R5 R6 a fact that was there already, with the same bytes, is no error", async () => {
    const { store } = memoryStore();
    expect(await writeManifest(store, manifest())).toEqual(await writeManifest(store, manifest()));
  });

  it("R5 no answer at all: it says that it does not know", async () => {
    const { store } = memoryStore(Array<Fate>(repeatAttemptsMax).fill("lost"));
    await expect(writeAck(store, incarnation, ack())).rejects.toMatchObject({ kind: "ambiguous" });
  });

  it("B3 the acks of one checkpoint, and of no other", async () => {
    const { store } = memoryStore();
    const mine = [ack(), ack({ task: task1 })];
    const others = [ack({ checkpointId: checkpointId(3) }), ack({ generation: generation(2) })];
    for (const one of [...mine, ...others]) await writeAck(store, incarnation, one);
    expect(await listAcks(store, ...where)).toEqual(mine);
    expect(await readAck(store, ...where, taskId(0, 2))).toBeNull();
  });

  it("R6 a generation record is read under the hash that the head selects", async () => {
    const { store } = memoryStore();
    const generationRecord = await writeGenerationRecord(store, record());
    await writeGenerationRecord(store, record({ reason: "failure" }));
    expect(await readGenerationRecord(store, head({ generationRecord }))).toEqual(record());
    const gone = readGenerationRecord(store, head({ generationRecord: sha256("other") }));
    await expect(gone).rejects.toMatchObject({ kind: "corrupt" });
  });
});

describe("long documents", () => {
  it("R6 above the limit they lie in the bucket, under their hash, and come back whole", async () => {
    const { store, all, bucket } = memoryStore();
    expect(encodeDocument(long).length).toBeGreaterThan(documentInlineMax);
    await writeAck(store, incarnation, long);
    expect(all()[0]?.register.body.length).toBeLessThan(400);
    expect([...bucket.all().keys()]).toEqual([expect.stringContaining(`ack-${sha256(encodeDocument(long))}`)]);
    expect(await readAck(store, ...where, task0)).toEqual(long);
    expect(await listAcks(store, ...where)).toEqual([long]);
  });

  it("P3 a flipped bit, or an object that is gone, is corrupt", async () => {
    const { store, bucket } = memoryStore();
    await writeAck(store, incarnation, long);
    const [key = ""] = bucket.all().keys();
    bucket.corrupt(key, 1_000);
    await expect(readAck(store, ...where, task0)).rejects.toMatchObject({ kind: "corrupt" });
    await store.blobs.remove([key]);
    await expect(readAck(store, ...where, task0)).rejects.toMatchObject({ kind: "corrupt" });
  });

  it("P3 a reference that is cut short is corrupt", async () => {
    const { store } = memoryStore();
    const name = ackName(...where, task0);
    await store.registers.put({ group: "p", name }, '{"~object":"p/');
    await expect(readAck(store, ...where, task0)).rejects.toMatchObject({ kind: "corrupt" });
  });
});

describe("manifests", () => {
  it("R7 a copy stands in the bucket before R1, under the same hash", async () => {
    const { store, bucket } = memoryStore();
    const name = await writeManifest(store, manifest());
    const copy = bucket.all().get(manifestKey("p", incarnation, name));
    expect(sha256(copy ?? "")).toBe(name.sha256);
    expect(await readManifest(store, incarnation, name)).toEqual(manifest());
  });

  it("R7 one too long for an item is read from its copy", async () => {
    const { store } = memoryStore();
    const name = await writeManifest(store, manifest({ tasks: [long] }));
    expect(await readManifest(store, incarnation, name)).toEqual(manifest({ tasks: [long] }));
  });

  it("P3 R7 one whose bytes do not have the hash that names it is read from its copy; without one it is corrupt", async () => {
    const { store } = memoryStore();
    const name = await writeManifest(store, manifest());
    const text = encodeDocument(manifest()).replace('"stop', '"st0p').replace('"checkpointId":1', '"checkpointId":7');
    await store.registers.put({ group: "p", name: manifestName(incarnation, name) }, text);
    expect(await readManifest(store, incarnation, name)).toEqual(manifest());
    await store.blobs.put(manifestKey("p", incarnation, name), Buffer.from(text));
    await expect(readManifest(store, incarnation, name)).rejects.toMatchObject({ kind: "corrupt" });
  });

  it("B4 R1 two folders may write two manifests of a checkpoint: the head's reference selects one", async () => {
    const { store } = memoryStore();
    const one = await writeManifest(store, manifest());
    const other = await writeManifest(store, manifest({ wakeAt: manifest().triggeredAt }));
    expect(one.sha256).not.toBe(other.sha256);
    expect(await readManifest(store, incarnation, one)).toEqual(manifest());
    expect((await readManifest(store, incarnation, other)).wakeAt).not.toBeNull();
  });

  it("R7 a marker says which manifest is complete", async () => {
    const { store, bucket } = memoryStore();
    await writeMarker(store, incarnation, ref(1));
    const marker = bucket.all().get(markerKey("p", incarnation, checkpointId(1)));
    expect(JSON.parse(Buffer.from(marker ?? []).toString())).toEqual({ format: 1, ...ref(1) });
  });
});

it("R1 the head: from exactly the version that was read", async () => {
  const { store } = memoryStore();
  expect(await readHead(store)).toBeNull();
  expect(await swapHead(store, null, head())).toEqual({ kind: "swapped" });
  expect(await readHead(store)).toEqual({ version: 1, value: head() });
  expect(await swapHead(store, null, head())).toMatchObject({ kind: "conflict" });
  expect(await swapHead(store, 1, head({ completed: ref(2) }))).toEqual({ kind: "swapped" });
  expect(await swapHead(store, 1, head())).toMatchObject({ kind: "conflict", current: { version: 2 } });
});

describe("repeat", () => {
  const failing = (kinds: readonly ConstructorParameters<typeof StreamError>[0][]) => {
    const left = [...kinds];
    let calls = 0;
    const call = async () => {
      calls++;
      const kind = left.shift();
      if (kind !== undefined) throw new StreamError(kind, kind);
      return calls;
    };
    return repeat(quickClock(), call).catch((error: StreamError) => `${error.kind} after ${calls}`);
  };

  it.each([
    ["transient, then well", ["transient", "ambiguous"], 3],
    ["no other kind", ["invalid"], "invalid after 1"],
    ["fenced is no trouble that passes", ["transient", "fenced"], "fenced after 2"],
    ["not for ever", Array(99).fill("transient"), `transient after ${repeatAttemptsMax}`],
  ] as const)("R5 %s", async (_, kinds, expected) => {
    expect(await failing(kinds)).toBe(expected);
  });
});
