// A replay of a pipeline that runs, into other targets of every kind that the embedded cloud has; and one that is asked for while nothing runs.
import { ListObjectsV2Command } from "@aws-sdk/client-s3";
import { afterAll, afterEach, describe, expect, it, vi } from "vitest";
import { countsOf, feed, someWords, startTestCloud, totals } from "../fixtures/cli/cloud.js";
import { endAll, run } from "../fixtures/cli/command.js";
import { dev } from "../fixtures/cli/dev.js";
import { countPipeline, filesUnder, newProject, type Project } from "../fixtures/cli/project.js";
import { s3At } from "./cloud-clients.js";

// Processes start slowly on a busy machine.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 120_000 });

const projects: Project[] = [];
afterEach(() => endAll());
afterAll(() => {
  for (const project of projects) project.remove();
});

/** Counts words into a table, files and a stream. */
const manySinks = (name: string): string =>
  countPipeline({ name })
    .replace("import { dynamoTable,", "import { dynamoTable, fileSink, kinesisStream, s3Files,")
    .replace("(flow) => flow", "(flow) => { const counts = flow")
    .replace(
      /\.to\("totals", (.*)\),\n\);/,
      `;
      return [
        counts.to("totals", $1),
        counts.to("lines", fileSink({ folder: "out/lines" })),
        counts.to("lake", s3Files({ bucket: "lake-${name}", prefix: "words/" })),
        counts.to("stream", kinesisStream({ stream: "counted-${name}", partitionKey: ({ word }: any) => word })),
      ];
    },
  );`,
    );

async function environment(name: string) {
  const project = newProject({ "pipeline.ts": manySinks(name) });
  projects.push(project);
  const cloud = await startTestCloud(project.folder);
  const tidemark = (...args: string[]) => run(args, { cwd: project.folder, env: cloud.env });
  const asked = async (...args: string[]) => {
    const ended = await tidemark(...args, "--json");
    if (ended.code !== 0) throw new Error(`${args.join(" ")}: ${ended.code}: ${ended.err}`);
    return JSON.parse(ended.out.split("\n")[0] ?? "") as Record<string, unknown>;
  };
  const files = (folder: string) =>
    filesUnder(project.folder).filter(({ path }) => path.includes(`/out/${folder}/`) && !path.includes("/.staged/"));
  return { project, cloud, tidemark, asked, files, start: (...flags: string[]) => dev(project, flags, cloud.env) };
}

describe("a replay", () => {
  it("W2 goes beside what is there, of a pipeline that runs; then dry, and nothing is written; then over the table", async () => {
    const { cloud, asked, tidemark, files, start } = await environment("beside");
    const { endpoint } = cloud;
    const words = someWords(900, 20);
    const running = start();
    await running.event("ready");
    await feed(endpoint, "words-beside", words.slice(0, 300));
    await running.event("status", ({ records }) => records >= 300);
    await asked("savepoint", "pipeline.ts", "--name", "first");
    await feed(endpoint, "words-beside", words.slice(300, 600));
    await running.event("status", ({ records }) => records >= 600);
    await asked("savepoint", "pipeline.ts", "--name", "second");
    await vi.waitUntil(
      async () => same(await totals(endpoint, "totals-beside"), countsOf(words.slice(0, 600))),
      waiting,
    );
    const lines = files("lines").length;

    const from = ["replay", "pipeline.ts", "--from-checkpoint", "first", "--yes"];
    const refused = await tidemark(...from, "--sinks", "overwrite");
    expect(refused).toMatchObject({ code: 1, out: "" });
    expect(refused.err).toMatch(/sink "lines" \(file\) does not allow overwrite.*It allows: redirect, dry-run/);
    const started = await tidemark("start", "pipeline.ts", "--from", "first");
    expect(started.err).toMatch(/not its last one[\s\S]*lines \(file\)[\s\S]*lake \(s3-files\)[\s\S]*tidemark replay/);

    const replayed = await asked(...from, "--sinks", "redirect:v2");
    expect(replayed).toMatchObject({ pipeline: "beside", generation: 2, records: 300, changed: true });
    expect(replayed.made).toEqual(["stream counted-beside-v2", "table totals-beside-v2"]);
    await vi.waitUntil(
      async () => same(await totals(endpoint, "totals-beside-v2"), countsOf(words.slice(0, 600))),
      waiting,
    );
    await vi.waitUntil(async () => files("lines-v2").length > 0, waiting);
    await vi.waitUntil(async () => (await lakeFiles(endpoint, "words-v2/")).length > 0, waiting);
    expect(files("lines").length).toBe(lines);

    await asked("replay", "pipeline.ts", "--from-checkpoint", "second", "--sinks", "dry-run", "--yes");
    const before = [await totals(endpoint, "totals-beside"), await totals(endpoint, "totals-beside-v2")];
    const lake = await lakeFiles(endpoint, "words");
    await feed(endpoint, "words-beside", words.slice(600));
    await running.event("status", ({ generation, records }) => generation === 3 && records >= 900);
    const rowsOf = (await asked("status", "pipeline.ts")).sinks;
    await vi.waitUntil(
      async () => JSON.stringify((await asked("status", "pipeline.ts")).sinks).includes('"rows":300'),
      waiting,
    );
    const inOrder = ["lake", "lines", "stream", "totals"];
    expect(rowsOf).toMatchObject(inOrder.map((sink) => ({ sink, mode: "dry-run" })));
    await asked("stop", "pipeline.ts", "--savepoint", "dry");
    await running.ended;
    expect([await totals(endpoint, "totals-beside"), await totals(endpoint, "totals-beside-v2")]).toEqual(before);
    expect(await lakeFiles(endpoint, "words")).toEqual(lake);

    // Of a pipeline that rests: whoever runs next carries it out.
    const modes = ["--sinks", "dry-run", "--sinks", "totals=overwrite"];
    const unheard = await tidemark(
      "replay",
      "pipeline.ts",
      "--from-checkpoint",
      "second",
      ...modes,
      "--yes",
      "--timeout",
      "1s",
    );
    expect(unheard).toMatchObject({ code: 3 });
    expect(await start("--until-drained").ended).toMatchObject({ code: 0 });
    expect(await totals(endpoint, "totals-beside")).toEqual(countsOf(words));
    expect(await asked("status", "pipeline.ts")).toMatchObject({ reason: "replay", generation: 4 });
  });
});

const waiting = { timeout: 120_000, interval: 250 };
const same = (a: ReadonlyMap<string, number>, b: ReadonlyMap<string, number>): boolean =>
  a.size === b.size && [...a].every(([key, value]) => b.get(key) === value);

/** Those that readers see. */
async function lakeFiles(endpoint: string, prefix: string): Promise<readonly string[]> {
  const client = s3At(endpoint);
  const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket: "lake-beside", Prefix: prefix }));
  client.destroy();
  return Contents.flatMap(({ Key = "" }) => (Key.includes("/_tidemark/") ? [] : [Key]));
}
