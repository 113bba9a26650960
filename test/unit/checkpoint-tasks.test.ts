import { describe, expect, it } from "vitest";
import { decide, untakenMillis } from "../../lib/checkpoint/decide.js";
import { emptyCache, type Facts, readFacts } from "../../lib/checkpoint/facts.js";
import { foldShards, ownsShard } from "../../lib/checkpoint/shard-table.js";
import { putProgress, swapHead, swapLease, writeGenerationRecord } from "../../lib/checkpoint/store.js";
import { tasksReadMax } from "../../lib/checkpoint/task-facts.js";
import type { Pending, Range } from "../../lib/model/checkpoints.js";
import { checkpointId, generation, millis, taskId } from "../../lib/model/ids.js";
import { keyGroupAt, keyGroupsOf } from "../../lib/model/key-ranges.js";
import type { ShardEntry, SourceTable } from "../../lib/model/shards.js";
import type { LogShard } from "../../lib/ports/log.js";
import {
  ack,
  ago,
  desired,
  facts,
  head,
  held,
  incarnation,
  lease,
  leases,
  manifest,
  me,
  now,
  pending,
  progress,
  progresses,
  record,
  task0,
  task1,
  twoTasks,
} from "./checkpoint-samples.js";
import { memoryStore } from "./checkpoint-worlds.js";

const finished = (sent: Readonly<Record<string, number>>): ShardEntry["at"] => ({
  kind: "finished",
  generation: generation(1),
  producer: 1,
  sent,
  readTo: millis(60),
});
const open: ShardEntry["at"] = { kind: "open", position: { kind: "beginning", readTo: millis(50) } };
const shard = (shardId: string, at: ShardEntry["at"], ...parents: string[]): ShardEntry => ({
  shardId,
  parents,
  hashKeys: ["0", "9"],
  at,
});
const table = (...shards: readonly ShardEntry[]): SourceTable => ({
  streamArn: "arn:stream",
  createdAt: millis(1),
  start: "horizon",
  shards,
});
const range = (over: Partial<Range> = {}): Range => ({
  edge: "count",
  generation: generation(1),
  producer: 1,
  from: 1,
  to: null,
  keyGroups: [0, 127],
  ...over,
});

describe("K2 who reads a shard", () => {
  /** As a stream of so many shards divides the hash keys. */
  const evenly = (count: number): SourceTable => {
    const all = 2n ** 128n;
    const first = (i: number) => String((all * BigInt(i)) / BigInt(count));
    return table(
      ...Array.from({ length: count }, (_, i) => ({ ...shard(`s${i}`, open), hashKeys: [first(i), ""] as const })),
    );
  };

  it.each([
    [1, 1],
    [5, 1],
    [5, 3],
    [200, 64],
    [3, 64],
  ])("K2 of %i shards and %i tasks each shard has one task, the one that owns its first key group", (count, tasks) => {
    const whole = evenly(count);
    const found = Array.from({ length: tasks }, (_, index) =>
      whole.shards.filter((entry) => ownsShard(entry, index, tasks)),
    );
    expect(found.flat()).toEqual(whole.shards);
    found.forEach((shards, index) => {
      const [first, last] = keyGroupsOf(index, tasks);
      for (const { hashKeys } of shards) {
        expect(keyGroupAt(hashKeys[0])).toBeGreaterThanOrEqual(first);
        expect(keyGroupAt(hashKeys[0])).toBeLessThanOrEqual(last);
      }
    });
  });

  it("K2 a file is the first task's", () => {
    const file = { hashKeys: ["0", String(2n ** 128n - 1n)] as const };
    expect([0, 1, 63].map((index) => ownsShard(file, index, 64))).toEqual([true, false, false]);
  });
});

