import { noFaults, type Profile } from "../../lib/testing/simulation/profile.js";
import type { Variant } from "../../lib/testing/simulation/tally-pipeline.js";
import type { Mutant } from "./mutants.js";

export const plain: Variant = { tallies: "held", deletes: false, calls: "none", files: false, bad: "fail" };
const files: Variant = { ...plain, files: true };

/** Several tasks of each stage, and little else: runs of many tasks take long. */
export const apart: Partial<Profile> = {
  parallelism: [3],
  variant: plain,
  faults: noFaults,
  slowService: "none",
  outage: null,
  skewMillis: 0,
  padding: 0,
  start: "trim-horizon",
  endMillis: null,
  firstWishMillis: 0,
  retentionMillis: 86_400_000,
  shards: 3,
  keys: 4,
  records: 60,
  reshards: 0,
  chaosMillis: 25_000,
  wishes: 0,
  aggregates: 0,
  bursts: 0,
  suspendAfterMillis: null,
  retained: 10,
  collects: false,
};
const crashing: Partial<Profile> = { ...apart, faults: { ...noFaults, crash: 0.006 } };
/** Other numbers of tasks with every deployment, and back to a checkpoint that was made with yet others. */
const rescaled: Partial<Profile> = { ...apart, parallelism: [3, 2, 4], wishes: 8 };
/** Checkpoints complete, but acks come long after their cuts. */
const delayed: Partial<Profile> = { ...apart, faults: { ...noFaults, slow: 0.1, crash: 0.003 } };
/** Shards split and merge, and some lanes are looked at seconds later than others. */
const late: Partial<Profile> = {
  ...apart,
  reshards: 8,
  faults: { ...noFaults, slow: 0.02 },
  chaosMillis: 60_000,
  records: 120,
};

