// A bug, found late: what a fork shows of the mended code, and how a replay mends the table. The programs and commands are those of
// docs/replay.md.
import { ScanCommand } from "@aws-sdk/client-dynamodb";
import { afterAll, afterEach, describe, expect, it, vi } from "vitest";
import { blocksOf, userDocs } from "../docs/markdown.js";
import { feed, makeStream, startTestCloud, type TestCloud } from "../fixtures/cli/cloud.js";
import { type Ended, endAll, run, start } from "../fixtures/cli/command.js";
import { newProject, type Project } from "../fixtures/cli/project.js";
import { dynamoAt } from "./cloud-clients.js";

// Processes start slowly on a busy machine.
vi.setConfig({ testTimeout: 600_000, hookTimeout: 120_000 });

const projects: Project[] = [];
afterEach(() => endAll());
afterAll(() => {
  for (const project of projects) project.remove();
});

/** Real departures, in their order. */
async function readFlights(count: number): Promise<readonly unknown[]> {
  const module: { readonly readFlights: (count: number) => Promise<readonly unknown[]> } = await import(
    new URL("../../examples/flight-delays/demo/flights.mjs", import.meta.url).href
  );
  return module.readFlights(count);
}

const page = userDocs().find(({ path }) => path === "docs/replay.md");
const programs = new Map(
  blocksOf(page ?? { path: "", text: "" }).flatMap(({ file, text }) => (file === null ? [] : [[file, text] as const])),
);
const program = (file: string): string => programs.get(file) ?? "";

type Item = Readonly<Record<string, string | number>>;

/** The items of a table by their airports, as readers see them. */
async function itemsOf(endpoint: string, table: string): Promise<ReadonlyMap<string, Item>> {
  const client = dynamoAt(endpoint, "HTTP/1.1");
  const { Items = [] } = await client.send(new ScanCommand({ TableName: table }));
  client.destroy();
  const plain = Items.map((item) =>
    Object.fromEntries(
      Object.entries(item).flatMap(([name, value]) =>
        name.startsWith("~") ? [] : [[name, value.S ?? Number(value.N)] as const],
      ),
    ),
  );
  return new Map(plain.map((item) => [String(item.airport), item]));
}

/** A project with the programs of the page, on a cloud with the stream of flights. */
async function environment() {
  const project = newProject({ "flights.ts": program("flights.ts"), "fixed.ts": program("fixed.ts") });
  projects.push(project);
  const cloud: TestCloud = await startTestCloud(project.folder);
  await makeStream(cloud.endpoint, "flights", 2);
  const tidemark = (...args: string[]): Promise<Ended> => run(args, { cwd: project.folder, env: cloud.env });
  const done = async (...args: string[]): Promise<string> => {
    const ended = await tidemark(...args);
    if (ended.code !== 0) throw new Error(`${args.join(" ")}: ${ended.code}: ${ended.err}`);
    return ended.out;
  };
  return {
    project,
    tidemark,
    done,
    feed: (flights: readonly unknown[]) => feed(cloud.endpoint, "flights", flights),
    items: (table: string) => itemsOf(cloud.endpoint, table),
    begin: (...args: string[]) => start(args, { cwd: project.folder, env: cloud.env }),
  };
}

