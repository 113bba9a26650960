import { type Configuration, configurationsOf } from "../configuration.js";
import { shards } from "./shards.js";
import { asBuilt, type Setup, type Shard } from "./state.js";

const { fails, holds, holdsLarge } = configurationsOf(shards);

/** The name of a record begins with its key and ends with its time. */
const records = (...names: readonly string[]) => names.map((record) => ({ time: Number(record.slice(1)), record }));

type Script = Readonly<Record<string, Shard>>;
const splitBefore: Script = {
  P: { owner: 0, opens: 0, closes: 1, records: records("x0") },
  L: { owner: 0, opens: 1, parents: ["P"], records: records("x1", "x3") },
};
const split: Script = {
  P: { owner: 0, opens: 0, closes: 3, records: records("x2") },
  L: { owner: 0, opens: 3, parents: ["P"], records: records("x3") },
  R: { owner: 1, opens: 3, parents: ["P"], records: records("y4") },
};
const merge: Script = {
  P: { owner: 0, opens: 0, closes: 3, records: records("x2") },
  Q: { owner: 1, opens: 0, closes: 3, records: records("y2") },
  C: { owner: 1, opens: 3, parents: ["P", "Q"], records: records("x3") },
};
const splitTwice: Script = {
  P: { owner: 0, opens: 0, closes: 3, records: records("x2") },
  L: { owner: 0, opens: 3, closes: 4, parents: ["P"], records: records("x3") },
  M: { owner: 1, opens: 4, parents: ["L"], records: records("x5") },
};
const one: Script = { P: { owner: 0, opens: 0, records: records("x2", "x3") } };
const quiet: Script = { P: { owner: 0, opens: 0, records: records("x2", "x7") } };

const base: Omit<Setup, "shards"> = {
  rules: asBuilt,
  start: "latest",
  from: 2,
  until: 7,
  retention: 4,
  failsOnlyAtLoss: false,
  sleeps: false,
  oldLists: false,
  crashes: 1,
};
const long = { ...base, retention: 20 };
const brief = { ...base, retention: 2, until: 8 };

const wrongRules = (): readonly Configuration[] => [
  fails("P0 a child starts at the start of the source: at its beginning, what was before the start is read", {
    ...base,
    rules: { ...asBuilt, childStart: "at its beginning" },
    shards: splitBefore,
  }),
  fails("P0 the horizon is a start of its own: as a time it is past retention at once", {
    ...base,
    rules: { ...asBuilt, horizon: "now less retention" },
    start: "horizon",
    failsOnlyAtLoss: true,
    shards: one,
  }),
  fails("P1 a position is checked at every read: at the first one only, records are skipped", {
    ...brief,
    rules: { ...asBuilt, check: "at the first read" },
    shards: one,
  }),
  fails("P1 the end of a shard leaves readTo as it was: as read up to now, its children are skipped", {
    ...brief,
    rules: { ...asBuilt, ends: "read up to now" },
    shards: splitTwice,
  }),
  fails("K3 a child waits for its parents in the table: entering when they are not listed, records are skipped", {
    ...brief,
    rules: { ...asBuilt, entering: "its parents are finished or not listed" },
    shards: splitTwice,
  }),
  fails("K3 a finished entry leaves when a later shard is listed: as soon as it is not, an old list brings it back", {
    ...long,
    rules: { ...asBuilt, leaving: "it is not listed" },
    oldLists: true,
    until: 5,
    shards: splitTwice,
  }),
  fails("N3 a look is a read: leaving nothing behind, a quiet sleep is longer than the retention", {
    ...brief,
    rules: { ...asBuilt, looks: "nothing" },
    failsOnlyAtLoss: true,
    sleeps: true,
    crashes: 0,
    shards: quiet,
  }),
  fails("N3 new shards wake it: woken by records alone, it sleeps for ever", {
    ...long,
    rules: { ...asBuilt, waking: "records and ends" },
    until: 4,
    sleeps: true,
    oldLists: true,
    crashes: 0,
    shards: split,
  }),
];

const right = (): readonly Configuration[] => [
  holds("N3 a quiet sleep is longer than the retention", {
    ...brief,
    until: 9,
    failsOnlyAtLoss: true,
    sleeps: true,
    crashes: 0,
    shards: quiet,
  }),
  holds("P0 from the latest, a split before the start", { ...base, shards: splitBefore }),
  holds("P0, P1 from the horizon, a crash", { ...base, start: "horizon", until: 6, shards: one }),
  holdsLarge("P0, K3 from the horizon, a split, a crash", { ...base, start: "horizon", until: 6, shards: split }),
  holds("K3 a split, old lists", { ...long, until: 4, oldLists: true, crashes: 0, shards: split }),
  holdsLarge("K3 a split, old lists, a crash", { ...long, oldLists: true, shards: split }),
  holdsLarge("K3, P1 a split, old lists, a crash, a short retention", { ...brief, oldLists: true, shards: split }),
  holdsLarge("K3 two splits, old lists, a crash", { ...long, oldLists: true, shards: splitTwice }),
  holds("K3, P1 two splits, a short retention", { ...brief, crashes: 0, shards: splitTwice }),
  holdsLarge("K3, P1, N3 two splits, a crash, a short retention, sleep", {
    ...brief,
    sleeps: true,
    shards: splitTwice,
  }),
  holds("K3 a merge of two tasks' shards, old lists", { ...long, until: 5, oldLists: true, crashes: 0, shards: merge }),
  holdsLarge("K3 a merge of two tasks' shards, old lists, two crashes", {
    ...long,
    oldLists: true,
    crashes: 2,
    shards: merge,
  }),
  holdsLarge("K3, N3 a merge of two tasks' shards, a crash, sleep, a short retention", {
    ...base,
    retention: 3,
    sleeps: true,
    shards: merge,
  }),
];

export const shardsConfigurations = (): readonly Configuration[] => [...wrongRules(), ...right()];
