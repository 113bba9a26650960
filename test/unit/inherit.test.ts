import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { closedRanges, type Heir, type Inheritance, inherit } from "../../lib/checkpoint/inherit.js";
import type { Ack, KeyGroups, Manifest, Range } from "../../lib/model/checkpoints.js";
import { checkpointId, generation, sessionId, taskId } from "../../lib/model/ids.js";
import { keyGroupsOf, ownerOf } from "../../lib/model/key-ranges.js";
import { sha256 } from "../../lib/model/sha256.js";
import type { SnapshotRef } from "../../lib/model/snapshots.js";
import { ack, manifest } from "./checkpoint-samples.js";

// E4, C2, K2: from any cutting into stages and tasks to any other.

const operators = ["alpha", "beta", "gamma"] as const;

/** For each stage its number of tasks, and for each operator its stage. */
interface Cutting {
  readonly tasks: readonly number[];
  readonly stageOf: readonly number[];
}

const cuttings: fc.Arbitrary<Cutting> = fc
  .array(fc.oneof(fc.integer({ min: 1, max: 5 }), fc.constantFrom(1, 2, 11)), { minLength: 1, maxLength: 3 })
  .chain((tasks) =>
    fc.record({
      tasks: fc.constant(tasks),
      stageOf: fc.array(fc.integer({ min: 0, max: tasks.length - 1 }), { minLength: 3, maxLength: 3 }),
    }),
  );

const operatorsOf = (cutting: Cutting, stage: number): readonly string[] =>
  operators.filter((_, i) => cutting.stageOf[i] === stage);

const tasksOf = ({ tasks }: Cutting) =>
  tasks.flatMap((count, stage) => Array.from({ length: count }, (_, index) => ({ stage, index, tasks: count })));

const file = (
  slices: readonly (readonly [operator: string, keyGroups: KeyGroups])[],
): SnapshotRef["deltas"][number] => ({
  format: 1,
  body: { kind: "inline", base64: "", size: 0, sha256: sha256("") },
  session: sessionId("s"),
  epoch: checkpointId(7),
  slices: slices.map(([operator, keyGroups]) => ({
    operator,
    stateVersion: 1,
    keyGroups,
    offset: 0,
    length: 0,
    keys: 1,
    codec: "cbor",
    sha256: sha256(""),
  })),
});

const now = generation(3);
const before = generation(2);

/** What each producer of the checkpoint had sent, and what its consumers had taken of it. */
interface Traffic {
  readonly sent: number;
  readonly taken: number;
  /** Frames of the generation before, that were still to be taken. */
  readonly older: number;
}

/** Each operator has state in every key group, and each of its tasks expects frames of every producer, and of the generation before. */
function checkpointOf(cutting: Cutting, { sent, taken, older }: Traffic): Manifest {
  const all = tasksOf(cutting);
  const tasks = all.map(({ stage, index, tasks: count }, place): Ack => {
    const own = keyGroupsOf(index, count);
    const mine = operatorsOf(cutting, stage);
    const slices = mine.flatMap((name) => halves(own).map((part) => [name, part] as const));
    const lane = { producer: 0, keyGroups: own };
    const expected = mine.flatMap((edge): readonly Range[] => [
      { ...lane, edge, generation: before, from: 5, to: 4 + older },
      ...all.map((_, producer) => ({ ...lane, producer, edge, generation: now, from: taken + 1, to: null })),
    ]);
    return ack({
      generation: now,
      task: taskId(stage, index),
      keyGroups: own,
      snapshot: { format: 1, base: file(slices.slice(0, 2)), deltas: [file(slices.slice(1))] },
      // Every other task has sent nothing on the last edge, and does not speak of it.
      sent: { alpha: sent, beta: sent + 1, ...(place % 2 === 0 ? { gamma: sent } : {}) },
      expected,
    });
  });
  return manifest({ generation: now, checkpointId: checkpointId(7), tasks });
}

