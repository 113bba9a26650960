import { noFaults, type Profile } from "../../lib/testing/simulation/profile.js";
import type { Mutant } from "./mutants.js";
import { apart, plain } from "./task-mutants.js";

/** People go back and forth, and say what becomes of output. */
const replayed: Partial<Profile> = {
  replays: 4,
  wishes: 1,
  variant: { ...plain, files: true },
  start: "trim-horizon",
  firstWishMillis: 0,
  retentionMillis: 24 * 3_600_000,
  bursts: 0,
  suspendAfterMillis: null,
  chaosMillis: 60_000,
  records: 120,
};
const crashing: Partial<Profile> = { ...replayed, faults: { ...noFaults, crash: 0.01, slow: 0.05 } };

/** As {@link mutants}, for what a replay does with output. */
export const replayMutants: readonly Mutant[] = [
  {
    name: "W2 a redirect writes where it always did",
    file: "lib/runtime/writers.ts",
    find: "openWriter(sink, resourcesIn(modeOf(modes, name), resources))",
    replace: 'openWriter(sink, resourcesIn({ kind: "normal" }, (void modeOf, void modes, resources)))',
    profile: replayed,
    seed: 1,
  },
  {
    name: "W2 a dry run writes",
    file: "lib/runtime/outputs.ts",
    find: 'if (modeOf(first.modes, name).kind === "dry-run")',
    replace: "if (modeOf(first.modes, name) === null)",
    profile: replayed,
    seed: 1,
  },
  {
    name: "W2 a generation forgets how sinks were before it",
    file: "lib/checkpoint/sink-modes.ts",
    find: "const modes = { ...before, ...asked };",
    replace: "const modes = asked === before ? before : asked;",
    profile: crashing,
    seed: 1,
  },
  {
    name: "W2 a request for other modes comes to nothing",
    file: "lib/checkpoint/sink-modes.ts",
    find: "const modes = { ...before, ...asked };",
    replace: "const modes = { ...asked, ...before };",
    profile: replayed,
    seed: 1,
  },
  {
    name: "C2 what was prepared goes to where the sink writes now",
    file: "lib/connectors/dynamo-table.ts",
    find: "await putAll(resources, table, writing, writes);",
    replace: "await putAll(resources, table === target ? table : target, writing, writes);",
    profile: crashing,
    seed: 1,
  },
  {
    name: "W2 a fork has its origin's output, which waits",
    file: "lib/checkpoint/fork.ts",
    find: "    committables: [],\n",
    replace: "",
    profile: { ...replayed, slowService: "tables" },
    seed: 1,
  },
  {
    name: "W2 a fork is without what was on its way",
    file: "lib/checkpoint/fork-copy.ts",
    find: "for (const named of namedFrames(manifest, []))",
    replace: "for (const named of namedFrames(manifest, []).slice(1))",
    profile: { ...apart, replays: 8, records: 200 },
    seed: 1,
  },
  {
    name: "P4 a deployment is taken back once and never again",
    file: "lib/checkpoint/wishes.ts",
    find: "    if (before === null) return before;\n    // Another one",
    replace:
      "    if (before === null || before.rejected.includes(rejected.deployment)) return before;\n    // Another one",
    profile: { ...replayed, releases: 3, retained: 1, retentionMillis: 20_000, start: { afterMillis: 0 } },
    seed: 34,
  },
  {
    name: "P4 of what is finished nothing is passed on",
    file: "lib/runtime/release.ts",
    find: '(head.status === "finished" && (request === null || request.id === record?.requestId))',
    replace: '(head.status === "finished" && (record !== null || request === null))',
    profile: { ...replayed, releases: 3, endMillis: 20_000 },
    seed: 13,
  },
  {
    name: "C4 what a savepoint of a lineage that was left has staged is swept",
    file: "lib/runtime/restore-state.ts",
    find: "stagedOf([...start.listed, ...kept], name)",
    replace: "stagedOf(kept === null ? [] : start.listed, name)",
    profile: { ...replayed, replays: 0, wishes: 4, savepoints: 8, retained: 1 },
    seed: 127,
  },
];
