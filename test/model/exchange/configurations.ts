import { entry } from "../changes.js";
import { type Configuration, configurationsOf } from "../configuration.js";
import { exchange } from "./exchange.js";
import {
  aligned,
  atLeastOnce,
  budget,
  many,
  merge,
  moving,
  movingOne,
  oneKey,
  oneRecord,
  otherKey,
  plans,
  split,
  threeRecords,
  twoHalves,
  twoKeys,
  twoShards,
  unaligned,
} from "./samples.js";
import type { Budget } from "./state.js";
import { wrongRules } from "./wrong-rules.js";

const { holds, holdsLarge, holdsWalked } = configurationsOf(exchange);

const rescales = (): readonly Configuration[] => [
  holds("E4 the consumer is rescaled 1-2-1, one record, two crashes", {
    ...unaligned,
    shards: oneRecord,
    plans: plans("1-1", "1-2", "1-1"),
    budget: budget({ openings: 2 }),
  }),
  holdsLarge("E4 the consumer is rescaled 1-2-1, a crash before the frames are taken", {
    ...unaligned,
    shards: twoKeys,
    plans: plans("1-1", "1-2", "1-1"),
    budget: budget({ openings: 2 }),
  }),
  holdsLarge("E4 the consumer is rescaled 2-1-2, a crash before the frames are taken", {
    ...unaligned,
    shards: twoKeys,
    plans: plans("1-2", "1-1", "1-2"),
    budget: budget({ openings: 2 }),
  }),
  holdsLarge("E4, B5 the consumer is rescaled 2-1-2, a checkpoint is aborted", {
    ...unaligned,
    shards: twoKeys,
    plans: plans("1-2", "1-1", "1-2"),
    budget: budget({ openings: 2, aborts: 1 }),
  }),
  holdsLarge("E4, K2 both stages are rescaled 2-1-2 and 1-2-1", {
    ...unaligned,
    shards: moving,
    plans: plans("2-1", "1-2", "2-1"),
    budget: budget({ openings: 2 }),
  }),
  holdsLarge("E4, N1 the consumer is rescaled 2-1, any session hands over", {
    ...unaligned,
    shards: twoKeys,
    plans: plans("1-2", "1-1"),
    budget: budget({ openings: 1, handovers: 1 }),
  }),
  holds("E4, K2 both stages are rescaled 2-1 and 1-2", {
    ...unaligned,
    shards: movingOne,
    plans: plans("2-1", "1-2"),
    budget: budget({ openings: 1 }),
  }),
  holds("C2 a task goes, its committables have a new owner, a two-phase sink, zombies", {
    ...unaligned,
    sink: true,
    shards: otherKey,
    plans: plans("1-2", "1-1"),
    budget: budget({ openings: 1 }),
  }),
  holdsLarge("E4, C2 the consumer is rescaled 2-1, a two-phase sink, zombies", {
    ...unaligned,
    sink: true,
    shards: twoKeys,
    plans: plans("1-2", "1-1"),
    budget: budget({ openings: 1 }),
  }),
  holdsLarge("E4, C2 the consumer is rescaled 1-2, a two-phase sink, zombies", {
    ...unaligned,
    sink: true,
    shards: twoKeys,
    plans: plans("1-1", "1-2"),
    budget: budget({ openings: 1 }),
  }),
];

const handoversAndShards = (): readonly Configuration[] => [
  holds("N1, C2 any session hands over, also with the ack of an aborted checkpoint, a two-phase sink", {
    ...unaligned,
    sink: true,
    shards: oneRecord,
    plans: plans("1-1"),
    budget: budget({ aborts: 1, handovers: 1 }),
  }),
  holdsLarge("N1, C2 the same with two records", {
    ...unaligned,
    sink: true,
    shards: oneKey,
    plans: plans("1-1"),
    budget: budget({ aborts: 1, handovers: 1 }),
  }),
  holds("N1, E1 aligned, any session hands over, a checkpoint is aborted", {
    ...aligned,
    shards: oneKey,
    plans: plans("1-1"),
    budget: budget({ checkpoints: 1, aborts: 1, handovers: 1 }),
  }),
  holds("K3 a shard is split over two producers", {
    ...unaligned,
    shards: split,
    plans: plans("2-1"),
    budget: budget({ checkpoints: 3, openings: 1 }),
  }),
  holds("K3, E4 a shard is split, both stages are rescaled", {
    ...unaligned,
    shards: split,
    plans: plans("2-1", "1-2"),
    budget: budget({ checkpoints: 3, openings: 1 }),
  }),
  holdsLarge("K3 shards of two producers are merged", {
    ...unaligned,
    shards: merge,
    plans: plans("2-1"),
    budget: budget({ checkpoints: 3, openings: 1 }),
  }),
];