/** A snapshot file has slices of parts of the task's key groups. */
function halves([first, last]: KeyGroups): readonly KeyGroups[] {
  if (first === last) return [[first, last]];
  const middle = Math.floor((first + last) / 2);
  return [
    [first, middle],
    [middle + 1, last],
  ];
}

/** The sinks of all belong to the first stage. */
const heirsOf = (cutting: Cutting): readonly Heir[] =>
  tasksOf(cutting).map(({ stage, index, tasks }) => ({
    stage,
    index,
    tasks,
    operators: operatorsOf(cutting, stage),
    sinks: stage === 0 ? ["out"] : [],
    stages: cutting.tasks.length,
  }));

const each = ([first, last]: KeyGroups): readonly number[] =>
  Array.from({ length: last - first + 1 }, (_, i) => first + i);

const countAll = (names: readonly string[]): ReadonlyMap<string, number> => {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return counts;
};

const framesIn = (ranges: readonly Range[]): readonly string[] =>
  ranges.flatMap(({ edge, generation: g, producer, from, to, keyGroups }) =>
    each([from, to ?? -1]).flatMap((n) => each(keyGroups).map((group) => `${edge} ${g} ${producer} ${n} ${group}`)),
  );

/** What an heir reads of the snapshots: operators and key groups. */
const stateIn = (heir: Heir, { snapshots }: Inheritance): readonly string[] =>
  snapshots.flatMap(({ ref, keyGroups }) =>
    heir.operators
      .filter((name) => JSON.stringify(ref).includes(`"${name}"`))
      .flatMap((name) => each(keyGroups).map((group) => `${name} ${group}`)),
  );

const traffic: fc.Arbitrary<Traffic> = fc.record({
  sent: fc.integer({ min: 0, max: 3 }),
  taken: fc.integer({ min: 0, max: 3 }),
  older: fc.integer({ min: 0, max: 2 }),
});

const check = (holds: (checkpoint: Manifest, heirs: readonly Heir[], cutting: Cutting) => void) =>
  fc.assert(
    fc.property(cuttings, cuttings, traffic, (from, to, sent) => holds(checkpointOf(from, sent), heirsOf(to), to)),
    { numRuns: 40 },
  );

const inheritAll = (checkpoint: Manifest, heirs: readonly Heir[]) =>
  heirs.map((heir) => ({ heir, found: inherit(checkpoint, heir) }));

describe("all heirs together", () => {
  it("E4 the state of each operator and key group is inherited once, by the task that owns it", () => {
    check((checkpoint, heirs) => {
      const all = inheritAll(checkpoint, heirs).flatMap(({ heir, found }) => {
        const own = keyGroupsOf(heir.index, heir.tasks);
        for (const { keyGroups } of found.snapshots) {
          expect(keyGroups[0]).toBeGreaterThanOrEqual(own[0]);
          expect(keyGroups[1]).toBeLessThanOrEqual(own[1]);
        }
        return stateIn(heir, found);
      });
      const expected = operators.flatMap((name) => each([0, 127]).map((group) => `${name} ${group}`));
      expect([...countAll(all)].sort()).toEqual(expected.map((name) => [name, 1]).sort());
    });
  });

  it("E3 E4 each frame that was still to be taken is, for each key group, expected once", () => {
    check((checkpoint, heirs) => {
      const wanted = framesIn(closedRanges(checkpoint));
      const found = inheritAll(checkpoint, heirs).flatMap(({ found }) => framesIn(found.ranges));
      expect(countAll(found)).toEqual(countAll(wanted));
      expect(new Set(countAll(found).values()).size).toBeLessThanOrEqual(1);
    });
  });

  it("E4 K2 an heir expects only frames of its own operators and key groups", () => {
    check((checkpoint, heirs) => {
      for (const { heir, found } of inheritAll(checkpoint, heirs)) {
        for (const range of found.ranges) {
          expect(heir.operators).toContain(range.edge);
          for (const group of each(range.keyGroups)) expect(ownerOf(group, heir.tasks)).toBe(heir.index);
        }
      }
    });
  });

  it("C2 the committables of each old task go to one heir of the first stage, which owns its first key group", () => {
    check((checkpoint, heirs, cutting) => {
      const all = inheritAll(checkpoint, heirs).flatMap(({ heir, found }) =>
        found.lists.map((one) => ({ heir, task: one.task, first: one.keyGroups[0] })),
      );
      expect(all.map(({ task }) => task).sort()).toEqual(checkpoint.tasks.map(({ task }) => task).sort());
      for (const { heir, first } of all) {
        expect(heir.stage).toBe(0);
        expect(heir.index).toBe(ownerOf(first, cutting.tasks[0] ?? 0));
      }
    });
  });

  it("E4 the counts of each old task are gone on from once, in its stage where there is one", () => {
    check((checkpoint, heirs, cutting) => {
      const all = inheritAll(checkpoint, heirs).flatMap(({ heir, found }) =>
        found.figures.map((one) => ({ heir, task: one.task })),
      );
      expect(all.map(({ task }) => task).sort()).toEqual(checkpoint.tasks.map(({ task }) => task).sort());
      for (const { heir, task } of all) {
        expect(heir.stage).toBe(Math.min(Number(task.split(".")[0]), cutting.tasks.length - 1));
      }
    });
  });
});

