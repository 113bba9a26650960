import { entry } from "../changes.js";
import { type Configuration, configurationsOf } from "../configuration.js";
import { exchange } from "./exchange.js";
import { asBuilt } from "./rules.js";
import type { Budget, Setup } from "./state.js";

const { fails, holds, holdsLarge, holdsWalked } = configurationsOf(exchange);

const none: Budget = { openings: 0, checkpoints: 2, aborts: 0, handovers: 0 };
const budget = (some: Partial<Budget>): Budget => ({ ...none, ...some });

const shard = (at: number, ...records: readonly string[]) => ({ at, records });
const child = (at: number, parents: readonly string[], ...records: readonly string[]) => ({ at, parents, records });

const oneRecord = { A: shard(0, "x1") };
const otherKey = { A: shard(0, "y1") };
const oneKey = { A: shard(0, "x1", "x2") };
const twoKeys = { A: shard(0, "x1", "y1") };
const twoShards = { A: shard(0, "x1"), B: shard(0.5, "y1") };
const threeRecords = { A: shard(0, "x1", "y1"), B: shard(0.5, "y2") };
const twoShardsOfOneTask = { A: shard(0, "x1"), B: shard(0, "y1") };
/** A rescale moves shard B to another task. */
const moving = { A: shard(0), B: shard(0.5, "x1", "x2") };
const movingOne = { A: shard(0), B: shard(0.5, "x1") };
const twoHalves = { A: shard(0, "x1"), B: shard(0.5) };
const split = { P: shard(0, "x1"), L: child(0, ["P"]), R: child(0.5, ["P"], "x2") };
const merge = { P: shard(0, "x1"), Q: shard(0.5, "y1"), C: child(0.5, ["P", "Q"], "x2") };
const many = { A: shard(0, "x1", "y1", "x2"), B: shard(0.5, "y2", "x3") };

const unaligned: Omit<Setup, "shards" | "plans" | "budget"> = {
  rules: asBuilt,
  alignments: ["unaligned"],
  window: 9,
  sink: false,
  bounded: false,
  promise: "exactly once",
};
const aligned: typeof unaligned = { ...unaligned, alignments: ["aligned"] };
const atLeastOnce: typeof unaligned = { ...unaligned, alignments: ["at-least-once"], promise: "at least once" };

/** Each wrong rule, and the smallest pipeline known in which it does harm. */
const wrongRules = (): readonly Configuration[] => [
  fails("E1 a barrier counts as sent: not counted, the successor gives its name to another frame", {
    ...aligned,
    rules: { ...asBuilt, barrier: "does not count" },
    shards: oneRecord,
    plans: [[1, 1]],
    budget: budget({ handovers: 1 }),
  }),
  fails("E1 a finished producer passes every later barrier: silent, its consumer waits for ever", {
    ...aligned,
    rules: { ...asBuilt, finished: "says nothing" },
    bounded: true,
    shards: twoShards,
    plans: [[2, 1]],
    budget: none,
  }),
  fails("E1 a finished producer puts no barrier after its last note: one that does fills an aligned channel", {
    ...aligned,
    rules: { ...asBuilt, finished: "passes it, and puts barriers too" },
    bounded: true,
    shards: twoShards,
    plans: [[2, 1]],
    budget: none,
  }),
  fails(
    "E2 no frame while an earlier generation's range is left: ordered per producer, a key's records change places",
    {
      ...unaligned,
      rules: { ...asBuilt, order: "per producer" },
      shards: moving,
      plans: [
        [2, 1],
        [1, 1],
      ],
      budget: budget({ openings: 1 }),
    },
  ),
  fails(
    "E2 no frame while an earlier generation's range is left: only the own one last, a key's records change places",
    {
      ...unaligned,
      rules: { ...asBuilt, order: "own generation last" },
      shards: moving,
      plans: [
        [2, 1],
        [1, 1],
      ],
      budget: budget({ openings: 2 }),
    },
  ),
  fails("E3 sent is counted at the cut: counted at the ack, a record counts twice", {
    ...unaligned,
    rules: { ...asBuilt, sent: "counted at the ack" },
    shards: oneKey,
    plans: [[1, 1]],
    budget: budget({ openings: 1 }),
  }),
  fails("E4 a range has key groups: without them two rescales make a record count twice", {
    ...unaligned,
    rules: { ...asBuilt, keyGroups: "of the task" },
    shards: oneRecord,
    plans: [
      [1, 2],
      [1, 1],
    ],
    budget: budget({ openings: 2 }),
  }),
  fails("B2 a task cuts before it takes a frame of the new epoch: cutting later, a record counts twice", {
    ...unaligned,
    rules: { ...asBuilt, latestCut: "when it looks at the head" },
    shards: oneRecord,
    plans: [[1, 1]],
    budget: budget({ openings: 1 }),
  }),
  fails("B2 an aligned cut steps over the barriers: left, they stay in its channels", {
    ...aligned,
    rules: { ...asBuilt, headBarriers: "left" },
    shards: oneRecord,
    plans: [[1, 1]],
    budget: none,
  }),
  fails("B2 at-least-once is what it says: a record counts twice after a restore", {
    ...atLeastOnce,
    promise: "exactly once",
    shards: twoShards,
    plans: [[2, 1]],
    budget: budget({ openings: 1 }),
  }),
  fails("C2 committables go to the owner of their first key group: to the task of the same index, output is lost", {
    ...unaligned,
    rules: { ...asBuilt, committables: "by index" },
    sink: true,
    shards: otherKey,
    plans: [
      [1, 2],
      [1, 1],
    ],
    budget: budget({ openings: 1 }),
  }),
  fails("C2 the first ack waits for what is complete: waiting for all it was given, a successor never acks", {
    ...unaligned,
    rules: { ...asBuilt, firstAck: "after all that it was given" },
    sink: true,
    shards: oneRecord,
    plans: [[1, 1]],
    budget: budget({ aborts: 1, handovers: 1 }),
  }),
  fails("K3 a child enters when the frames of its parents were taken: earlier, a key's records change places", {
    ...unaligned,
    rules: { ...asBuilt, children: "when its parents are finished" },
    shards: split,
    plans: [[2, 1]],
    budget: none,
  }),
  fails("N1 a session begins nothing from its last cut on: going on, it gives a name to two frames", {
    ...unaligned,
    rules: { ...asBuilt, handover: "any that acked" },
    shards: twoShardsOfOneTask,
    plans: [[1, 1]],
    budget: budget({ handovers: 1 }),
  }),
];