const alignments = (): readonly Configuration[] => [
  holds("B2 aligned, a crash", { ...aligned, shards: twoShards, plans: plans("2-1"), budget: budget({ openings: 1 }) }),
  holdsLarge("B2 aligned, a crash, three records", {
    ...aligned,
    shards: threeRecords,
    plans: plans("2-1"),
    budget: budget({ openings: 1 }),
  }),
  holdsLarge("B2, E4 aligned, both stages are rescaled, a checkpoint is aborted", {
    ...aligned,
    shards: twoShards,
    plans: plans("2-1", "1-2"),
    budget: budget({ openings: 1, aborts: 1 }),
  }),
  holds("B2, E1 aligned, producers finish, a crash", {
    ...aligned,
    bounded: true,
    shards: twoShards,
    plans: plans("2-1"),
    budget: budget({ openings: 1 }),
  }),
  holds("B2 unaligned, then aligned, producers finish", {
    ...unaligned,
    alignments: ["unaligned", "aligned"],
    bounded: true,
    shards: twoHalves,
    plans: plans("2-1"),
    budget: budget({ openings: 1 }),
  }),
  holds("B2, E4 an aligned checkpoint after unaligned ones, the consumer is rescaled", {
    ...unaligned,
    alignments: ["unaligned", "unaligned", "aligned"],
    shards: oneRecord,
    plans: plans("1-2", "1-1"),
    budget: budget({ openings: 1 }),
  }),
  holds("B2 at-least-once never loses a record", {
    ...atLeastOnce,
    shards: twoShards,
    plans: plans("2-1"),
    budget: budget({ checkpoints: 1, openings: 1 }),
  }),
  holdsLarge("B2 at-least-once never loses a record of three", {
    ...atLeastOnce,
    shards: threeRecords,
    plans: plans("2-1"),
    budget: budget({ openings: 1 }),
  }),
];

const threeStages = (): readonly Configuration[] => {
  const short = { window: 0, shards: twoShards };
  return [
    holds("E5 aligned, three stages 2-2-1, no window", {
      ...aligned,
      ...short,
      plans: plans("2-2-1"),
      budget: budget({ checkpoints: 1 }),
    }),
    holds("E5 aligned, three stages 2-1-1, no window, a crash", {
      ...aligned,
      ...short,
      plans: plans("2-1-1"),
      budget: budget({ checkpoints: 1, openings: 1 }),
    }),
    holdsLarge("E5, B5 aligned, three stages 2-1-1, no window, a checkpoint is aborted", {
      ...aligned,
      ...short,
      plans: plans("2-1-1"),
      budget: budget({ checkpoints: 1, aborts: 1 }),
    }),
    holds("E5 unaligned, three stages, no window, the last two are rescaled", {
      ...unaligned,
      window: 0,
      shards: oneRecord,
      plans: plans("1-1-1", "1-2-1"),
      budget: budget({ checkpoints: 1, openings: 1 }),
    }),
    holdsLarge("E5 unaligned, three stages, no window, both are rescaled", {
      ...unaligned,
      ...short,
      plans: plans("2-1-1", "1-2-1"),
      budget: budget({ checkpoints: 1, openings: 1 }),
    }),
    holdsLarge("E5 at-least-once, three stages, no window, both are rescaled", {
      ...atLeastOnce,
      ...short,
      plans: plans("2-1-1", "1-2-1"),
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
        plans: plans("2-1", "1-2", "2-2", "1-1"),
        budget: faults,
      }),
      holdsWalked(`E1 to E5 ${alignment}, three stages, no window, rescales, all faults`, {
        ...base,
        alignments: [alignment, alignment, "aligned"],
        window: 0,
        shards: many,
        plans: plans("2-1-2", "1-2-1", "2-2-2", "1-1-1"),
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