describe("the same cutting again", () => {
  it("E4 each task finds all of its own, and its deltas may go on", () => {
    fc.assert(
      fc.property(cuttings, (cutting) => {
        const checkpoint = checkpointOf(cutting, { sent: 2, taken: 1, older: 0 });
        inheritAll(checkpoint, heirsOf(cutting)).forEach(({ heir, found }, place) => {
          const old = checkpoint.tasks[place];
          const expected = heir.operators.length === 0 ? [] : [old?.snapshot];
          expect(found.snapshots.map(({ ref }) => ref)).toEqual(expected);
          expect(found.snapshots.every(({ isWhole }) => isWhole)).toBe(true);
          expect(found.figures).toEqual([old]);
        });
      }),
      { numRuns: 30 },
    );
  });
});

const heir = (over: Partial<Heir> = {}): Heir => ({
  stage: 0,
  index: 0,
  tasks: 1,
  operators: ["alpha"],
  sinks: ["out"],
  stages: 1,
  ...over,
});

const range = (over: Partial<Range> = {}): Range => ({
  edge: "alpha",
  generation: now,
  producer: 0,
  from: 1,
  to: null,
  keyGroups: [0, 127],
  ...over,
});

const checkpoint = (...tasks: readonly Partial<Ack>[]): Manifest =>
  manifest({
    generation: now,
    tasks: tasks.map((over, index) => ack({ generation: now, task: taskId(0, index), ...over })),
  });

describe("snapshots", () => {
  const whole = (operators: readonly string[], from: Manifest, over: Partial<Heir> = {}) =>
    inherit(from, heir({ operators, ...over })).snapshots.map(({ isWhole }) => isWhole);
  const ref = (...slices: readonly (readonly [string, KeyGroups])[]): SnapshotRef => ({
    format: 1,
    base: file(slices),
    deltas: [],
  });

  it("E4 deltas go on only where the heir reads all of the old task, and of no other", () => {
    const one = checkpoint({ snapshot: ref(["alpha", [0, 127]], ["beta", [0, 127]]) });
    expect(whole(["alpha", "beta"], one)).toEqual([true]);
    expect(whole(["alpha"], one)).toEqual([false]);
    expect(whole(["alpha", "beta"], one, { tasks: 2, index: 1 })).toEqual([false]);
    const halves = checkpoint(
      { keyGroups: [0, 63], snapshot: ref(["alpha", [0, 63]]) },
      { keyGroups: [64, 127], snapshot: ref(["alpha", [64, 127]]) },
    );
    expect(whole(["alpha"], halves)).toEqual([false, false]);
    const stages = checkpoint({ snapshot: ref(["alpha", [0, 127]]) }, { snapshot: ref(["beta", [0, 127]]) });
    expect(whole(["alpha", "beta"], stages)).toEqual([false, false]);
    expect(whole(["beta"], stages)).toEqual([true]);
  });

  it("E4 keys that left the old task at an earlier rescale are another's: only its own key groups count", () => {
    const left = checkpoint({ keyGroups: [0, 63], snapshot: ref(["alpha", [0, 127]]) });
    expect(inherit(left, heir()).snapshots.map(({ keyGroups }) => keyGroups)).toEqual([[0, 63]]);
    expect(inherit(left, heir({ tasks: 2, index: 1 })).snapshots).toEqual([]);
  });

  it("E4 what has nothing in the heir's key groups is not read", () => {
    const low = checkpoint({ snapshot: ref(["alpha", [0, 40]], ["beta", [0, 127]]) });
    const found = [0, 1].map((index) => inherit(low, heir({ tasks: 2, index })).snapshots.length);
    expect(found).toEqual([1, 0]);
  });

  it("E4 a task without state has nothing to inherit", () => {
    expect(inherit(checkpoint({}), heir()).snapshots).toEqual([]);
  });
});