describe("K3 frames that are still to be taken", () => {
  const listed: readonly LogShard[] = [
    { shardId: "p", parents: [], hashKeys: ["0", "9"] },
    { shardId: "l", parents: ["p"], hashKeys: ["0", "4"] },
    { shardId: "m", parents: ["p"], hashKeys: ["5", "9"] },
  ];
  const after = (sent: Readonly<Record<string, number>>, ...expected: readonly Range[]) =>
    foldShards({ flights: table(shard("p", finished(sent))) }, [ack(), ack({ task: task1, expected })], {
      flights: listed,
    }).flights?.shards.map(({ shardId }) => shardId);
  const alone = ["p"];
  const withChildren = ["l", "m", "p"];

  it.each<readonly [name: string, sent: Record<string, number>, expected: readonly Range[], shards: string[]]>([
    ["K3 nobody expects any: children enter", { count: 4 }, [], withChildren],
    ["K3 the last one that the owner had sent is expected", { count: 4 }, [range({ from: 4 })], alone],
    ["K3 only frames after it are", { count: 4 }, [range({ from: 5 })], withChildren],
    ["K3 the owner had sent nothing", { count: 0 }, [range()], withChildren],
    ["K3 the owner says nothing of the edge", {}, [range()], withChildren],
    [
      "K3 of one of two edges some are expected",
      { count: 4, sum: 2 },
      [range({ from: 5 }), range({ edge: "sum" })],
      alone,
    ],
    ["K3 another producer's", { count: 4 }, [range({ producer: 0 })], withChildren],
    ["K3 another generation's", { count: 4 }, [range({ generation: generation(2) })], withChildren],
    ["K3 a closed range with frames", { count: 4 }, [range({ from: 4, to: 6 })], alone],
    ["K3 a closed range that ends before the owner's end", { count: 4 }, [range({ from: 2, to: 3 })], alone],
    ["K3 a closed range that is empty", { count: 4 }, [range({ from: 4, to: 3 })], withChildren],
    ["K3 of a few key groups", { count: 4 }, [range({ keyGroups: [5, 5] })], alone],
  ])("%s", (_, sent, expected, shards) => {
    expect(after(sent, ...expected)).toEqual(shards);
  });

  it("K3 a child of a merge waits for the frames of both parents", () => {
    const merge = { shardId: "c", parents: ["p", "q"], hashKeys: ["0", "9"] } as const;
    const fold = (expected: readonly Range[]) =>
      foldShards(
        {
          flights: table(shard("p", finished({})), {
            ...shard("q", { ...finished({ count: 3 }), producer: 2 } as ShardEntry["at"]),
          }),
        },
        [ack({ expected })],
        { flights: [merge] },
      ).flights?.shards.map(({ shardId }) => shardId);
    expect(fold([range({ producer: 2, from: 3 })])).toEqual(["p", "q"]);
    expect(fold([range({ producer: 2, from: 4 })])).toContain("c");
  });
});

const two = record({ stages: twoTasks });
const running = (over: Parameters<typeof facts>[0] = {}): Facts =>
  facts({ record: two, leases: leases(held(), held()), ...over });
const both = (over: Partial<ReturnType<typeof progress>>, other: Partial<ReturnType<typeof progress>> = over) =>
  progresses(progress(over), progress({ ...other, task: task1 }));
const triggered = (given: Facts): Pick<Pending, "andThen" | "alignment"> | string => {
  const decision = decide(given, me);
  if (decision.kind !== "trigger") return decision.kind;
  return { andThen: decision.pending.andThen, alignment: decision.pending.alignment };
};

describe("B2 alignment", () => {
  const stop = desired({ state: "stopped" });

  it("B2 several tasks rest at an aligned checkpoint, with empty channels", () => {
    expect(triggered(running({ progress: both({}), desired: stop }))).toEqual({
      andThen: "stop",
      alignment: "aligned",
    });
  });

  it("B2 they go on at one of the plan's alignment", () => {
    expect(triggered(running({ progress: both({ changed: true }) }))).toEqual({
      andThen: "continue",
      alignment: "unaligned",
    });
  });

  it("B2 one task has no channels, unless it takes what was on its way between several before", () => {
    expect(triggered(facts({ desired: stop }))).toEqual({ andThen: "stop", alignment: "unaligned" });
    const restored = manifest({ tasks: [ack({ expected: [range({ to: 3 })] })] });
    expect(triggered(facts({ desired: stop, completed: restored }))).toMatchObject({ alignment: "aligned" });
  });
});

describe("B1 the end of several tasks", () => {
  const ended = { sourcesFinished: true };
  const reads = (...shards: readonly string[]) => ({
    positions: { flights: shards.map((shardId) => ({ shardId, at: open })) },
  });
  /** Checkpoint 1, whose first task has read the parent to its end, and whose fold let the child in. */
  const letIn = manifest({
    shards: { flights: table(shard("p", finished({})), shard("c", open, "p")) },
    tasks: [
      ack({ checkpointId: checkpointId(1), ...reads("p") }),
      ack({ checkpointId: checkpointId(1), task: task1, ...reads() }),
    ],
  });
  const known = { ...letIn, tasks: [letIn.tasks[0] ?? ack(), ack({ task: task1, ...reads("c") })] };
  const recently = { lastTriggeredAt: ago(1) };
  const finish = { andThen: "finish", alignment: "aligned" };

  it("B1 all say so, and know all shards", () => {
    expect(triggered(running({ progress: both(ended), head: recently }))).toEqual(finish);
    expect(triggered(running({ progress: both(ended), completed: known, head: recently }))).toEqual(finish);
  });

  it("B1 K3 a shard was let in that no ack speaks of: its owner may not have seen it when it said so", () => {
    expect(triggered(running({ progress: both(ended), completed: letIn, head: recently }))).toBe("nothing");
  });

  it("B1 K3 then the next checkpoint comes as for any change, and makes it known", () => {
    expect(triggered(running({ progress: both(ended), completed: letIn }))).toEqual({
      andThen: "continue",
      alignment: "unaligned",
    });
  });

  it("B1 K3 what a task told before it cut for the completed checkpoint does not count", () => {
    const older = { ...ended, epoch: checkpointId(0) };
    expect(triggered(running({ progress: both(ended, older), completed: known, head: recently }))).toBe("nothing");
  });

  it("B1 what a generation begins with all of its sessions know", () => {
    const origin = { ...letIn, generation: generation(1) };
    const second = { generation: generation(2), ...recently };
    const told = { ...ended, generation: generation(2) };
    expect(triggered(running({ progress: both(told), completed: origin, head: second }))).toEqual(finish);
  });

  it("B1 shards of a source that nobody reads any more are not waited for", () => {
    const gone = { ...letIn, tasks: [ack(), ack({ task: task1 })] };
    expect(triggered(running({ progress: both(ended), completed: gone, head: recently }))).toEqual(finish);
  });

  it("B1 one task knows its own shards: as it says", () => {
    const one = { ...letIn, tasks: [ack(reads("p"))] };
    const given = facts({ progress: progresses(progress(ended)), completed: one, head: recently });
    expect(triggered(given)).toMatchObject({ andThen: "finish" });
  });
});

