import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { loadBody, loadBodyRange, storeBody } from "../../lib/checkpoint/bodies.js";
import { decodeDocument, encodeDocument } from "../../lib/checkpoint/documents.js";
import * as names from "../../lib/checkpoint/names.js";
import { asStreamError } from "../../lib/model/errors.js";
import { checkpointId, generation, sessionId, taskId } from "../../lib/model/ids.js";
import { sha256 } from "../../lib/model/sha256.js";
import { inlineBytesMax, type Stored } from "../../lib/model/stored.js";
import { memoryBlobs } from "../../lib/testing/memory/blobs.js";
import { ack, head, incarnation, manifest, ref, task0 } from "./checkpoint-samples.js";

/** What reading it failed with. */
const kindOf = (read: () => unknown): string => {
  try {
    read();
    return "it was read";
  } catch (error) {
    return asStreamError(error).kind;
  }
};
const kindOfAsync = (reading: Promise<unknown>): Promise<string> =>
  reading.then(
    () => "it was read",
    (error) => asStreamError(error).kind,
  );

describe("documents", () => {
  const members = ["generation", "status"] as const;
  const decode = (text: string) => decodeDocument<ReturnType<typeof head>>(text, "p: head", members);

  it("R6 one content has one text, in whatever order its members were set", () => {
    const one = head({ status: "running" });
    const other = Object.fromEntries(Object.entries(one).reverse()) as unknown as typeof one;
    expect(encodeDocument(one)).toBe(encodeDocument(other));
    expect(decode(encodeDocument(one))).toEqual(one);
  });

  it.each([
    ["a later version's", '{"format":2,"generation":1,"status":"running"}', "invalid"],
    ["a later version's, of other members", '{"format":7}', "invalid"],
    ["cut short", encodeDocument(head()).slice(0, -1), "corrupt"],
    ["empty", "", "corrupt"],
    ["a list", "[]", "corrupt"],
    ["null", "null", "corrupt"],
    ["text", '"format"', "corrupt"],
    ["without a format", '{"generation":1,"status":"running"}', "corrupt"],
    ["of format 0", '{"format":0,"generation":1,"status":"running"}', "corrupt"],
    ["of a format that is text", '{"format":"1","generation":1,"status":"running"}', "corrupt"],
    ["another document", encodeDocument(manifest()), "corrupt"],
    ["one with a member of that name by inheritance alone", '{"format":1,"generation":1}', "corrupt"],
  ])("P3 %s: %s", (_, text, kind) => {
    expect(kindOf(() => decode(text))).toBe(kind);
  });

  it("P3 the message names document and what is missing", () => {
    expect(() => decode('{"format":1,"generation":1}')).toThrow("p: head is not what was written: status is missing");
    expect(() => decode('{"format":2}')).toThrow("upgrade it");
  });

  it("P3 every text that is cut short is found out", () => {
    const text = encodeDocument(ack());
    for (let length = 0; length < text.length; length++)
      expect(kindOf(() => decode(text.slice(0, length)))).toBe("corrupt");
  });
});

describe("bodies", () => {
  const big = Uint8Array.from({ length: inlineBytesMax + 1 }, (_, i) => i % 251);
  const stored = async (bytes: Uint8Array) => {
    const memory = memoryBlobs();
    return { ...memory, body: await storeBody(memory.blobs, "key", bytes) };
  };

  it("P3 bytes come back as they were, inline and as an object", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 2 * inlineBytesMax, size: "max" }), async (bytes) => {
        const { blobs, body } = await stored(bytes);
        expect(Buffer.compare(await loadBody(blobs, body), bytes)).toBe(0);
        expect(body.kind).toBe(bytes.length <= inlineBytesMax ? "inline" : "object");
        expect(body.sha256).toBe(sha256(bytes));
      }),
      { numRuns: 30 },
    );
  });

  it("P3 the limit itself lies inline, one byte more in the bucket", async () => {
    expect((await stored(big.subarray(1))).body.kind).toBe("inline");
    expect((await stored(big)).body.kind).toBe("object");
  });

  it("P3 one flipped bit anywhere is corrupt", async () => {
    for (const offset of [0, 1, big.length >> 1, big.length - 1]) {
      const { blobs, body, corrupt } = await stored(big);
      corrupt("key", offset);
      expect(await kindOfAsync(loadBody(blobs, body))).toBe("corrupt");
    }
  });

  it("P3 an object that is gone or cut short is corrupt", async () => {
    const { blobs, body } = await stored(big);
    await blobs.put("key", big.subarray(0, -1));
    await expect(loadBody(blobs, body)).rejects.toThrow(`key has ${big.length - 1} bytes, ${big.length} were written`);
    await blobs.remove(["key"]);
    expect(await kindOfAsync(loadBody(blobs, body))).toBe("corrupt");
    expect(await kindOfAsync(loadBodyRange(blobs, body, [0, 1]))).toBe("corrupt");
  });

  it("P3 an inline body is checked too", async () => {
    const { blobs, body } = await stored(Uint8Array.of(1, 2, 3));
    const spoiled = (base64: string) => ({ ...body, base64 }) as Stored;
    expect(await kindOfAsync(loadBody(blobs, spoiled("AQIE")))).toBe("corrupt");
    expect(await kindOfAsync(loadBody(blobs, spoiled("AQI=")))).toBe("corrupt");
    expect(await kindOfAsync(loadBodyRange(blobs, spoiled("AQIE"), [0, 1]))).toBe("corrupt");
  });

  it("P3 a range is the same part, inline and of an object", async () => {
    const small = await stored(Uint8Array.of(1, 2, 3, 4));
    expect([...(await loadBodyRange(small.blobs, small.body, [1, 2]))]).toEqual([2, 3]);
    const large = await stored(big);
    expect([...(await loadBodyRange(large.blobs, large.body, [1, 2]))]).toEqual([1, 2]);
  });
});