describe("ranges", () => {
  it("E3 an open range ends at what its producer had sent, at nothing where it says nothing", () => {
    const from = checkpoint(
      { sent: { alpha: 4 }, expected: [range({ from: 2 }), range({ producer: 1, from: 1 })] },
      { sent: {} },
    );
    expect(inherit(from, heir()).ranges).toEqual([range({ from: 2, to: 4 })]);
  });

  it("E2 those of the oldest generation are first, whichever task expected them", () => {
    const old = range({ generation: before, from: 3, to: 3, keyGroups: [64, 127] });
    const from = checkpoint(
      { sent: { alpha: 1 }, keyGroups: [0, 63], expected: [range({ keyGroups: [0, 63] })] },
      { sent: {}, keyGroups: [64, 127], expected: [old, range({ keyGroups: [64, 127] })] },
    );
    expect(inherit(from, heir()).ranges).toEqual([old, range({ to: 1 })]);
  });

  it("E4 what two old tasks were to take of the same frames is taken at once, and only that", () => {
    const expecting = (from: number, keyGroups: KeyGroups) => ({ keyGroups, expected: [range({ from, keyGroups })] });
    const sent = { sent: { alpha: 4 } };
    const equal = checkpoint({ ...sent, ...expecting(2, [0, 63]) }, expecting(2, [64, 127]));
    expect(inherit(equal, heir()).ranges).toEqual([range({ from: 2, to: 4 })]);
    const apart = checkpoint({ ...sent, ...expecting(2, [0, 63]) }, expecting(3, [64, 127]));
    expect(inherit(apart, heir()).ranges).toEqual([
      range({ from: 2, to: 4, keyGroups: [0, 63] }),
      range({ from: 3, to: 4, keyGroups: [64, 127] }),
    ]);
  });

  it("E4 64 tasks become three, and three become 64", () => {
    const stages = (tasks: number): Cutting => ({ tasks: [tasks], stageOf: [0, 0, 0] });
    for (const [from, to] of [
      [64, 3],
      [3, 64],
    ] as const) {
      const old = checkpointOf(stages(from), { sent: 2, taken: 1, older: 1 });
      const all = inheritAll(old, heirsOf(stages(to)));
      expect(all.reduce((sum, { found }) => sum + found.figures.length, 0)).toBe(from);
      const groups = (ranges: readonly Range[]) =>
        ranges.reduce(
          (sum, { keyGroups: [first, last], from: n, to: end }) => sum + (last - first + 1) * ((end ?? 0) - n + 1),
          0,
        );
      expect(groups(all.flatMap(({ found }) => found.ranges))).toBe(groups(closedRanges(old)));
    }
  });

  it("E3 P3 an open range of another generation, or of no task, is corrupt", () => {
    for (const wrong of [range({ generation: before }), range({ producer: 1 })]) {
      expect(() => inherit(checkpoint({ expected: [wrong] }), heir())).toThrow("expects frames without end");
    }
  });
});