describe("a bug that was found late", () => {
  it("is mended by a replay that overwrites: the table ends as that of the mended code alone", async () => {
    const { project, tidemark, done, feed: put, items, begin } = await environment();
    const flights = await readFlights(6_000);
    // What ran before the bug came in is what it is mended to.
    project.write("flights.ts", program("fixed.ts"));
    await put(flights.slice(0, 1_500));
    await done("dev", "flights.ts", "--until-drained");
    await done("savepoint", "flights.ts", "--name", "before-delays");
    project.write("flights.ts", program("flights.ts"));
    await put(flights.slice(1_500, 3_000));
    await done("dev", "flights.ts", "--until-drained");
    const wrong = await items("airports");

    const fork = ["fork", "flights.ts", "--from-checkpoint", "before-delays", "--code", "fixed.ts"];
    await done(...fork, "--sinks", "redirect:fixed", "--until-drained");
    expect(await items("airports")).toEqual(wrong);
    const beside = await items("airports-fixed");
    const differing = [...beside].filter(([airport, { late }]) => wrong.get(airport)?.late !== late);
    expect(differing.length).toBeGreaterThan(10);
    const diff = await done("diff", "flights.ts", "airports", "airports-fixed", "--output", "--json");
    const lines = diff
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { change: string; key: Item });
    // An airport of which no flight came since has no row beside.
    const gone = [...wrong.keys()].filter((airport) => !beside.has(airport));
    const found = (change: string) => lines.filter((line) => line.change === change).map(({ key }) => key.airport);
    expect(new Set(found("changed"))).toEqual(new Set(differing.map(([airport]) => airport)));
    expect(new Set(found("removed"))).toEqual(new Set(gone));
    expect(found("added")).toEqual([]);

    const explained = await tidemark("replay", "flights.ts", "--from-checkpoint", "before-delays");
    expect(explained).toMatchObject({ code: 2, out: "" });
    expect(explained.err).toMatch(/airports {2}dynamo-table: redirect, dry-run, overwrite/);
    const replay = ["replay", "flights.ts", "--from-checkpoint", "before-delays", "--sinks", "overwrite"];
    const unsure = await tidemark(...replay);
    expect(unsure).toMatchObject({ code: 1, out: "" });
    expect(unsure.err).toMatch(/records +about 1,500 [\s\S]*fences what runs: give --yes, or --dry-run/);
    const planned = JSON.parse(await done(...replay, "--code", "fixed.ts", "--dry-run", "--json"));
    expect(planned).toMatchObject({
      pipeline: "flights",
      sinks: { airports: "overwrite" },
      records: 1_500,
      changed: false,
    });
    expect(await items("airports")).toEqual(wrong);
    // Killed in the middle it is begun again, and nothing of the first attempt stays.
    const killed = begin(...replay, "--code", "fixed.ts", "--until-drained", "--yes", "--json");
    await killed.event("session", ({ state }) => state === "started");
    killed.signal("SIGKILL", "group");
    await killed.ended;
    await done(...replay, "--code", "fixed.ts", "--until-drained", "--yes");
    const mended = await items("airports");
    expect(mended).not.toEqual(wrong);
    for (const [airport, item] of beside) expect(mended.get(airport)).toEqual(item);

    const of = ["--fork", "flights-fork", "--json"];
    const { forks } = JSON.parse(await done("status", "flights.ts", "--json"));
    expect(forks).toMatchObject([{ name: "flights-fork", checkpoint: planned.checkpoint, status: "stopped" }]);
    expect(JSON.parse(await done("status", "flights.ts", ...of))).toMatchObject({
      pipeline: "flights-fork",
      forks: [],
    });
    const [newest] = JSON.parse(await done("checkpoints", "flights.ts", ...of));
    expect(JSON.parse(await done("explain", "flights.ts", "latest", ...of))).toMatchObject({
      pipeline: "flights-fork",
      checkpoint: newest.id,
    });
    expect(JSON.parse(await done("verify", "flights.ts", "origin", ...of))).toMatchObject({ problems: [] });
    expect(await done("diff", "flights.ts", "origin", "latest", ...of)).toContain('"operator":"punctuality"');
    expect(await done("state", "flights.ts", "latest", ...of)).toContain('"operator":"punctuality"');
    const none = await tidemark("status", "flights.ts", "--fork", "flights-trial");
    expect(none).toMatchObject({ code: 1, out: "" });
    expect(none.err).toContain('"flights" has no fork "flights-trial"; it has: flights-fork');
    const remove = ["fork", "flights.ts", "--delete"];
    expect(await done(...remove, "--dry-run")).toMatch(
      /would be removed, \d+ objects and \d+ items\. Nothing was changed/,
    );
    expect(await done(...remove)).toMatch(/is removed, \d+ objects and \d+ items/);
    expect(await done(...remove)).toMatch(/is not there/);
    expect(JSON.parse(await done("status", "flights.ts", "--json"))).toMatchObject({ forks: [] });

    await put(flights.slice(3_000));
    await done("dev", "fixed.ts", "--until-drained");
    project.write(
      "alone.ts",
      program("fixed.ts").replace('"flights",\n', '"alone",\n').replaceAll('"airports"', '"alone"'),
    );
    await done("dev", "alone.ts", "--until-drained");
    expect(await items("airports")).toEqual(await items("alone"));
  });
});