const rescales = (): readonly Configuration[] => [
  holds("E4 the consumer is rescaled 1-2-1, a crash before the frames are taken", {
    ...unaligned,
    shards: twoKeys,
    plans: [
      [1, 1],
      [1, 2],
      [1, 1],
    ],
    budget: budget({ openings: 2 }),
  }),
  holdsLarge("E4 the consumer is rescaled 2-1-2, a crash before the frames are taken", {
    ...unaligned,
    shards: twoKeys,
    plans: [
      [1, 2],
      [1, 1],
      [1, 2],
    ],
    budget: budget({ openings: 2 }),
  }),
  holdsLarge("E4, B5 the consumer is rescaled 2-1-2, a checkpoint is aborted", {
    ...unaligned,
    shards: twoKeys,
    plans: [
      [1, 2],
      [1, 1],
      [1, 2],
    ],
    budget: budget({ openings: 2, aborts: 1 }),
  }),
  holdsLarge("E4, K2 both stages are rescaled 2-1-2 and 1-2-1", {
    ...unaligned,
    shards: moving,
    plans: [
      [2, 1],
      [1, 2],
      [2, 1],
    ],
    budget: budget({ openings: 2 }),
  }),
  holdsLarge("E4, N1 the consumer is rescaled 2-1, any session hands over", {
    ...unaligned,
    shards: twoKeys,
    plans: [
      [1, 2],
      [1, 1],
    ],
    budget: budget({ openings: 1, handovers: 1 }),
  }),
  holds("E4, K2 both stages are rescaled 2-1 and 1-2", {
    ...unaligned,
    shards: movingOne,
    plans: [
      [2, 1],
      [1, 2],
    ],
    budget: budget({ openings: 1 }),
  }),
  holds("C2 a task goes, its committables have a new owner, a two-phase sink, zombies", {
    ...unaligned,
    sink: true,
    shards: otherKey,
    plans: [
      [1, 2],
      [1, 1],
    ],
    budget: budget({ openings: 1 }),
  }),
  holdsLarge("E4, C2 the consumer is rescaled 2-1, a two-phase sink, zombies", {
    ...unaligned,
    sink: true,
    shards: twoKeys,
    plans: [
      [1, 2],
      [1, 1],
    ],
    budget: budget({ openings: 1 }),
  }),
  holdsLarge("E4, C2 the consumer is rescaled 1-2, a two-phase sink, zombies", {
    ...unaligned,
    sink: true,
    shards: twoKeys,
    plans: [
      [1, 1],
      [1, 2],
    ],
    budget: budget({ openings: 1 }),
  }),
];

const handoversAndShards = (): readonly Configuration[] => [
  holds("N1, C2 any session hands over, also with the ack of an aborted checkpoint, a two-phase sink", {
    ...unaligned,
    sink: true,
    shards: oneRecord,
    plans: [[1, 1]],
    budget: budget({ aborts: 1, handovers: 1 }),
  }),
  holdsLarge("N1, C2 the same with two records", {
    ...unaligned,
    sink: true,
    shards: oneKey,
    plans: [[1, 1]],
    budget: budget({ aborts: 1, handovers: 1 }),
  }),
  holds("N1, E1 aligned, any session hands over, a checkpoint is aborted", {
    ...aligned,
    shards: oneKey,
    plans: [[1, 1]],
    budget: budget({ checkpoints: 1, aborts: 1, handovers: 1 }),
  }),
  holds("K3 a shard is split over two producers", {
    ...unaligned,
    shards: split,
    plans: [[2, 1]],
    budget: budget({ checkpoints: 3, openings: 1 }),
  }),
  holds("K3, E4 a shard is split, both stages are rescaled", {
    ...unaligned,
    shards: split,
    plans: [
      [2, 1],
      [1, 2],
    ],
    budget: budget({ checkpoints: 3, openings: 1 }),
  }),
  holdsLarge("K3 shards of two producers are merged", {
    ...unaligned,
    shards: merge,
    plans: [[2, 1]],
    budget: budget({ checkpoints: 3, openings: 1 }),
  }),
];

