import { bytes as bytesCodec, type Codec, fileSource, json, text } from "tidemark";
import { describe, expect, it } from "vitest";
import { fileLog } from "../../lib/connectors/file-log.js";
import { generation, millis } from "../../lib/model/ids.js";
import type { Position, SourceTable } from "../../lib/model/shards.js";
import type { RecordView } from "../../lib/runtime/record-view.js";
import { type ReaderOptions, SourceReader } from "../../lib/runtime/source-reader.js";
import { memoryFiles } from "../../lib/testing/memory/files.js";
import { virtualClock } from "./runtime-world.js";
import { type At, turn } from "./source-world.js";

const horizon: At = { kind: "open", position: { kind: "horizon", readTo: null } };
const path = "in.jsonl";

/** A file in memory, and readers of it from where they are told. */
async function fileOf(content: string | Uint8Array) {
  const { files } = memoryFiles();
  await files.write(path, 0, Buffer.from(content as string));
  const clock = virtualClock();
  const reading = (at: At, codec: Codec<unknown> = text, reads: Pick<ReaderOptions, "onBad"> = {}) => {
    const source = fileSource({ path, codec });
    const table: SourceTable = {
      streamArn: "file:",
      createdAt: millis(0),
      start: "horizon",
      shards: [{ shardId: "lines", parents: [], hashKeys: ["0", "9"], at }],
    };
    const retentionMillis = Number.POSITIVE_INFINITY;
    const options = {
      name: "in",
      stream: path,
      source,
      retentionMillis,
      generation: generation(1),
      producer: 0,
      owns: () => true,
    };
    const reader = new SourceReader(fileLog(files), clock, { ...options, ...reads }, table);
    const taken: (readonly [unknown, string])[] = [];
    const take = (value: unknown, record: RecordView) => taken.push([value, record.sequenceNumber]);
    const never = new AbortController().signal;
    const consume = (mayGoOn = () => true) => reader.consume("lines", take, mayGoOn);
    const hold = async () => void (await Promise.all(reader.pump(never)));
    const toEnd = async () => {
      for (let reads = 0; !reader.finished; reads++) {
        if (reads > 1_000) throw new Error("it never ends");
        await hold();
        consume();
      }
      return taken;
    };
    const at_ = (): At => reader.positions({})[0]?.at ?? horizon;
    return { reader, taken, consume, hold, toEnd, at: at_ };
  };
  return { files, clock, reading };
}

const behind = (sequenceNumber: string): At => ({
  kind: "open",
  position: { kind: "after", sequenceNumber, sub: null, readTo: millis(0) } satisfies Position,
});

describe("lines as records", () => {
  it("each has the offset of its first byte; empty ones are none; both ends of line, and none at the last", async () => {
    const { reading } = await fileOf("a\n\nbc\r\n\r\né\u{1f600}\nf\n\n\ng");
    expect(await reading(horizon).toEnd()).toEqual([
      ["a", "0"],
      ["bc", "3"],
      ["é\u{1f600}", "9"],
      ["f", "16"],
      ["g", "20"],
    ]);
  });

  it("a carriage return within a line belongs to it", async () => {
    const { reading } = await fileOf("a\rb\r\r\nc");
    expect(await reading(horizon).toEnd()).toEqual([
      ["a\rb\r", "0"],
      ["c", "6"],
    ]);
  });

  it.each([
    ["ASCII", Array.from({ length: 30_000 }, (_, n) => JSON.stringify({ n, pad: "x".repeat(n % 90) }))],
    ["UTF-8", Array.from({ length: 20_000 }, (_, n) => JSON.stringify({ n, pad: "é\u{1f600}".repeat(n % 30) }))],
  ])("many of %s, in several blocks, all with their offsets", async (_, lines) => {
    const { reading } = await fileOf(lines.join("\n"));
    let offset = 0;
    const expected = lines.map((line) => {
      const one = [JSON.parse(line), String(offset)];
      offset += Buffer.byteLength(line) + 1;
      return one;
    });
    expect(await reading(horizon, json()).toEnd()).toEqual(expected);
  });

  it("the view has the bytes of its line, and no time", async () => {
    const { reading } = await fileOf("a\né\u{1f600}\r\nc");
    const one = reading(horizon);
    await one.hold();
    const seen: unknown[] = [];
    one.reader.consume(
      "lines",
      (_, { source, shard, subSequenceNumber, arrivedAt, data }) =>
        seen.push([Buffer.from(data).toString(), source, shard, subSequenceNumber, arrivedAt]),
      () => true,
    );
    expect(seen).toEqual(["a", "é\u{1f600}", "c"].map((line) => [line, "in", "lines", null, null]));
  });

  it("a codec without lines of its own gets their bytes", async () => {
    const { reading } = await fileOf("é\r\nb");
    const taken = await reading(horizon, bytesCodec).toEnd();
    expect(taken.map(([value]) => Buffer.from(value as Uint8Array).toString())).toEqual(["é", "b"]);
  });

  it("a byte that is no UTF-8 makes its own line bad, and no other", async () => {
    const content = Buffer.concat([Buffer.from("é\n"), Buffer.from([0xff, 0x0a]), Buffer.from("\r\nc\r\nd")]);
    const { reading } = await fileOf(content);
    const bad: unknown[] = [];
    const one = reading(horizon, text, {
      onBad: ({ message }, { data, sequenceNumber }) => bad.push([message, [...data], sequenceNumber]),
    });
    expect(await one.toEnd()).toEqual([
      ["é", "0"],
      ["c", "7"],
      ["d", "10"],
    ]);
    expect(bad).toEqual([
      ['source "in", shard lines, sequence number 3: the record (1 bytes) is not UTF-8 (codec text)', [0xff], "3"],
    ]);
    await expect(reading(horizon).toEnd()).rejects.toThrow("sequence number 3");
  });
});

