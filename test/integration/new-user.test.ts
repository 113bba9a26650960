// Every command that the program has, in each situation that a new user comes into: the exit code, one message, and nothing changed.
import { createServer, type Server } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { feed, someWords } from "../fixtures/cli/cloud.js";
import { type Ended, type Running, run, start, startProgram, tidemarkPath } from "../fixtures/cli/command.js";
import { dev } from "../fixtures/cli/dev.js";
import { everythingIn } from "../fixtures/cli/everything.js";
import { openGate } from "../fixtures/cli/gate.js";
import { type Host, type KnownCommand, openHost } from "../fixtures/cli/host.js";
import { type Cell, type Row, type Situation, situations, usualCell } from "../fixtures/cli/new-user.js";
import { rows } from "../fixtures/cli/new-user-rows.js";
import { countPipeline, type Project, rarely } from "../fixtures/cli/project.js";
import { expectOneMessage } from "../fixtures/cli/refusal.js";
import { testStage } from "../fixtures/cli/stage.js";

// Processes start slowly on a busy machine.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 300_000 });

const stage = testStage();
let host: Host;
let known: readonly KnownCommand[];
let fresh: Project;
let live: Running;

beforeAll(async () => {
  const { project, cloud } = stage;
  const letters = 'onBadRecord: "quarantine", deadLetters: dynamoTable({ table: "letters", key: ["id"] })';
  const settings = `checkpoint: { interval: "500ms", timeout: "5s", retained: 2 }, ${letters}`;
  project.write("src/shop.ts", countPipeline({ name: "shop", settings }));
  project.write("src/other.ts", countPipeline({ name: "shop", settings, operator: "tally" }));
  project.write("src/never.ts", countPipeline({ name: "never", settings }));
  project.write("src/throws.ts", 'export const x = 1;\nthrow new TypeError("not ready");\n');
  project.write("src/nothing.ts", "export const x = 1;\n");
  project.write("pipeline.ts", countPipeline({ name: "live", settings: `${rarely}, ${letters}` }));
  project.write("lines.jsonl", '{"operator":"count","key":"z1","state":{"n":5}}\n');
  fresh = stage.newProject({ "src/shop.ts": countPipeline({ name: "shop", settings }) });
  host = openHost({ AWS_EC2_METADATA_DISABLED: "true", HOME: project.folder });
  known = await host.commands();
  live = dev(project, [], cloud.env);
  await live.event("ready");
  await feed(cloud.endpoint, "words-live", someWords(20, 4));
  for (let drained = 0; drained < 4; drained++) {
    expect(await stage.tidemark("dev", "src/shop.ts", "--until-drained")).toMatchObject({ code: 0, err: "" });
    await feed(cloud.endpoint, "words-shop", someWords(20, 4));
  }
  await live.event("status", ({ checkpoint }) => checkpoint !== null);
  expect(await stage.tidemark("savepoint", "src/shop.ts", "--name", "kept")).toMatchObject({ code: 0 });
});
afterAll(async () => {
  host.close();
  live.signal("SIGINT", "alone");
  await live.ended;
});

