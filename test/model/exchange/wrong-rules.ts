import { type Configuration, configurationsOf } from "../configuration.js";
import { exchange } from "./exchange.js";
import { asBuilt } from "./rules.js";
import {
  aligned,
  atLeastOnce,
  budget,
  moving,
  none,
  oneKey,
  oneRecord,
  otherKey,
  plans,
  split,
  twoShards,
  twoShardsOfOneTask,
  unaligned,
} from "./samples.js";

const { fails } = configurationsOf(exchange);

/** Each wrong rule, and the smallest pipeline known in which it does harm. */
export const wrongRules = (): readonly Configuration[] => [
  fails("E1 a barrier counts as sent: not counted, the successor gives its name to another frame", {
    ...aligned,
    rules: { ...asBuilt, barrier: "does not count" },
    shards: oneRecord,
    plans: plans("1-1"),
    budget: budget({ handovers: 1 }),
  }),
  fails("E1 a finished producer passes every later barrier: silent, its consumer waits for ever", {
    ...aligned,
    rules: { ...asBuilt, finished: "says nothing" },
    bounded: true,
    shards: twoShards,
    plans: plans("2-1"),
    budget: none,
  }),
  fails("E1 a finished producer puts no barrier after its last note: one that does fills an aligned channel", {
    ...aligned,
    rules: { ...asBuilt, finished: "passes it, and puts barriers too" },
    bounded: true,
    shards: twoShards,
    plans: plans("2-1"),
    budget: none,
  }),
  fails(
    "E2 no frame while an earlier generation's range is left: ordered per producer, a key's records change places",
    {
      ...unaligned,
      rules: { ...asBuilt, order: "per producer" },
      shards: moving,
      plans: plans("2-1", "1-1"),
      budget: budget({ openings: 1 }),
    },
  ),
  fails(
    "E2 no frame while an earlier generation's range is left: only the own one last, a key's records change places",
    {
      ...unaligned,
      rules: { ...asBuilt, order: "own generation last" },
      shards: moving,
      plans: plans("2-1", "1-1"),
      budget: budget({ openings: 2 }),
    },
  ),
  fails("E3 sent is counted at the cut: counted at the ack, a record counts twice", {
    ...unaligned,
    rules: { ...asBuilt, sent: "counted at the ack" },
    shards: oneKey,
    plans: plans("1-1"),
    budget: budget({ openings: 1 }),
  }),
  fails("E4 a range has key groups: without them two rescales make a record count twice", {
    ...unaligned,
    rules: { ...asBuilt, keyGroups: "of the task" },
    shards: oneRecord,
    plans: plans("1-2", "1-1"),
    budget: budget({ openings: 2 }),
  }),
  fails("B2 a task cuts before it takes a frame of the new epoch: cutting later, a record counts twice", {
    ...unaligned,
    rules: { ...asBuilt, latestCut: "when it looks at the head" },
    shards: oneRecord,
    plans: plans("1-1"),
    budget: budget({ openings: 1 }),
  }),
  fails("B2 an aligned cut steps over the barriers: left, they stay in its channels", {
    ...aligned,
    rules: { ...asBuilt, headBarriers: "left" },
    shards: oneRecord,
    plans: plans("1-1"),
    budget: none,
  }),
  fails("B2 at-least-once is what it says: a record counts twice after a restore", {
    ...atLeastOnce,
    promise: "exactly once",
    shards: twoShards,
    plans: plans("2-1"),
    budget: budget({ openings: 1 }),
  }),
  fails("C2 committables go to the owner of their first key group: to the task of the same index, output is lost", {
    ...unaligned,
    rules: { ...asBuilt, committables: "by index" },
    sink: true,
    shards: otherKey,
    plans: plans("1-2", "1-1"),
    budget: budget({ openings: 1 }),
  }),
  fails("C2 the first ack waits for what is complete: waiting for all it was given, a successor never acks", {
    ...unaligned,
    rules: { ...asBuilt, firstAck: "after all that it was given" },
    sink: true,
    shards: oneRecord,
    plans: plans("1-1"),
    budget: budget({ aborts: 1, handovers: 1 }),
  }),
  fails("K3 a child enters when the frames of its parents were taken: earlier, a key's records change places", {
    ...unaligned,
    rules: { ...asBuilt, children: "when its parents are finished" },
    shards: split,
    plans: plans("2-1"),
    budget: none,
  }),
  fails("N1 a session begins nothing from its last cut on: going on, it gives a name to two frames", {
    ...unaligned,
    rules: { ...asBuilt, handover: "any that acked" },
    shards: twoShardsOfOneTask,
    plans: plans("1-1"),
    budget: budget({ handovers: 1 }),
  }),
];