describe("where reading goes on", () => {
  it("P1 the position is the last line taken; the line AT it is read again and dropped", async () => {
    const { reading } = await fileOf("a\n\nbé\n\n\nc\nd");
    const one = reading(horizon);
    await one.hold();
    const places = ["0", "3", "9", "11"];
    for (const place of places.slice(0, 3)) {
      one.consume(turn(1));
      expect(one.at()).toEqual(behind(place));
      expect([one.reader.finished, one.reader.idle]).toEqual([false, false]);
    }
    one.consume(turn(1));
    expect(one.at()).toMatchObject({ kind: "finished", readTo: 0 });
    expect([one.reader.finished, one.reader.idle, one.reader.changed]).toEqual([true, true, true]);
    const rest = async (place: string) => (await reading(behind(place)).toEnd()).map(([value]) => value);
    expect(await rest("0")).toEqual(["bé", "c", "d"]);
    expect(await rest("9")).toEqual(["d"]);
    expect(await rest("11")).toEqual([]);
  });

  it("P1 wherever a session ends, its successor goes on with the next line", async () => {
    const lines = Array.from({ length: 400 }, (_, n) => (n % 7 === 0 ? "" : `${"é".repeat(n % 5)}${n}`));
    const { reading } = await fileOf(`${lines.join("\n")}\n`);
    let at: At = horizon;
    const taken: unknown[] = [];
    for (let session = 0; at.kind === "open"; session++) {
      if (session > 500) throw new Error("stuck");
      const one = reading(at);
      await one.hold();
      one.consume(turn(1 + (session % 3)));
      if (session % 4 === 0) one.consume(turn(2));
      at = one.at();
      taken.push(...one.taken.map(([value]) => value));
    }
    expect(taken).toEqual(lines.filter((line) => line !== ""));
  });

  it("P1 of a block that is used up the position is its last line, whatever was asked before", async () => {
    const lines = Array.from({ length: 120_000 }, (_, n) => `é ${n} ü`);
    const { reading } = await fileOf(lines.join("\n"));
    const one = reading(horizon);
    await one.hold();
    let count = 0;
    one.reader.consume(
      "lines",
      () => void count++,
      () => true,
    );
    expect(count).toBeLessThan(lines.length);
    const offset = Buffer.byteLength(lines.slice(0, count - 1).join("\n")) + 1;
    expect(one.at()).toEqual(behind(String(offset)));
    expect((await reading(one.at()).toEnd()).map(([value]) => value)).toEqual(lines.slice(count));
  });

  it("reads follow each other without a pause", async () => {
    const { reading, clock } = await fileOf(`${"x".repeat(99)}\n`.repeat(50_000));
    const before = clock.now();
    expect(await reading(horizon).toEnd()).toHaveLength(50_000);
    expect(clock.now()).toBe(before);
  });

  it("a file of nothing, or of empty lines, is finished at once", async () => {
    for (const content of ["", "\n\n", "\r\n"]) {
      const one = (await fileOf(content)).reading(horizon);
      expect(one.reader.finished).toBe(false);
      expect(await one.toEnd()).toEqual([]);
      expect([one.reader.finished, one.at().kind]).toEqual([true, "finished"]);
    }
  });

  it("B1 a file keeps what it has: no position of it is ever stale", async () => {
    const { reading } = await fileOf("a\nb\n");
    expect(reading(behind("0")).reader.stale(millis(4e12))).toBe(false);
  });

  it("K3 a file that was cut short before the position is told", async () => {
    const { reading } = await fileOf("a\nb\n");
    await expect(reading(behind("4")).toEnd()).rejects.toMatchObject({ kind: "invalid" });
    await expect(reading(behind("1")).toEnd()).rejects.toThrow("no line that begins at byte 1");
  });
});
