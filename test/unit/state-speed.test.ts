import { expect, it } from "vitest";
import type { ValueState } from "../../lib/pipeline/state-spec.js";
import { encodeSnapshot, finishSnapshot } from "../../lib/state/snapshot-writer.js";
import { createStateTable } from "../../lib/state/table.js";

const keyCount = 100_000;
const rounds = 10;
const keys = Array.from({ length: keyCount }, (_, i) => `flight-${(i * 7_919) % keyCount}`);

async function milliseconds<T>(work: () => T | Promise<T>): Promise<readonly [ms: number, T]> {
  const started = performance.now();
  const done = await work();
  return [Math.round(performance.now() - started), done];
}

/** Nanoseconds per record: the first time that a key comes, and afterwards. */
async function perRecord(count: (key: string) => void) {
  const pass = (times: number) => () => {
    for (let round = 0; round < times; round += 1) for (const key of keys) count(key);
  };
  const [first] = await milliseconds(pass(1));
  const [later] = await milliseconds(pass(rounds - 1));
  const nanoseconds = (ms: number, times: number) => Math.round((ms * 1e6) / (keyCount * times));
  return { first: nanoseconds(first, 1), later: nanoseconds(later, rounds - 1) };
}

// Printed, not asserted: a machine that is busy must not fail a test.
it("counts 100,000 keys, and says what an access and a snapshot cost", async () => {
  const table = createStateTable("speed", 1, { flights: { kind: "value", initial: 0 }, late: { kind: "value" } });
  const flights = table.accessors.flights as ValueState<number>;
  const tableNs = await perRecord((key) => {
    table.enter(key);
    flights.set(flights.get() + 1);
  });
  const plain = new Map<string, { flights: number }>();
  const plainNs = await perRecord((key) => {
    const found = plain.get(key);
    if (found === undefined) plain.set(key, { flights: 1 });
    else found.flights += 1;
  });
  const [cutMs, encoded] = await milliseconds(() => encodeSnapshot([table], { kind: "base" }));
  const [finishMs, finished] = await milliseconds(() => finishSnapshot(encoded));
  console.log({ tableNs, plainNs, cutMs, finishMs, bytes: finished.bytes.length, slices: finished.slices.length });
  expect(table.keys).toBe(keyCount);
  table.enter("flight-1");
  expect(flights.get()).toBe(rounds);
});