describe("names", () => {
  type At = readonly [incarnation: string, generation: number, checkpoint: number, task: string, unique: string];
  const all = ([inc, gen, id, task, unique]: At): Readonly<Record<string, string>> => {
    const to = { generation: generation(gen), checkpointId: checkpointId(id), sha256: sha256(unique) };
    const [stage, index] = task.split(".");
    const own = taskId(Number(stage), Number(index));
    return {
      record: names.generationRecordName(inc, to.generation, to.sha256),
      lease: names.leaseName(inc, to.generation, own),
      progress: names.progressName(inc, to.generation, own),
      ack: names.ackName(inc, to.generation, to.checkpointId, own),
      manifest: names.manifestName(inc, to),
      object: names.taskObjectKey(
        { pipeline: "p", incarnation: inc, ...to, task: own },
        "state-base",
        sessionId(unique),
      ),
      manifestObject: names.manifestKey("p", inc, to),
    };
  };
  const one: At = [incarnation, 3, 8, "0.1", "s1"];

  it.each([
    ["incarnation", ["ffffffffffff", 3, 8, "0.1", "s1"], Object.keys(all(one))],
    ["generation", [incarnation, 4, 8, "0.1", "s1"], Object.keys(all(one))],
    ["checkpoint", [incarnation, 3, 9, "0.1", "s1"], ["ack", "manifest", "object", "manifestObject"]],
    ["task", [incarnation, 3, 8, "0.2", "s1"], ["lease", "progress", "ack", "object"]],
    ["session or hash", [incarnation, 3, 8, "0.1", "s2"], ["record", "manifest", "object", "manifestObject"]],
  ] as const)("R6 another %s is another name", (_, other, differ) => {
    const before = all(one);
    const after = all(other);
    expect(Object.keys(before).filter((name) => before[name] !== after[name])).toEqual(differ);
  });

  it("R7 markers of a pipeline lie together, by incarnation and checkpoint, in the order of their numbers", () => {
    const keys = [1, 9, 10, 99, 100, 1_000_000].map((id) => names.markerKey("p", incarnation, checkpointId(id)));
    expect([...keys].sort()).toEqual(keys);
    expect(keys.every((key) => key.startsWith(names.markerPrefix("p", incarnation)))).toBe(true);
    expect(names.markerKey("p", "ffffffffffff", checkpointId(1))).not.toBe(keys[0]);
  });

  it("R6 names sort as their numbers do", () => {
    const at = (gen: number, id: number) => names.ackName(incarnation, generation(gen), checkpointId(id), task0);
    const inOrder = [at(1, 9), at(1, 10), at(2, 1), at(10, 1)];
    expect([...inOrder].sort()).toEqual(inOrder);
  });

  it("R6 the acks of a checkpoint are those of its prefix, and of no other", () => {
    const prefix = names.ackPrefix(incarnation, generation(1), checkpointId(1));
    expect(names.ackName(incarnation, generation(1), checkpointId(1), task0).startsWith(prefix)).toBe(true);
    expect(names.ackName(incarnation, generation(1), checkpointId(11), task0).startsWith(prefix)).toBe(false);
    expect(names.ackName(incarnation, generation(11), checkpointId(1), task0).startsWith(prefix)).toBe(false);
  });

  it("R6 a manifest's names hold its hash", () => {
    expect(names.manifestName(incarnation, ref(1))).toContain(ref(1).sha256);
    expect(names.manifestKey("p", incarnation, ref(1))).toContain(ref(1).sha256);
  });
});
