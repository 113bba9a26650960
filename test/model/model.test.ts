// Every run of tiny pipelines is visited, and what the rules promise is checked in every state (docs/MODEL.md).
import { describe, expect, it } from "vitest";
import { type Configuration, isAsExpected } from "./configuration.js";
import { configurations } from "./configurations.js";
import { told } from "./machine.js";

/** A search takes a second of an idle machine. */
const patience = 120_000;

const small = configurations().filter(({ size }) => size === "small");
const wrong = small.filter(({ expected }) => expected === "violated");
const right = small.filter(({ expected }) => expected === "holds");

const named = (configuration: Configuration) => [configuration.name, configuration] as const;

function check(configuration: Configuration): void {
  const verdict = configuration.check();
  expect(isAsExpected(configuration, verdict), told(verdict)).toBe(true);
  expect(verdict.trace.length > 0, told(verdict)).toBe(configuration.expected === "violated");
}

describe("no run breaks the promise, and every run can still end well", () => {
  it.each(right.map(named))("%s", (_, configuration) => check(configuration), patience);
});

describe("the checker finds what a wrong rule does", () => {
  it.each(wrong.map(named))("%s", (_, configuration) => check(configuration), patience);
});

it("names are not used twice", () => {
  const names = configurations().map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
});
