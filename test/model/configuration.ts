import type { Machine, Verdict } from "./machine.js";
import { search, walk } from "./search.js";

/** One machine with one set of rules, and what is to come of it. */
export interface Configuration {
  /** Begins with the rule that it is about. */
  readonly name: string;
  readonly expected: "holds" | "violated";
  /** `small` ones belong to the tests, `large` ones take from some seconds to a minute, `walked` ones have no end. */
  readonly size: "small" | "large" | "walked";
  readonly check: () => Verdict;
}

const runs = 10_000;

/** Makes the configurations of one machine: what must hold, and the wrong rules in which a violation must be found. */
export function configurationsOf<K, S extends object>(machineOf: (setup: K) => Machine<S>) {
  const configuration =
    (expected: Configuration["expected"], size: Configuration["size"]) =>
    (name: string, setup: K): Configuration => {
      const machine = machineOf(setup);
      return { name, expected, size, check: () => (size === "walked" ? walk(machine, runs) : search(machine)) };
    };
  return {
    fails: configuration("violated", "small"),
    holds: configuration("holds", "small"),
    holdsLarge: configuration("holds", "large"),
    holdsWalked: configuration("holds", "walked"),
  };
}

/** Whether a verdict is the expected one; of what holds, at least one run must have come to a good end. */
export function isAsExpected({ expected, size }: Configuration, { kind, ends }: Verdict): boolean {
  if (expected === "violated") return kind === "violated";
  return kind === (size === "walked" ? "unfinished" : "holds") && ends > 0;
}
