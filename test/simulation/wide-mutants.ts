import { noFaults, type Profile } from "../../lib/testing/simulation/profile.js";
import { noPressure, type Pressure, plainShape } from "../../lib/testing/simulation/shape.js";
import type { Mutant } from "./mutants.js";
import { apart, plain } from "./task-mutants.js";

const crashing = { ...noFaults, crash: 0.006 };
/** Half of the lanes of a task are seconds behind the others. */
const slowLanes: Pressure = { ...noPressure, laneMillis: 3_000 };
const chained: Partial<Profile> = { ...apart, shape: { ...plainShape, chain: [[null, null]] } };

/** As {@link mutants}, for two streams, operators one behind the other, slow lanes, counting at least once, and savepoints. */
export const wideMutants: readonly Mutant[] = [
  {
    name: "E2 a frame forgets on which side of a connect its records come",
    file: "lib/runtime/frame-feed.ts",
    find: "this.#task.takeFrom(this.#edge, slice.input, slice.key",
    replace: "this.#task.takeFrom(this.#edge, 0, slice.key",
    profile: { ...apart, shape: { ...plainShape, others: "connect" } },
    seed: 1,
  },
  {
    name: "B2 a cut takes the positions of one source alone",
    file: "lib/runtime/session.ts",
    find: "positions: Object.fromEntries([...readers].map(",
    replace: "positions: Object.fromEntries([...readers].slice(0, 1).map(",
    profile: { shape: { ...plainShape, others: "union" } },
    seed: 1,
  },
  {
    name: "E4 of two that are fused, the first takes what it has left before the second",
    file: "lib/runtime/frame-feed.ts",
    find: "this.#inputs.findLast((input) => input.isBehind)",
    replace: "this.#inputs.find((input) => input.isBehind)",
    profile: { ...chained, parallelism: [3, 1, 3], wishes: 8, pressure: slowLanes, records: 150 },
    seed: 1,
  },
  {
    name: "E2 ranges are ordered per producer",
    file: "lib/runtime/edge-input.ts",
    find: "    return this.#expected.filter(({ range }) => range.generation === first);\n",
    replace:
      "    return this.#expected.filter(({ range }) => first !== undefined && !this.#expected.some((other) => other.range.producer === range.producer && other.range.generation < range.generation));\n",
    profile: { ...chained, parallelism: [3, 2, 4], wishes: 8, pressure: slowLanes, records: 150 },
    seed: 28,
  },
  {
    name: "E4 only the own generation comes last",
    file: "lib/runtime/edge-input.ts",
    find: "    return this.#expected.filter(({ range }) => range.generation === first);\n",
    replace: "    return this.#expected.filter(({ range }) => range.to !== null || range.generation === first);\n",
    profile: { ...chained, parallelism: [3, 2, 4], wishes: 10, pressure: slowLanes, records: 150 },
    seed: 3,
  },
  {
    name: "B2 a cut comes in the middle of a frame",
    file: "lib/runtime/session.ts",
    find: "task.inFlight === 0 && !this.#feed.isMidFrame && channels",
    replace: "task.inFlight === 0 && channels",
    profile: { ...chained, variant: { ...plain, calls: "ordered" }, faults: crashing, keys: 2, records: 300 },
    seed: 1,
  },
  {
    name: "E5 a producer reads on, however far behind its consumers are",
    file: "lib/runtime/session.ts",
    find: "this.#isStalled = event.framesBehind > ",
    replace: "this.#isStalled = false && event.framesBehind > ",
    profile: { ...apart, pressure: { ...slowLanes, windowFrames: 1 }, records: 400 },
    seed: 1,
  },
  {
    name: "B2 at least once, what was sent before a barrier that has come is forgotten",
    file: "lib/runtime/channels.ts",
    find: "      expected: this.inputs.flatMap((input) => input.ranges()),\n",
    replace: `      expected: alignment === "at-least-once" ? [] : this.inputs.flatMap((input) => input.ranges()),\n`,
    profile: { ...chained, alignment: "at-least-once", pressure: slowLanes, faults: crashing },
    seed: 67,
  },
  {
    name: "G1 a savepoint is kept no longer than others",
    file: "lib/checkpoint/history.ts",
    find: "for (const ref of [...head.savepoints, ...(head.completed === null ? [] : [head.completed])]) {",
    replace: "for (const ref of head.completed === null ? [] : [head.completed]) {",
    profile: { savepoints: 4, retained: 1, collects: true },
    seed: 1,
  },
  {
    name: "G2 the acks of a checkpoint that completes meanwhile do not count",
    file: "lib/checkpoint/garbage.ts",
    find: "(ack) => isNew(ack) || ack",
    replace: "(ack) => ack",
    profile: {
      ...apart,
      faults: { ...noFaults, pause: 0.003, slow: 0.002 },
      pressure: slowLanes,
      records: 200,
      retained: 1,
      collects: true,
      chaosMillis: 40_000,
    },
    seed: 187,
  },
];