describe("the commands of the program", () => {
  it("have each a row of the table, and no row is of none", () => {
    expect(Object.keys(rows).sort()).toEqual(known.map(({ name }) => name).sort());
  });

  it("name an option that is not theirs, and the one that was meant", async () => {
    for (const { name, json } of known) {
      expect(json, name).toBe(true);
      const args = rows[name]?.args?.({ file: "src/shop.ts", checkpoint: "latest" }) ?? name.split(" ");
      const ended = await ask([...args, "--jsno"], {});
      expect(ended, name).toMatchObject({ code: 2, out: "" });
      expect(ended.err, name).toMatch(/^error: unknown option '--jsno'\n\(Did you mean --json\?\)\n\(add --help for /);
    }
  });

  it("are suggested to who misspells them", async () => {
    for (const { name } of known.filter((one) => !one.name.includes(" "))) {
      const ended = await ask([`${name}x`], {});
      expect(ended, name).toMatchObject({ code: 2, out: "" });
      expect(ended.err, name).toMatch(
        new RegExp(`unknown command '${name}x'\\n\\(Did you mean (one of .*)?${name}\\b`),
      );
    }
  });

  it("have help, with what their --json prints", async () => {
    for (const { name, json } of known) {
      const ended = await ask([...name.split(" "), "--help"], {});
      expect(ended, name).toMatchObject({ code: 0, err: "" });
      expect(ended.out, name).toMatch(new RegExp(`^Usage: tidemark ${name} `));
      expect(ended.out.includes("--json"), name).toBe(json);
    }
  });
});

const ask = (args: readonly string[], env: Readonly<Record<string, string>>, project = stage.project): Promise<Ended> =>
  host.run(args, { cwd: project.folder, env });

/** Where and how the commands of a situation are run. */
interface Place {
  readonly file: string;
  readonly checkpoint: string;
  readonly env: Readonly<Record<string, string>>;
  readonly flags: readonly string[];
  readonly project: Project;
  close(): Promise<void>;
}

const tableRights = ["DescribeTable", "GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query", "Scan", "CreateTable"];
const bucketRights = ["ListBucket", "GetObject", "PutObject", "DeleteObject", "ListBucketVersions"];
const streamRights = ["DescribeStreamSummary", "ListShards", "GetShardIterator", "GetRecords", "CreateStream"];

const files: Partial<Record<Situation, string>> = {
  "no file": "src/absent.ts",
  "file that throws": "src/throws.ts",
  "file without a pipeline": "src/nothing.ts",
  "never started": "src/never.ts",
  "other operators": "src/other.ts",
  running: "pipeline.ts",
};
const checkpoints: Partial<Record<Situation, string>> = {
  "checkpoint that never was": "999",
  "checkpoint kept no longer": "1",
  "checkpoint of no form": "4x",
};

async function placeOf(situation: Situation): Promise<Place> {
  const { project, cloud } = stage;
  const usual = {
    file: files[situation] ?? "src/shop.ts",
    checkpoint: checkpoints[situation] ?? "latest",
    env: cloud.env,
    flags: [],
    project,
    close: () => Promise.resolve(),
  };
  const denying = async (service: string, rights: readonly string[]) =>
    behind(await openGate(cloud.endpoint, { denied: rights.map((right) => `${service}:${right}`) }));
  const behind = (gate: { readonly endpoint: string; close(): Promise<void> }): Place => ({
    ...usual,
    env: { AWS_ENDPOINT_URL: gate.endpoint },
    close: () => gate.close(),
  });
  switch (situation) {
    case "table missing":
      return { ...usual, env: { ...cloud.env, TIDEMARK_TABLE: "nowhere" } };
    case "bucket missing":
      return { ...usual, env: { ...cloud.env, TIDEMARK_BUCKET: "nowhere" } };
    case "table denied":
      return denying("dynamodb", tableRights);
    case "bucket denied":
      return denying("s3", bucketRights);
    case "stream denied":
      return denying("kinesis", streamRights);
    case "nothing may be written":
      return behind(
        await openGate(cloud.endpoint, { denied: ["dynamodb:PutItem", "dynamodb:UpdateItem", "s3:PutObject"] }),
      );
    case "credentials not valid":
      return behind(await openGate(cloud.endpoint, { refusal: "UnrecognizedClientException" }));
    case "nothing listens":
      return { ...usual, env: { AWS_ENDPOINT_URL: `http://127.0.0.1:${await freePort()}` } };
    case "a web page answers":
      return behind(await openPage());
    case "embedded cloud without data":
      return { ...usual, env: {}, project: fresh };
    case "account without names":
      return { ...usual, env: { AWS_REGION: "eu-west-1" }, flags: ["--aws"] };
    case "account without credentials":
      return {
        ...usual,
        env: { AWS_REGION: "eu-west-1", TIDEMARK_TABLE: "t", TIDEMARK_BUCKET: "b" },
        flags: ["--aws"],
      };
    default:
      return usual;
  }
}

describe("each command", () => {
  it.each(situations)("%s", async (situation) => {
    const place = await placeOf(situation);
    const before = await unchanging();
    const wrong: string[] = [];
    for (const command of known) {
      const row = rows[command.name];
      const cell = row === undefined ? "skip" : cellOf(situation, row);
      if (cell === "skip" || row?.args == null) continue;
      const asJson = command.json && situation !== "running" && situation !== "stopped";
      const flags = place.flags.filter(() => command.name !== "plan");
      const asked = row.args(place);
      // Where nothing may be written it is meant.
      const isMeant = situation === "nothing may be written" && asked.at(-1) === "--dry-run";
      const args = [...(isMeant ? asked.slice(0, -1) : asked), ...flags, ...(asJson ? ["--json"] : [])];
      const ended = await ask(args, place.env, place.project);
      try {
        expectCell(ended, cell, asJson);
      } catch (error) {
        const what = error instanceof Error ? error.message : String(error);
        wrong.push(`${args.join(" ")}\nended with ${ended.code}\n${what}\n${ended.err}${ended.out}`);
      }
    }
    await place.close();
    expect(wrong.join("\n\n")).toBe("");
    expect(await unchanging()).toEqual(before);
  });
});

function cellOf(situation: Situation, row: Row): Cell | "skip" {
  if (!row.checkpoint && situation.startsWith("checkpoint ")) return "skip";
  return row.cells?.[situation] ?? usualCell(situation, row);
}

/** What is said once, or what a report tells; with `--json` nothing but JSON on standard output. */
function expectCell(ended: Ended, { code, says }: Cell, asJson: boolean): void {
  if (asJson) for (const line of ended.out.split("\n").filter((text) => text !== "")) JSON.parse(line);
  if (code !== 0 && ended.out === "") {
    expectOneMessage(ended, code, says);
    return;
  }
  expect(ended.code).toBe(code);
  expect(`${ended.err}${ended.out}`.replaceAll('\\"', '"')).toMatch(says);
  expect(ended.err).not.toMatch(/^\s+at .*:\d+/m);
}

/** What is in the cloud, but for the pipeline that runs. */
async function unchanging() {
  const { items, kept, ...names } = await everythingIn(stage.cloud.endpoint);
  return {
    ...names,
    items: items.map((table = []) => table.filter(({ pk }) => pk?.S !== "live")),
    kept: kept.map((objects) => [...objects].filter(([key]) => !key.startsWith("live/"))),
  };
}

/** Of a server that is closed again, or that accepts and says nothing. */
async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

async function freePort(): Promise<number> {
  const server = createServer();
  const port = await listen(server);
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function openPage(): Promise<{ readonly endpoint: string; close(): Promise<void> }> {
  const server = createServer((socket) => {
    const page = "<!doctype html><html><body>It works!</body></html>";
    const head = `HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: ${page.length}\r\nconnection: close\r\n\r\n`;
    socket.on("error", () => undefined);
    socket.once("data", () => socket.end(head + page));
  });
  const endpoint = `http://127.0.0.1:${await listen(server)}`;
  return { endpoint, close: async () => void server.close() };
}

describe("a command as a process", () => {
  it("tells after seconds that an endpoint takes connections and says nothing: its own, or that of one service", async () => {
    const silent = createServer((socket) => socket.on("error", () => undefined).unref());
    const endpoint = `http://127.0.0.1:${await listen(silent)}`;
    const { env } = stage.cloud;
    const cases = [
      [["status"], { AWS_ENDPOINT_URL: endpoint }],
      [["state"], { ...env, AWS_ENDPOINT_URL_S3: endpoint }],
      [["check"], { ...env, AWS_ENDPOINT_URL_KINESIS: endpoint }],
    ] as const;
    const message = new RegExp(`^tidemark: nothing answers at ${endpoint} \\(no answer within 5 s\\); `);
    const ended = cases.map(([[name], own]) => {
      const args = rows[name]?.args?.({ file: "src/shop.ts", checkpoint: "latest" }) ?? [];
      return run(args, { cwd: stage.project.folder, env: own });
    });
    for (const one of await Promise.all(ended)) expectOneMessage(one, 3, message);
    silent.close();
  });

  it("ends well where who reads its output stops", async () => {
    const line = `"${process.execPath}" "${tidemarkPath}" state src/shop.ts latest 2>&1 | head -c 1; echo " \${PIPESTATUS[0]}"`;
    const shell = startProgram("bash", ["-c", line], { cwd: stage.project.folder, env: stage.cloud.env });
    expect(await shell.ended).toMatchObject({ code: 0, out: "{ 0\n", err: "" });
  });

  it("says at a Ctrl-C that what it waits for stays asked for", async () => {
    const { project, cloud } = stage;
    const waiting = start(["start", "src/shop.ts", "--from", "kept"], { cwd: project.folder, env: cloud.env });
    while (!waiting.err().includes("waiting: ")) await pause(25);
    waiting.signal("SIGINT", "alone");
    const ended = await waiting.ended;
    expectOneMessage(
      { ...ended, err: ended.err.replace(/^waiting: .*\n\n/, "") },
      130,
      /the start is waited for no more; it stays/,
    );
  });
});
