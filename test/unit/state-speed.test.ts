import { expect, it } from "vitest";
import type { ValueState } from "../../lib/pipeline/state-spec.js";
import { encodeSnapshot, finishSnapshot } from "../../lib/state/snapshot-writer.js";
import { createStateTable } from "../../lib/state/table.js";

const keyCount = 100_000;
const rounds = 10;
const keys = Array.from({ length: keyCount }, (_, i) => `flight-${(i * 7_919) % keyCount}`);
const now = () => performance.now();

/** Printed, not asserted: a machine that is busy must not fail a test. */
it("counts 100,000 keys, and says what an access and a snapshot cost", async () => {
  const table = createStateTable("speed", 1, { flights: { kind: "value", initial: 0 }, late: { kind: "value" } });
  const flights = table.accessors.flights as ValueState<number>;
  const plain = new Map<string, { flights: number }>();
  const perRecord = (started: number) => Math.round(((now() - started) * 1e6) / (keyCount * rounds));

  const tableStarted = now();
  for (let round = 0; round < rounds; round += 1) {
    for (const key of keys) {
      table.enter(key);
      flights.set(flights.get() + 1);
    }
  }
  const tableNs = perRecord(tableStarted);
  const plainStarted = now();
  for (let round = 0; round < rounds; round += 1) {
    for (const key of keys) {
      const found = plain.get(key);
      if (found === undefined) plain.set(key, { flights: 1 });
      else found.flights += 1;
    }
  }
  const plainNs = perRecord(plainStarted);
  const cutStarted = now();
  const encoded = encodeSnapshot([table], { kind: "base" });
  const cutMs = Math.round(now() - cutStarted);
  const finishStarted = now();
  const finished = await finishSnapshot(encoded);
  const finishMs = Math.round(now() - finishStarted);
  const raw = encoded.slices.reduce((sum, { bytes }) => sum + bytes.length, 0);
  console.log({
    tableNs,
    plainNs,
    cutMs,
    finishMs,
    raw,
    stored: finished.bytes.length,
    slices: finished.slices.length,
  });
  expect(table.keys).toBe(keyCount);
  table.enter("flight-1");
  expect(flights.get()).toBe(rounds);
});
