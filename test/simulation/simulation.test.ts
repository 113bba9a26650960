// The real code of head, sessions, supervisor, source and sink on memory ports, where crashes, lost answers, zombies and resharding
// happen at every call, as the seed says. More seeds by hand: npm run sim -- --seeds 10000
import { describe, expect, it } from "vitest";
import { noFaults, type Profile } from "../../lib/testing/simulation/profile.js";
import { type Outcome, simulate } from "../../lib/testing/simulation/simulate.js";

const seeds = 300;
const replayed = 25;

describe("a seed", () => {
  it("replays the run exactly", { timeout: 600_000 }, async () => {
    for (let seed = 1; seed <= replayed; seed++) {
      const first = await simulate(seed);
      const second = await simulate(seed);
      expect(first.trace.length, `seed ${seed}`).toBeGreaterThan(50);
      expect(second.trace.join("\n"), `seed ${seed}`).toBe(first.trace.join("\n"));
      expect(second).toEqual(first);
    }
  });

  it("is one run of many", async () => {
    const [one, other] = [await simulate(1), await simulate(2)];
    expect(one.trace.join("\n")).not.toBe(other.trace.join("\n"));
  });
});

/** What must have happened in some of the seeds: a simulation that meets no trouble shows nothing. */
const happenings: Readonly<Record<string, RegExp>> = {
  "a process dies before a call": / dies: before /,
  "a process dies before its answer": / dies: waiting for /,
  "a session reaches its deadline": /^\d+ task .* dies: its time is up/,
  "a process stands still": / stands still /,
  "a lost answer of what happened": /: ambiguous, happens$/,
  "a lost answer of what never happened": /: ambiguous, never$/,
  "a write after its loss was told": / \(late\)$/,
  "a read fails": /: transient, happens$/,
  "a late move of the head": /registers\.swap head .* \(late\)$/,
  "a late write to a table": /tables\.put .* \(late\)$/,
  "a table refuses what is older": /tables\.put .* -> refused/,
  "two fold one manifest": /registers\.swap manifest\/.* -> conflict/,
  "an ack is repeated": /registers\.swap ack\/.* -> conflict/,
  "an invocation comes for a lease that has moved on": /"why":"lease version \d+ is past/,
  "a session loses the race for a lease": /"why":"(another session took the lease|the lease is not free)/,
  "a session comes for a generation that is over": /"why":"generation \d+ is not the running one/,
  "a session hands over": / ends: \{"kind":"handover"/,
  "a session is fenced": / ends: \{"kind":"fenced"/,
  "a session fails in order": / ends: \{"kind":"failed"/,
  "a session ends the pipeline": / ends: \{"kind":"done"/,
  "an output too large for an ack": /blobs\.put .*held-/,
  "a shard is split": /input \d\d becomes/,
  "shards are merged": /input \d\d and \d\d become/,
  "a shard is read to its end": /log\.read .* end$/,
  "a cursor is expired": /log\.read .* -> expired$/,
  "a person stops the pipeline": /person \(stop\) has what it wished/,
  "a person deploys a version": /person \(deploy\) has what it wished/,
  "the pipeline gives up": /registers\.swap head .*, failed, .* -> swapped/,
  "the pipeline is stopped": /registers\.swap head .*, stopped, .* -> swapped/,
  "bounded input is finished": /registers\.swap head .*, finished, .* -> swapped/,
  "the pipeline falls asleep": /registers\.swap head .*, suspended, .* -> swapped/,
  "somebody looks at its shards meanwhile": /registers\.swap watch .* -> swapped/,
  "a person restores an older checkpoint": /person \(restore\) has what it wished/,
  "a person asks for a checkpoint that is not kept any more": /\(G3\)/,
  "records are lost before they are read": /\(P1\)/,
  "objects are collected": /blobs\.remove .* -> done$/,
  "items are collected": /registers\.remove .* -> done$/,
  "a record is put aside": /tables\.put dead .* -> written$/,
  "a row is deleted": /tables\.put tallies .*~deleted.* -> written$/,
  "a file is shown": /files\.move .* -> moved$/,
  "a staged file is removed": /files\.remove (?!.*-check).* -> done$/,
  "several records come as one": /input .*\/\d+$/,
  "several tasks read the stream": / task 0\.[1-9]\d* .* log\.read .* -> [1-9]/,
  "a session of a later stage dies": / task [1-9]\.\d+ .* dies: /,
  "a session of a later stage hands over": / task [1-9]\.\d+ .* ends: \{"kind":"handover"/,
  "a session of a later stage is fenced": / task [1-9]\.\d+ .* ends: \{"kind":"fenced"/,
  "a frame is announced twice": /registers\.swap note\/.* -> conflict$/,
  "a frame's announcement comes late": /registers\.swap note\/.* \(late\)$/,
  "a barrier": /registers\.swap note\/\S+ from v0: \d\d bytes -> swapped$/,
  // By a task of another generation than the one in the name.
  "a frame of an earlier generation is taken":
    /task \S+ \d+ \(g(\d+) v\d+\) registers\.list note\/[^/]+\/0*(?!0|\1\/)\d+\/.*, at most [1-4] -> [1-9]/,
  "a frame too long for its note": /blobs\.put tally\/\S+\d{11}-[0-9a-f]{16} -> done$/,
  "the answer to such a frame is lost": /blobs\.put tally\/\S+\d{11}-[0-9a-f]{16}: ambiguous/,
  "a record of a second stream": /input \d+ of also-\d+ /,
  "records of two streams are joined": /tables\.put pairs .* -> written$/,
  "two operators one behind the other": /registers\.swap note\/\S+\/second\/\S+ .* -> swapped$/,
  "a savepoint is made": /person \(savepoint\) has what it wished/,
  "a savepoint is gone back to": /person goes back to savepoint/,
  "a savepoint is deleted": /person \(delete-savepoint\) has what it wished/,
  "a person says what becomes of output": /person \(replay\) has what it wished/,
  "code is deployed, and takes effect by itself": /person \(release\) has what it wished/,
  "a deployment is taken back": /registers\.swap desired .* without deployment .* -> swapped/,
  "a request is taken back with its code":
    /registers\.swap desired .* by \d+(, without deployment [\d,]+)?, null -> swapped/,
  "a row goes to another table": /tables\.put \w+-[xy] .* -> written$/,
  "a file goes to another folder": /files\.move .*lines-[xy]\/.* -> moved$/,
  "a fork is made": /person has made fork-/,
  "frames are collected": /registers\.remove note\/.* -> done$/,
};

/** How many tasks the complete checkpoints are of, one after the other. */
function tasksOfCheckpoints(trace: readonly string[]): readonly number[] {
  const acked = new Map<number, Set<string>>();
  const counts: number[] = [];
  for (const line of trace) {
    const [, id, task] = /registers\.swap ack\/[^/]+\/\d+\/(\d+)\/(\S+) /.exec(line) ?? [];
    if (task !== undefined) acked.set(Number(id), new Set([...(acked.get(Number(id)) ?? []), task]));
    const [, completed] = /registers\.swap head .*, completed (\d+), .* -> swapped/.exec(line) ?? [];
    if (completed !== undefined) counts.push(acked.get(Number(completed))?.size ?? 0);
  }
  return counts;
}

const follows = (than: (now: number, before: number) => boolean) => (trace: readonly string[]) =>
  tasksOfCheckpoints(trace).some((count, i, all) => i > 0 && than(count, all[i - 1] ?? 0));

/** What no single line tells. */
const stories: Readonly<Record<string, (trace: readonly string[]) => boolean>> = {
  "a rescale to more tasks": follows((now, before) => now > before),
  "a rescale to fewer tasks": follows((now, before) => now < before),
  "one task becomes several": follows((now, before) => before === 1 && now > 1),
  "several tasks become one": follows((now, before) => before > 1 && now === 1),
};

describe(`${seeds} seeds`, () => {
  const seen = new Set<string>();
  const look = (outcome: Outcome) => {
    for (const [name, pattern] of Object.entries(happenings))
      if (!seen.has(name) && outcome.trace.some((line) => pattern.test(line))) seen.add(name);
    for (const [name, isIn] of Object.entries(stories)) if (!seen.has(name) && isIn(outcome.trace)) seen.add(name);
  };

  it("hold every invariant and give the oracle's result", { timeout: 900_000 }, async () => {
    for (let seed = 1; seed <= seeds; seed++) {
      const outcome = await simulate(seed);
      if (outcome.violation !== null) expect.fail(`SEED=${seed} npm run sim   # ${outcome.violation}`);
      look(outcome);
    }
  });

  it("meet what can go wrong", () => {
    expect(Object.keys({ ...happenings, ...stories }).filter((name) => !seen.has(name))).toEqual([]);
  });
});

/** Records come densely and trouble seldom, so that checkpoints complete with frames in flight, and are restored in other tasks. */
const busy = (profile: Profile): Profile => ({
  ...profile,
  parallelism: Math.max(...profile.parallelism) === 1 ? [3, 2, 4] : profile.parallelism,
  variant: { ...profile.variant, bad: "fail" },
  faults: { ...noFaults, crash: 0.002, pause: 0.0005, slow: 0.01, lost: 0.005, delivery: 0.05 },
  slowService: "none",
  outage: null,
  start: "trim-horizon",
  endMillis: null,
  firstWishMillis: 0,
  retentionMillis: 24 * 3_600_000,
  shards: 3,
  records: 200,
  chaosMillis: 30_000,
  wishes: 4,
  bursts: 0,
  suspendAfterMillis: null,
  restartAttempts: 10,
});
const busySeeds = 30;

describe(`${busySeeds} seeds of busy tasks`, () => {
  it("take what was in flight where they are restored, and hold every invariant", { timeout: 900_000 }, async () => {
    const inFlight = happenings["a frame of an earlier generation is taken"];
    let restored = 0;
    for (let seed = 1; seed <= busySeeds; seed++) {
      const { violation, trace } = await simulate(seed, { change: busy });
      if (violation !== null) expect.fail(`seed ${seed} of busy tasks: ${violation}\n${trace.slice(-40).join("\n")}`);
      if (trace.some((line) => inFlight?.test(line))) restored++;
    }
    expect(restored).toBeGreaterThan(busySeeds / 6);
  });
});