/** As {@link mutants}, for the rules that several tasks keep between them. */
export const taskMutants: readonly Mutant[] = [
  {
    name: "E1 an open frame is forgotten at the cut",
    file: "lib/runtime/edge-output.ts",
    find: "if (this.#writer.records > 0) this.#close();",
    replace: "if (this.#writer.records > 0) this.#writer.take();",
    profile: apart,
    seed: 1,
  },
  {
    name: "E1 an open frame goes on in the next epoch",
    file: "lib/runtime/edge-output.ts",
    find: "    if (this.#writer.records > 0) this.#close();\n",
    replace: "",
    profile: crashing,
    seed: 7,
  },
  {
    name: "E1 a hand-over begins its numbers anew",
    file: "lib/runtime/channels.ts",
    find: "sent: start.sent[edge] ?? 0, epoch",
    replace: "sent: 0, epoch",
    profile: apart,
    seed: 1,
  },
  {
    name: "E1 names of frames without their generation",
    file: "lib/checkpoint/names.ts",
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is code
    find: "`note/${generationPart(incarnation, generation)}/${edge}/${padded(producer, 3)}/`",
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is code
    replace: "`note/${incarnation}/${padded(Math.min(generation, 1), 8)}/${edge}/${padded(producer, 3)}/`",
    profile: crashing,
    seed: 1,
  },
  {
    name: "E2 a range has no key groups",
    file: "lib/runtime/frame-feed.ts",
    find: "new SliceReader(edge, bytes, slice, range.keyGroups)",
    replace: "new SliceReader(edge, bytes, slice, slice.keyGroups)",
    profile: rescaled,
    seed: 1,
  },
  {
    name: "E2 a hand-over forgets what is still expected",
    file: "lib/runtime/restore.ts",
    find: "    ranges: ack.expected,\n",
    replace: "    ranges: [],\n",
    profile: apart,
    seed: 1,
  },
  {
    name: "E3 sent is counted at the ack",
    file: "lib/runtime/channels.ts",
    find: "    return {\n      sent: Object.fromEntries(cuts.map(([edge, { sent }]) => [edge, sent])),\n",
    replace:
      "    const { outputs } = this;\n    return {\n      get sent() {\n        return Object.fromEntries([...outputs].map(([edge, output]) => [edge, output.sent]));\n      },\n",
    profile: delayed,
    seed: 12,
  },
  {
    name: "E3 what is still expected is counted at the ack",
    file: "lib/runtime/channels.ts",
    find: "    return {\n      sent: Object.fromEntries(cuts.map(([edge, { sent }]) => [edge, sent])),\n      expected: this.inputs.flatMap((input) => input.ranges()),\n",
    replace:
      "    const { inputs } = this;\n    return {\n      sent: Object.fromEntries(cuts.map(([edge, { sent }]) => [edge, sent])),\n      get expected() {\n        return inputs.flatMap((input) => input.ranges());\n      },\n",
    profile: { ...apart, padding: 2_000, records: 250 },
    seed: 2,
  },
  {
    name: "E3 a checkpoint names no frames",
    file: "lib/runtime/channels.ts",
    find: "      expected: this.inputs.flatMap((input) => input.ranges()),\n",
    replace: "      expected: [],\n",
    profile: crashing,
    seed: 7,
  },
  {
    name: "E3 a range is closed a frame too late",
    file: "lib/checkpoint/inherit.ts",
    find: "to: range.to ?? sentOn(manifest, range) }",
    replace: "to: range.to ?? sentOn(manifest, range) + 1 }",
    profile: crashing,
    seed: 2,
  },
  {
    name: "E3 a range is closed a frame too early",
    file: "lib/checkpoint/inherit.ts",
    find: "to: range.to ?? sentOn(manifest, range) }",
    replace: "to: range.to ?? sentOn(manifest, range) - 1 }",
    profile: crashing,
    seed: 7,
  },
  {
    name: "E4 an heir takes over the ranges of the task of its number",
    file: "lib/checkpoint/inherit.ts",
    find: "ranges: inheritRanges(manifest, heir.operators, own),",
    replace:
      // biome-ignore lint/suspicious/noTemplateCurlyInString: it is code
      "ranges: inheritRanges({ ...manifest, tasks: manifest.tasks.map((ack) => (ack.task === `${heir.stage}.${heir.index}` ? ack : { ...ack, expected: [] })) }, heir.operators, own),",
    profile: rescaled,
    seed: 1,
  },
  {
    name: "E4 an heir takes over ranges with the key groups of others",
    file: "lib/checkpoint/inherit.ts",
    find: "return keyGroups === null ? [] : [{ ...range, keyGroups }];",
    replace: "return keyGroups === null ? [] : [range];",
    profile: rescaled,
    seed: 1,
  },
  {
    name: "E4 a rescaled task adds its delta to the base of another",
    file: "lib/runtime/restore-state.ts",
    find: "    last = isWhole ? restored : null;\n  }\n  if (isByPerson(record) && !fromHandover) expectKeys(task.tables, snapshots);\n  return snapshots.length === 1 ? last : null;",
    replace: "    last = restored;\n  }\n  return last;",
    profile: rescaled,
    seed: 4,
  },
  {
    name: "E4 an heir reads the state of the task of its number",
    file: "lib/checkpoint/inherit.ts",
    find: "snapshots: inheritSnapshots(manifest, heir.operators, own),",
    replace:
      // biome-ignore lint/suspicious/noTemplateCurlyInString: it is code
      "snapshots: inheritSnapshots({ ...manifest, tasks: manifest.tasks.filter(({ task }) => task === `${heir.stage}.${heir.index}`) }, heir.operators, own),",
    profile: rescaled,
    seed: 1,
  },
  {
    name: "E4 what is fused takes records before the frames of its edge",
    file: "lib/runtime/feed.ts",
    find: `const takesRecords = from === "all" && !this.#channels.isBehind;`,
    replace: `const takesRecords = from === "all";`,
    profile: { ...apart, parallelism: [3, 1, 3, 1, 3, 1, 3, 1], wishes: 12 },
    seed: 15,
  },
  {
    name: "B2 a frame of the next epoch is taken before the cut",
    file: "lib/runtime/channels.ts",
    find: `if (alignment === "at-least-once") return anyEpoch;`,
    replace: `if (alignment !== "aligned") return anyEpoch;`,
    profile: apart,
    seed: 1,
  },
  {
    name: "B2 aligned, but nothing is set aside",
    file: "lib/runtime/channels.ts",
    find: `if (alignment === "at-least-once") return anyEpoch;`,
    replace: `if (alignment !== "unaligned") return anyEpoch;`,
    profile: { ...apart, alignment: "aligned" },
    seed: 1,
  },
  {
    name: "B3 the ack does not wait for frames",
    file: "lib/runtime/cut.ts",
    find: "  await cut.channels.durable;\n",
    replace: "",
    profile: delayed,
    seed: 15,
  },
  {
    name: "E1 the note comes before the frame is durable",
    file: "lib/checkpoint/exchange.ts",
    find: "await repeat(store.clock, () => storeBody(store.blobs, key, bytes));",
    replace:
      "await storeBody({ ...store.blobs, put: async (at, body) => void repeat(store.clock, () => store.blobs.put(at, body)).catch(() => undefined) }, key, bytes);",
    profile: { ...crashing, records: 1_500, keys: 5, aggregates: 1, bursts: 2, slowService: "blobs" },
    seed: 2,
  },
  {
    name: "B4 a checkpoint completes without the acks of later stages",
    file: "lib/checkpoint/fold.ts",
    find: "  for (const task of tasksOf(record)) {",
    replace: `  for (const task of tasksOf(record).filter((one) => one.startsWith("0."))) {`,
    profile: crashing,
    seed: 1,
  },
  {
    name: "C2 committables go to the task of the same number",
    file: "lib/checkpoint/inherit.ts",
    find: "lists: heir.sinks.length === 0 ? [] : manifest.tasks.filter(isFirstOwned),",
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is code
    replace: "lists: manifest.tasks.filter(({ task }) => task === `${heir.stage}.${heir.index}`),",
    profile: {
      ...apart,
      parallelism: [4, 2, 4, 2],
      wishes: 4,
      keys: 40,
      outage: { service: "tables", fromMillis: 8_000, lengthMillis: 20_000 },
    },
    seed: 7,
  },
  {
    name: "C4 a task sweeps what another one took over",
    file: "lib/runtime/restore.ts",
    find: "    listed: [...listed.values()].flat(),\n",
    replace: "    listed: lists.flatMap((ack) => listed.get(ack) ?? []),\n",
    profile: { ...rescaled, variant: files, slowService: "files" },
    seed: 343,
  },
  {
    name: "K2 every task reads every shard",
    file: "lib/runtime/open-parts.ts",
    find: "ownsShard(entry, place.index, place.tasks) && (",
    replace: "(",
    profile: apart,
    seed: 1,
  },
  {
    name: "K3 a child enters although its parents' frames are under way",
    file: "lib/checkpoint/shard-table.ts",
    find: "    !inTable.some((parent) => isInFlight(known.get(parent)?.at, acks)) &&\n",
    replace: "",
    profile: late,
    seed: 58,
  },
  {
    name: "G2 frames go that a checkpoint names",
    file: "lib/checkpoint/frames-garbage.ts",
    find: "  if (isWithin(frame.n, named.get(lane) ?? [])) return false;\n",
    replace: "",
    profile: { ...crashing, retained: 3, collects: true },
    seed: 7,
  },
  {
    name: "G1 frames of a generation that is over stay",
    file: "lib/checkpoint/frames-garbage.ts",
    find: "return !of.isLiving(frame.generation);",
    replace: "return false;",
    profile: { ...crashing, retained: 1, collects: true },
    seed: 1,
  },
];
