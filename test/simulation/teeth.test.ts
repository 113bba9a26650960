// A rule that can be broken without being found out guards nothing: each of these mutants of the real code must be found.
import { describe, expect, it } from "vitest";
import type { Profile } from "../../lib/testing/simulation/profile.js";
import { simulate } from "../../lib/testing/simulation/simulate.js";
import { mutants } from "./mutants.js";
import { mutatedSimulation } from "./mutated.js";

/** The seed that found the mutant first, and some more, since every change of the code shifts what a seed means. */
const seedsTried = 100;

describe("the simulation finds", () => {
  it.each(mutants)("$name", { timeout: 120_000 }, async (mutant) => {
    const mutated = await mutatedSimulation(mutant);
    for (let seed = mutant.seed; seed < mutant.seed + seedsTried; seed++) {
      const change = (profile: Profile): Profile => ({
        ...profile,
        slowService: mutant.slowService ?? profile.slowService,
      });
      const { violation } = await mutated(seed, { change, trace: "none" });
      if (violation === null) continue;
      expect((await simulate(seed, { change, trace: "none" })).violation, `the code as it is, seed ${seed}`).toBeNull();
      return;
    }
    expect.fail(`seeds ${mutant.seed} to ${mutant.seed + seedsTried - 1} show nothing`);
  });

  it("nothing in a bundle without a mutant", async () => {
    const [first] = mutants;
    if (first === undefined) return expect.fail("there are no mutants");
    const same = await mutatedSimulation({ ...first, name: "none", replace: first.find });
    expect((await same(first.seed)).violation).toBeNull();
    expect((await same(first.seed)).trace).toEqual((await simulate(first.seed)).trace);
  });
});
