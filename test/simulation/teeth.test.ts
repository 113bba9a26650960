// A rule that can be broken without being found out guards nothing: each of these mutants of the real code must be found.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { type Profile, plainest } from "../../lib/testing/simulation/profile.js";
import { simulate } from "../../lib/testing/simulation/simulate.js";
import { type Mutant, mutants as mutantsOfOneTask } from "./mutants.js";
import { mutatedSimulation } from "./mutated.js";
import { replayMutants } from "./replay-mutants.js";
import { type Rule, rules, wrongRules } from "./rules.js";
import { taskMutants } from "./task-mutants.js";
import { wideMutants } from "./wide-mutants.js";

const mutants = [...mutantsOfOneTask, ...taskMutants, ...wideMutants, ...replayMutants];

/** The seed that found the mutant first, and some more, since every change of the code shifts what a seed means. */
const seedsTried = 100;

/** One task, unless the mutant says otherwise: what a mutant of one task is found by must not hide behind other troubles. */
const changeOf =
  (mutant: Mutant) =>
  (profile: Profile): Profile => ({ ...profile, ...plainest, ...mutant.profile });

describe("the simulation finds", () => {
  it.each(mutants)("$name", { timeout: 240_000 }, async (mutant) => {
    const mutated = await mutatedSimulation(mutant);
    const options = { change: changeOf(mutant), trace: "none" } as const;
    for (let seed = mutant.seed; seed < mutant.seed + seedsTried; seed++) {
      const { violation } = await mutated(seed, options);
      if (violation === null) continue;
      expect((await simulate(seed, options)).violation, `the code as it is, seed ${seed}`).toBeNull();
      return;
    }
    expect.fail(`seeds ${mutant.seed} to ${mutant.seed + seedsTried - 1} show nothing`);
  });

  it("nothing in a bundle without a mutant", async () => {
    const [first] = mutants;
    if (first === undefined) return expect.fail("there are no mutants");
    const same = await mutatedSimulation({ ...first, name: "none", replace: first.find });
    expect((await same(3)).violation).toBeNull();
    expect((await same(3)).trace).toEqual((await simulate(3)).trace);
  });
});

describe("there are teeth for", () => {
  const root = fileURLToPath(new URL("../..", import.meta.url));
  const known = new Set(mutants.map(({ name }) => name));

  const missing = ({ teeth }: Rule): readonly string[] => {
    if (teeth.kind === "mutants") return teeth.names.filter((name) => !known.has(name));
    if (teeth.kind === "later") return [];
    return readFileSync(join(root, teeth.file), "utf8").includes(teeth.name) ? [] : [`${teeth.file}: ${teeth.name}`];
  };

  it.each([...wrongRules, ...rules])("$rule", (rule) => {
    expect(missing(rule)).toEqual([]);
  });

  it("every rule that docs/PROTOCOL.md states and this version runs", () => {
    const protocol = readFileSync(join(root, "docs/PROTOCOL.md"), "utf8");
    const stated = new Set([...protocol.matchAll(/\*\*([RBCEPKWNGQ]\d)\b/g)].map((match) => match[1]));
    const held = new Set(rules.map(({ rule }) => rule));
    expect([...stated].filter((rule) => !held.has(rule ?? ""))).toEqual([]);
  });

  it("nothing that is not there", () => {
    const made = { rule: "made up", teeth: { kind: "mutants", names: ["no such mutant"] } } as const;
    expect(missing(made)).toEqual(["no such mutant"]);
  });
});
