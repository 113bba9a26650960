// Replays and forks where nothing is made unasked, as on an account: on the embedded cloud with --aws, and functions of this machine.
import { DescribeStreamSummaryCommand } from "@aws-sdk/client-kinesis";
import { CreateBucketCommand } from "@aws-sdk/client-s3";
import { afterAll, afterEach, expect, it, vi } from "vitest";
import { countsOf, feed, makeStream, makeTable, someWords, startTestCloud, totals } from "../fixtures/cli/cloud.js";
import { endAll, run, start } from "../fixtures/cli/command.js";
import { countPipeline, newProject } from "../fixtures/cli/project.js";
import { kinesisAt, s3At } from "./cloud-clients.js";

// Processes start slowly on a busy machine.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 120_000 });

/** Counts by tens, until it is mended; and tells each count to a stream. */
const counting = (step: number): string =>
  countPipeline({
    name: "paid",
    onRecord: `state.n.update((n) => n + ${step}); return { word: key, n: state.n.get() };`,
  })
    .replace("import { dynamoTable,", "import { dynamoTable, kinesisStream,")
    .replace("(flow) => flow", "(flow) => { const counts = flow")
    .replace(
      /\.to\("totals", (.*)\),\n\);/,
      `;
      return [
        counts.to("totals", $1),
        counts.to("told", kinesisStream({ stream: "told-paid", partitionKey: ({ word }: any) => word })),
      ];
    },
  );`,
    );

const project = newProject({ "pipeline.ts": counting(10), "fixed.ts": counting(1) });
afterEach(() => endAll());
afterAll(() => project.remove());

async function environment() {
  const { endpoint } = await startTestCloud(project.folder);
  await makeStream(endpoint, "words-paid", 2);
  await makeStream(endpoint, "told-paid", 3);
  await makeTable(endpoint, "totals-paid", { word: "S" });
  await makeTable(endpoint, "registers", { pk: "S", sk: "S" });
  const s3 = s3At(endpoint);
  await s3.send(new CreateBucketCommand({ Bucket: "checkpoints" }));
  s3.destroy();
  const env = {
    AWS_ENDPOINT_URL: endpoint,
    AWS_REGION: "us-east-1",
    AWS_ACCESS_KEY_ID: "any",
    AWS_SECRET_ACCESS_KEY: "any",
    TIDEMARK_TABLE: "registers",
    TIDEMARK_BUCKET: "checkpoints",
  };
  const options = { cwd: project.folder, env };
  const tidemark = (command: string, ...args: string[]) => run([command, "pipeline.ts", "--aws", ...args], options);
  const asked = async (command: string, ...args: string[]) => {
    const ended = await tidemark(command, "--json", ...args);
    if (ended.code !== 0) throw new Error(`${command} ${args.join(" ")}: ${ended.code}: ${ended.err}`);
    return JSON.parse(ended.out.split("\n")[0] ?? "") as Record<string, unknown>;
  };
  const dev = (file: string) => start(["dev", file, "--aws", "--json"], options);
  return { endpoint, tidemark, asked, dev };
}

async function shardsOf(endpoint: string, StreamName: string): Promise<number | undefined> {
  const client = kinesisAt(endpoint, "HTTP/2");
  const { StreamDescriptionSummary } = await client.send(new DescribeStreamSummaryCommand({ StreamName }));
  client.destroy();
  return StreamDescriptionSummary?.OpenShardCount;
}

const waiting = { timeout: 120_000, interval: 250 };

it("W2 what a redirect names is made where that is asked for, like what it stands beside; and else it says what to make", async () => {
  const { endpoint, tidemark, asked, dev } = await environment();
  const words = someWords(600, 20);
  const wrong = dev("pipeline.ts");
  await wrong.event("ready");
  await feed(endpoint, "words-paid", words.slice(0, 300));
  await wrong.event("status", ({ records }) => records >= 300);
  await asked("savepoint", "--name", "first");
  await feed(endpoint, "words-paid", words.slice(300));
  await wrong.event("status", ({ records }) => records >= 600);
  const sumOf = async (table: string) => [...(await totals(endpoint, table)).values()].reduce((sum, n) => sum + n, 0);
  await vi.waitUntil(async () => (await sumOf("totals-paid")) === 6_000, waiting);

  const fork = ["--from-checkpoint", "first", "--code", "fixed.ts", "--sinks", "redirect:v2", "--until-drained"];
  const unmade = await tidemark("fork", ...fork);
  expect(unmade).toMatchObject({ code: 1, out: "" });
  expect(unmade.err).toMatch(
    /no stream "told-paid-v2"; make it with as many shards as "told-paid" has\n.*no table "totals-paid-v2"; make it with the key word \(string\)\nor give --create/,
  );
  const made = ["stream told-paid-v2", "table totals-paid-v2"];
  expect(await asked("fork", ...fork, "--create")).toMatchObject({ fork: "paid-fork", made });
  expect(await shardsOf(endpoint, "told-paid-v2")).toBe(3);
  // Tens until the savepoint, and ones since.
  expect(await sumOf("totals-paid-v2")).toBe(3_300);
  expect(await sumOf("totals-paid")).toBe(6_000);
  expect(await asked("status")).toMatchObject({ generation: 1, status: "running" });

  const replay = ["--from-checkpoint", "first", "--yes"];
  const modes = ["--sinks", "totals=overwrite", "--sinks", "told=redirect:again"];
  const refused = await tidemark("replay", ...replay, "--sinks", "overwrite");
  expect(refused).toMatchObject({
    code: 1,
    err: expect.stringContaining('sink "told" (kinesis-stream) does not allow'),
  });
  expect(await tidemark("replay", ...replay, ...modes, "--dry-run")).toMatchObject({
    code: 1,
    err: expect.stringContaining('there is no stream "told-paid-again"'),
  });
  expect(await asked("replay", ...replay, ...modes, "--create", "--dry-run")).toMatchObject({
    made: ["stream told-paid-again"],
    changed: false,
  });
  await asked("stop");
  await wrong.ended;
  const mended = dev("fixed.ts");
  await mended.event("ready");
  expect(await asked("replay", ...replay, ...modes, "--create")).toMatchObject({
    made: ["stream told-paid-again"],
    changed: true,
    notes: expect.arrayContaining([expect.stringContaining("set TIDEMARK_SUPERVISOR_FUNCTION")]),
  });
  await vi.waitUntil(async () => (await sumOf("totals-paid")) === 3_300, waiting);
  expect(await shardsOf(endpoint, "told-paid-again")).toBe(3);
  expect([...(await totals(endpoint, "totals-paid")).keys()].sort()).toEqual([...countsOf(words).keys()].sort());
});