const alignments = (): readonly Configuration[] => [
  holds("B2 aligned, a crash", { ...aligned, shards: twoShards, plans: [[2, 1]], budget: budget({ openings: 1 }) }),
  holdsLarge("B2 aligned, a crash, three records", {
    ...aligned,
    shards: threeRecords,
    plans: [[2, 1]],
    budget: budget({ openings: 1 }),
  }),
  holdsLarge("B2, E4 aligned, both stages are rescaled, a checkpoint is aborted", {
    ...aligned,
    shards: twoShards,
    plans: [
      [2, 1],
      [1, 2],
    ],
    budget: budget({ openings: 1, aborts: 1 }),
  }),
  holds("B2, E1 aligned, producers finish, a crash", {
    ...aligned,
    bounded: true,
    shards: twoShards,
    plans: [[2, 1]],
    budget: budget({ openings: 1 }),
  }),
  holds("B2 unaligned, then aligned, producers finish", {
    ...unaligned,
    alignments: ["unaligned", "aligned"],
    bounded: true,
    shards: twoHalves,
    plans: [[2, 1]],
    budget: budget({ openings: 1 }),
  }),
  holds("B2, E4 an aligned checkpoint after unaligned ones, the consumer is rescaled", {
    ...unaligned,
    alignments: ["unaligned", "unaligned", "aligned"],
    shards: twoKeys,
    plans: [
      [1, 2],
      [1, 1],
    ],
    budget: budget({ openings: 1 }),
  }),
  holds("B2 at-least-once never loses a record", {
    ...atLeastOnce,
    shards: twoShards,
    plans: [[2, 1]],
    budget: budget({ checkpoints: 1, openings: 1 }),
  }),
  holdsLarge("B2 at-least-once never loses a record of three", {
    ...atLeastOnce,
    shards: threeRecords,
    plans: [[2, 1]],
    budget: budget({ openings: 1 }),
  }),
];

const threeStages = (): readonly Configuration[] => {
  const short = { window: 0, shards: twoShards };
  return [
    holds("E5 aligned, three stages 2-2-1, no window", {
      ...aligned,
      ...short,
      plans: [[2, 2, 1]],
      budget: budget({ checkpoints: 1 }),
    }),
    holds("E5 aligned, three stages 2-1-1, no window, a crash", {
      ...aligned,
      ...short,
      plans: [[2, 1, 1]],
      budget: budget({ checkpoints: 1, openings: 1 }),
    }),
    holdsLarge("E5, B5 aligned, three stages 2-1-1, no window, a checkpoint is aborted", {
      ...aligned,
      ...short,
      plans: [[2, 1, 1]],
      budget: budget({ checkpoints: 1, aborts: 1 }),
    }),
    holds("E5 unaligned, three stages, no window, the last two are rescaled", {
      ...unaligned,
      window: 0,
      shards: oneRecord,
      plans: [
        [1, 1, 1],
        [1, 2, 1],
      ],
      budget: budget({ checkpoints: 1, openings: 1 }),
    }),
    holdsLarge("E5 unaligned, three stages, no window, both are rescaled", {
      ...unaligned,
      ...short,
      plans: [
        [2, 1, 1],
        [1, 2, 1],
      ],
      budget: budget({ checkpoints: 1, openings: 1 }),
    }),
    holdsLarge("E5 at-least-once, three stages, no window, both are rescaled", {
      ...atLeastOnce,
      ...short,
      plans: [
        [2, 1, 1],
        [1, 2, 1],
      ],
      budget: budget({ checkpoints: 1, openings: 1 }),
    }),
  ];
};

const walks = (): readonly Configuration[] =>
  [unaligned, aligned, atLeastOnce].flatMap((base) => {
    const faults: Budget = { openings: 3, checkpoints: 5, aborts: 2, handovers: 2 };
    const alignment = entry(base.alignments, 0);
    return [
      holdsWalked(`E1 to E5 ${alignment}, rescales, all faults`, {
        ...base,
        sink: base.promise === "exactly once",
        window: 1,
        shards: many,
        plans: [
          [2, 1],
          [1, 2],
          [2, 2],
          [1, 1],
        ],
        budget: faults,
      }),
      holdsWalked(`E1 to E5 ${alignment}, three stages, no window, rescales, all faults`, {
        ...base,
        alignments: [alignment, alignment, "aligned"],
        window: 0,
        shards: many,
        plans: [
          [2, 1, 2],
          [1, 2, 1],
          [2, 2, 2],
          [1, 1, 1],
        ],
        budget: faults,
      }),
    ];
  });

export const exchangeConfigurations = (): readonly Configuration[] => [
  ...wrongRules(),
  ...rescales(),
  ...handoversAndShards(),
  ...alignments(),
  ...threeStages(),
  ...walks(),
];
