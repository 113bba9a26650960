// Dead letters where a sink cannot be marked: read from a stream, and marked in the table of checkpoints.
import { expect, it } from "vitest";
import { marksIn } from "../../lib/cli/dead-letters.js";
import { lettersInStream } from "../../lib/connectors/dead-letter-stream.js";
import { markedLetters } from "../../lib/connectors/letter-marks.js";
import { enclose } from "../../lib/model/envelope.js";
import { toUtf8 } from "../../lib/model/utf8.js";
import type { DeadLetter } from "../../lib/pipeline/dead-letter.js";
import { memoryLog } from "../../lib/testing/memory/log.js";
import { memoryRegisters } from "../../lib/testing/memory/registers.js";
import { virtualClock } from "./runtime-world.js";

const letter = (n: number): DeadLetter => ({
  id: `orders/s/${n}`,
  source: "orders",
  shard: "s",
  sequenceNumber: String(n),
  subSequenceNumber: null,
  arrivedAt: null,
  step: "decode",
  cause: "no JSON",
  data: "eA==",
});

it("Q1 dead letters in a stream are read to its end, over all shards, whatever else is in it, throttled or not", async () => {
  const clock = virtualClock();
  const { log, control } = memoryLog(clock);
  control.createStream("dead", 2);
  const put = (key: string, data: Uint8Array) => control.put("dead", key, data);
  for (let n = 0; n < 40; n++) {
    const envelope = { lane: "lane", checkpoint: 1, chunk: 0, place: n, after: null };
    put(`k${n}`, enclose(envelope, toUtf8(JSON.stringify(letter(n)))));
    put(`k${n}`, n % 3 === 0 ? toUtf8("what?") : n % 3 === 1 ? toUtf8('{"id":1}') : toUtf8(JSON.stringify(letter(n))));
  }
  control.throttle(2);
  control.answerEmpty(2);
  const found = await lettersInStream(log, clock, "dead");
  expect(new Set(found.map(({ id }) => id))).toEqual(new Set(Array.from({ length: 40 }, (_, n) => letter(n).id)));
  expect(found).toContainEqual(letter(7));
});

it("Q1 R5 of several who would mark a letter one may, and what was marked is found again", async () => {
  const { registers } = memoryRegisters();
  const clock = virtualClock();
  const open = (pipeline: string) =>
    markedLetters(marksIn({ pipeline, registers, clock }), async () => [letter(1), letter(2), letter(1)]);
  const begun = { at: "2026-01-01T00:00:00.000Z", to: null };
  const other = { at: "2026-01-01T00:00:01.000Z", to: null };
  const both = await Promise.all([begun, other].map((next) => open("p").mark(letter(1), null, next)));
  expect(both.filter((isMarked) => isMarked)).toHaveLength(1);
  const first = both[0] === true ? begun : other;
  expect(await open("p").mark(letter(1), null, begun)).toBe(false);
  expect(await open("p").mark(letter(1), first, { ...first, to: "s/9" })).toBe(true);
  const listed = (await open("p").list()).map(({ letter: { id }, putBack }) => [id, putBack?.to ?? null]);
  expect(listed).toEqual([
    ["orders/s/1", "s/9"],
    ["orders/s/2", null],
  ]);
  // Of another pipeline nothing is known.
  expect((await open("q").list()).every(({ putBack }) => putBack === null)).toBe(true);
});