describe("B4 B5 a final checkpoint", () => {
  const final = pending({ andThen: "finish", reason: "end" });
  const acked = (first: boolean, second: boolean, over: Partial<Pending> = {}) =>
    decide(
      running({
        head: { pending: { ...final, ...over }, nextCheckpointId: checkpointId(3) },
        acks: [ack({ finished: first }), ack({ task: task1, finished: second })],
      }),
      me,
    ).kind;

  it("B4 is complete when every ack says that it is the end", () => {
    expect(acked(true, true)).toBe("complete");
  });

  it("B5 is aborted when one does not: the end is asked for again", () => {
    expect(acked(true, false)).toBe("abort");
    expect(acked(false, true)).toBe("abort");
  });

  it("B4 any other checkpoint needs nobody to be finished", () => {
    for (const andThen of ["continue", "suspend", "stop"] as const) {
      expect(acked(false, true, { andThen })).toBe("complete");
    }
  });

  it("B5 R4 tasks that say so again and again, and never ack so, are a failure before long", () => {
    const ended = both({ sourcesFinished: true, epoch: checkpointId(9) });
    const aborted = (consecutiveAborts: number) =>
      decide(running({ progress: ended, head: { consecutiveAborts, lastTriggeredAt: ago(1) } }), me).kind;
    const { tolerableFailures } = me.settings;
    expect([aborted(tolerableFailures), aborted(tolerableFailures + 1)]).toEqual(["trigger", "open"]);
  });
});

describe("many tasks", () => {
  const stages = [
    { name: "sources", tasks: 8, operators: [] },
    { name: "count", tasks: 8, operators: ["count"] },
  ];

  it("R5 all leases that nobody took are invoked at once", () => {
    const given = facts({
      record: record({ stages }),
      leases: leases(held()),
      head: { openedAt: millis(now - untakenMillis) },
    });
    const decision = decide(given, me);
    if (decision.kind !== "invoke") throw new Error(decision.kind);
    expect(decision.leases).toHaveLength(15);
    expect(decision.leases[14]).toEqual({ task: taskId(1, 7), leaseVersion: 0 });
  });

  it.each([tasksReadMax, tasksReadMax + 1, 64])(
    "R3 the facts of %i tasks are the same, however they are read",
    async (n) => {
      const { store } = memoryStore();
      const hash = await writeGenerationRecord(store, record({ stages: [{ name: "main", tasks: n, operators: [] }] }));
      await swapHead(store, null, head({ generationRecord: hash, completed: null }));
      const tasks = Array.from({ length: n }, (_, index) => taskId(0, index));
      for (const [index, task] of tasks.entries()) {
        if (index !== 1) await swapLease(store, incarnation, null, lease(held(), { task }));
        if (index === 0) await swapLease(store, incarnation, 1, lease(held(), { task, ack: checkpointId(1) }));
        if (index !== 2) await putProgress(store, incarnation, progress({ task, seq: index }));
      }
      // Of another generation, and of one whose number begins with the same digits.
      for (const other of [2, 10]) {
        await swapLease(store, incarnation, null, lease(held(), { generation: generation(other) }));
        await putProgress(store, incarnation, progress({ generation: generation(other), seq: 99 }));
      }
      const found = await readFacts(store, emptyCache(), []);
      expect([...found.leases.keys()]).toEqual(tasks.filter((_, index) => index !== 1));
      expect(found.leases.get(task0)).toEqual({ version: 2, value: lease(held(), { ack: checkpointId(1) }) });
      expect([...found.progress.values()].map(({ task, seq }) => [task, seq])).toEqual(
        tasks.flatMap((task, index) => (index === 2 ? [] : [[task, index]])),
      );
    },
  );

  it("R3 those of many take as many requests as those of a few", async () => {
    const { store } = memoryStore();
    const hash = await writeGenerationRecord(store, record({ stages: [{ name: "main", tasks: 64, operators: [] }] }));
    await swapHead(store, null, head({ generationRecord: hash, completed: null }));
    let requests = 0;
    const counted = new Proxy(store.registers, {
      get(target, member) {
        requests++;
        return Reflect.get(target, member);
      },
    });
    await readFacts({ ...store, registers: counted }, emptyCache(), []);
    expect(requests).toBe(5);
  });
});
