import { describe, expect, it } from "vitest";
import { versionFinding } from "../../lib/cli/doctor/deployment.js";
import { exitCodeOf, failure, ok, problem, warning } from "../../lib/cli/doctor/findings.js";
import { clockFinding, nodeFinding } from "../../lib/cli/doctor/machine.js";
import { retentionFinding } from "../../lib/cli/doctor/sources.js";
import { StreamError } from "../../lib/model/errors.js";
import { generation, millis } from "../../lib/model/ids.js";

const hour = 3_600_000;

describe("the clock", () => {
  const at = (serverNow: number, before: number, after: number) =>
    clockFinding({ serverNow: millis(serverNow) }, [before, after]);

  it("is right where the answer's second has a moment of the call", () => {
    for (const [before, after] of [
      [10_999, 11_500],
      [9_000, 10_000],
      [10_000, 10_000],
      [5_000, 50_000],
    ] as const)
      expect(at(10_000, before, after)).toMatchObject({ level: "ok", found: "as the service's, to a second" });
  });

  it.each([
    [100_000, 106_000, 106_100, "warning", "5s ahead of"],
    [100_000, 93_000, 94_000, "warning", "6s behind"],
    [100_000, 105_998, 106_100, "ok", "ahead of"],
    [1_000_000, 1_301_500, 1_301_600, "problem", "ahead of"],
  ])("of %d where the call was from %d to %d is a %s", (server, before, after, level, text) => {
    const found = at(server, before, after);
    expect(found.level).toBe(level);
    expect(found.found).toContain(text.replace(/^\d+s /, ""));
  });

  it("is not known where the service says no time", () => {
    expect(clockFinding({ serverNow: null }, [0, 1]).level).toBe("warning");
  });
});

it.each([
  ["20.19.0", "ok"],
  ["20.18.3", "problem"],
  ["18.20.0", "problem"],
  ["22.1.0", "ok"],
])("Node %s is %s", (version, level) => {
  expect(nodeFinding(version).level).toBe(level);
});

it.each([
  ["0.1.0", "0.1.0", "ok"],
  ["0.1.3", "0.1.0", "ok"],
  ["0.2.0", "0.1.0", "warning"],
  ["1.2.0", "1.9.0", "ok"],
  ["2.0.0", "1.9.0", "warning"],
])("a generation of %s and a command of %s are %s", (library, own, level) => {
  expect(versionFinding({ library, generation: generation(3) }, own).level).toBe(level);
});

it.each([
  [24 * hour, 10_000, "ok"],
  [24 * hour, 3 * hour, "warning"],
  [24 * hour, 24 * hour, "problem"],
])("a retention of %d with checkpoints every %d is %s", (retentionMillis, interval, level) => {
  expect(retentionFinding("retention", { retentionMillis: millis(retentionMillis) }, interval).level).toBe(level);
});

describe("the exit code", () => {
  it("is 0 for what is well or a warning, 1 for a problem, 3 where something did not answer", () => {
    const [well, odd, wrong] = [ok("a", "b"), warning("a", "b", "c"), problem("a", "b", "c")];
    const silent = failure("a", new StreamError("transient", "nothing answers"));
    expect(exitCodeOf([well, odd])).toBe(0);
    expect(exitCodeOf([well, wrong, odd])).toBe(1);
    expect(exitCodeOf([wrong, silent])).toBe(3);
  });
});
