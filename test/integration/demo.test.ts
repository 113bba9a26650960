// The demo, as `npm run demo` starts it: on the built command line, with fewer records.
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterEach, beforeAll, describe, expect, it } from "vitest";

const demo = fileURLToPath(new URL("../../examples/flight-delays/demo.mjs", import.meta.url));
const built = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
const timeout = 240_000;

interface Started {
  readonly child: ChildProcess;
  readonly output: { stdout: string; stderr: string };
  readonly ended: Promise<number | null>;
}

const running = new Set<ChildProcess>();

function start(args: readonly string[]): Started {
  const child = spawn(process.execPath, [demo, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  running.add(child);
  const output = { stdout: "", stderr: "" };
  child.stdout.on("data", (data: Buffer) => {
    output.stdout += data.toString();
  });
  child.stderr.on("data", (data: Buffer) => {
    output.stderr += data.toString();
  });
  const ended = new Promise<number | null>((resolve) => {
    child.once("close", (code) => {
      running.delete(child);
      resolve(code);
    });
  });
  return { child, output, ended };
}

/** Where the demo's cloud is, from its progress. */
const endpointIn = (text: string): string => /http:\/\/127\.0\.0\.1:\d+/.exec(text)?.[0] ?? "";
const answers = (endpoint: string): Promise<boolean> =>
  fetch(`${endpoint}/_tidemark/health`).then(
    () => true,
    () => false,
  );

beforeAll(() => {
  if (!existsSync(built)) throw new Error("the demo runs what is built: npm run build first");
});
afterEach(() => {
  for (const child of running) child.kill("SIGINT");
});

describe("the demo", () => {
  it(
    "counts every flight once through crashes, a split and a merge, says so as JSON, and leaves nothing running",
    async () => {
      const { output, ended } = start(["--json", "--records", "12000", "--crashes", "2"]);
      expect(await ended, output.stderr).toBe(0);
      expect(output.stdout.trimEnd().split("\n")).toHaveLength(1);
      const result = JSON.parse(output.stdout);
      expect(result).toMatchObject({ records: 12_000, counted: 12_000, lost: 0, twice: 0, crashes: 2 });
      expect(result).toMatchObject({ splits: 1, merges: 1, wrongAirports: 0 });
      expect(result.recoverySeconds).toHaveLength(2);
      for (const seconds of result.recoverySeconds) expect(seconds).toBeGreaterThan(0);
      expect(result.checkpoints).toBeGreaterThanOrEqual(2);
      expect(result.control.crashes).toBe(2);
      expect(result.control.counted).toBe(12_000 + result.control.twice - result.control.lost);
      expect(await answers(endpointIn(output.stderr))).toBe(false);
    },
    timeout,
  );

  it(
    "ends what it started when it is interrupted",
    async () => {
      const { child, output, ended } = start(["--records", "50000"]);
      await expect.poll(() => /crash 1 of/.test(output.stdout), { timeout: 120_000 }).toBe(true);
      expect(await answers(endpointIn(output.stdout))).toBe(true);
      child.kill("SIGINT");
      expect(await ended).toBe(130);
      expect(await answers(endpointIn(output.stdout))).toBe(false);
    },
    timeout,
  );

  it("refuses options that it does not have, and numbers that make no sense", async () => {
    const wrong = [["--records", "0"], ["--crashes", "some"], ["--fast"]].map((args) => start(args));
    for (const { output, ended } of wrong) {
      expect(await ended).toBe(1);
      expect(output.stderr).toMatch(/--records|--crashes|--fast/);
    }
  });
});

// The demo's modules are plain JavaScript: they are loaded by place.
const demoModule = (name: string) => import(new URL(`../../examples/flight-delays/demo/${name}`, import.meta.url).href);

describe("the demo's comparison", () => {
  const airports = (...rows: readonly (readonly [string, number, number, number])[]) =>
    new Map(rows.map(([airport, flights, late, minutes]) => [airport, { flights, late, minutes }]));
  const expected = airports(["ORD", 10, 2, 100], ["LAX", 5, 1, 20]);

  it.each([
    ["equal", expected, { counted: 15, lost: 0, twice: 0, wrongAirports: 0 }],
    ["lost", airports(["ORD", 8, 2, 90], ["LAX", 5, 1, 20]), { counted: 13, lost: 2, twice: 0, wrongAirports: 1 }],
    ["twice", airports(["ORD", 10, 2, 100], ["LAX", 6, 1, 21]), { counted: 16, lost: 0, twice: 1, wrongAirports: 1 }],
    ["a whole airport lost", airports(["ORD", 10, 2, 100]), { counted: 10, lost: 5, twice: 0, wrongAirports: 1 }],
    [
      "an airport too many",
      airports(...[...expected].map(([a, n]) => [a, n.flights, n.late, n.minutes] as const), ["JFK", 1, 0, 0]),
      { counted: 16, lost: 0, twice: 1, wrongAirports: 1 },
    ],
    [
      "one lost and one twice",
      airports(["ORD", 10, 3, 117], ["LAX", 5, 1, 20]),
      { counted: 15, lost: 0, twice: 0, wrongAirports: 1 },
    ],
  ])("finds what is %s", async (_, found, result) => {
    const { compare } = await demoModule("compare.mjs");
    expect(compare(found, expected)).toEqual(result);
  });

  it("fails for anything lost, repeated or different, and for crashes or changes of shards that did not happen", async () => {
    const { failures } = await demoModule("report.mjs");
    const good = {
      ...{ lost: 0, twice: 0, wrongAirports: 0, crashes: 5, splits: 1, merges: 1 },
      control: { crashes: 5, lost: 0, twice: 900 },
    };
    expect(failures(good, 5)).toEqual([]);
    const bad = [
      { lost: 1 },
      { twice: 1 },
      { wrongAirports: 1 },
      { crashes: 4 },
      { splits: 0 },
      { merges: 0 },
      { control: { ...good.control, crashes: 4 } },
    ];
    for (const change of bad) expect(failures({ ...good, ...change }, 5), JSON.stringify(change)).toHaveLength(1);
  });

  it("takes the numbers from the file itself, all of them", async () => {
    const { readFlights, recompute } = await demoModule("flights.mjs");
    const flights: readonly { origin: string; delay: number }[] = await readFlights(5_000);
    expect(flights).toHaveLength(5_000);
    expect(flights[0]).toEqual({ origin: "LAS", destination: "PHL", delay: 33 });
    const airportsOfFile: ReadonlyMap<string, { flights: number; late: number; minutes: number }> =
      await recompute(5_000);
    const total = [...airportsOfFile.values()].reduce((sum, { flights: n }) => sum + n, 0);
    expect(total).toBe(5_000);
    const atlanta = flights.filter(({ origin }) => origin === "ATL");
    expect(airportsOfFile.get("ATL")).toEqual({
      flights: atlanta.length,
      late: atlanta.filter(({ delay }) => delay > 15).length,
      minutes: atlanta.reduce((sum, { delay }) => sum + delay, 0),
    });
  });
});
