// The world that a pipeline meets: endpoints that do not answer, what is missing or unfit there, no credentials, no emulators.
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import {
  countsOf,
  feed,
  makeStream,
  makeTable,
  someWords,
  startTestCloud,
  type TestCloud,
  totals,
} from "../fixtures/cli/cloud.js";
import { endAll, nothingIsLeft, run, startProgram } from "../fixtures/cli/command.js";
import { checkpointsText, dev } from "../fixtures/cli/dev.js";
import { countPipeline, newProject, type Project } from "../fixtures/cli/project.js";
import { drain, expectOneMessage, expectRefusedDev } from "../fixtures/cli/refusal.js";

// Processes start slowly on a busy machine.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let home: Project;
let cloud: TestCloud;
const projects: Project[] = [];
beforeAll(async () => {
  home = projectOf("home");
  cloud = await startTestCloud(home.folder);
});
afterAll(async () => {
  await cloud.close();
  endAll();
  for (const project of projects) project.remove();
});

function projectOf(name: string, files: Readonly<Record<string, string>> = {}): Project {
  const project = newProject({ "pipeline.ts": countPipeline({ name }), ...files });
  projects.push(project);
  return project;
}

const devIn = (project: Project, flags: readonly string[], env: Readonly<Record<string, string>>) =>
  run(["dev", "pipeline.ts", "--until-drained", ...flags], { cwd: project.folder, env });

describe("an endpoint", () => {
  it("at which nobody listens is told at once", async () => {
    const endpoint = `http://127.0.0.1:${await portOf((server) => server.close())}`;
    const message = new RegExp(
      `^tidemark: nothing answers at ${endpoint} \\(ECONNREFUSED\\); start it, or unset AWS_ENDPOINT_URL\\n$`,
    );
    for (const command of [
      ["dev", "pipeline.ts"],
      ["checkpoints", "pipeline.ts"],
    ]) {
      const started = performance.now();
      const ended = await run(command, { cwd: home.folder, env: { AWS_ENDPOINT_URL: endpoint } });
      expectOneMessage(ended, 3, message);
      expect(performance.now() - started).toBeLessThan(15_000);
    }
  });

  it("that takes connections and never answers is told after seconds, not after all the SDK's retries", async () => {
    let silent: Server | null = null;
    const port = await portOf((server) => {
      silent = server;
    });
    const ended = await devIn(home, [], { AWS_ENDPOINT_URL: `http://127.0.0.1:${port}` });
    expectOneMessage(ended, 3, /nothing answers at http:\/\/127\.0\.0\.1:\d+ \(no answer within 5 s\); start it/);
    (silent as Server | null)?.close();
  });

  it("that is no URL is told", async () => {
    const ended = await devIn(home, [], { AWS_ENDPOINT_URL: "localhost:4566" });
    expectOneMessage(
      ended,
      1,
      /AWS_ENDPOINT_URL is no URL: localhost:4566; write one such as http:\/\/127\.0\.0\.1:4566/,
    );
  });

  it("whose port is taken: cloud and dev say so", async () => {
    let taken: Server | null = null;
    const port = await portOf((server) => {
      taken = server;
    });
    const message = new RegExp(
      `the embedded cloud cannot listen on 127.0.0.1:${port}: .*EADDRINUSE.* Free the port or give another one`,
    );
    expectOneMessage(await run(["cloud", "--port", `${port}`], { cwd: home.folder }), 1, message);
    expectOneMessage(await devIn(home, ["--port", `${port}`], {}), 1, message);
    (taken as Server | null)?.close();
  });
});

/** The port of a server on this machine that accepts and says nothing, once `then` was done with it. */
function portOf(then: (server: Server) => void): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer((socket) => socket.on("error", () => undefined).unref());
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      then(server);
      resolve(typeof address === "object" && address !== null ? address.port : 0);
    });
  });
}

describe("what is missing on an endpoint", () => {
  it("is named, all of it, where nothing may be made; and made where it may", async () => {
    const project = projectOf("absent", {
      "tidemark.config.ts": 'export default { table: "absent-heads", bucket: "absent-snapshots" };',
    });
    const ended = await devIn(project, ["--no-create"], cloud.env);
    const wanted = [
      'source "words": there is no stream "words-absent"',
      'there is no table "absent-heads" for checkpoints',
      'there is no bucket "absent-snapshots" for checkpoints',
      'sink "totals": there is no table "totals-absent"',
    ];
    expectOneMessage(
      ended,
      1,
      new RegExp(`${wanted.join(", and ")} in ${cloud.endpoint}; leave out --no-create to have it made`),
    );
    expect(await devIn(project, [], cloud.env)).toMatchObject({ code: 0, err: "" });
    expect(await devIn(project, ["--no-create"], cloud.env)).toMatchObject({ code: 0, err: "" });
  });
});

describe("a table with another key", () => {
  it("of the sink is told before anything is fenced; with the right table the pipeline goes on exactly", async () => {
    const project = projectOf("keyed");
    const words = someWords(60, 6);
    await makeStream(cloud.endpoint, "words-keyed");
    await feed(cloud.endpoint, "words-keyed", words.slice(0, 30));
    await drain(project, cloud.endpoint);
    await feed(cloud.endpoint, "words-keyed", words.slice(30));
    const before = await checkpointsText(project, cloud.env);
    await makeTable(cloud.endpoint, "wrong-key", { id: "S", at: "N" });
    const config = project.write(
      "tidemark.config.ts",
      'export default { bindings: { tables: { "totals-keyed": "wrong-key" } } };',
    );
    const where = { pipeline: "keyed", endpoint: cloud.endpoint };
    await expectRefusedDev(
      project,
      where,
      1,
      /sink "totals": sink table "wrong-key": its key is \(id: string, at: number\), the pipeline writes by \(word: string\); change/,
    );
    expect(await checkpointsText(project, cloud.env)).toBe(before);
    rmSync(config);
    await drain(project, cloud.endpoint);
    expect(await totals(cloud.endpoint, "totals-keyed")).toEqual(countsOf(words));
  });

  it("for checkpoints is told", async () => {
    await makeTable(cloud.endpoint, "no-registers", { id: "S" });
    const project = projectOf("registers", { "tidemark.config.ts": 'export default { table: "no-registers" };' });
    const ended = await devIn(project, [], cloud.env);
    expectOneMessage(
      ended,
      1,
      /table "no-registers" cannot hold checkpoints: its key is \(id: string\), not \(pk: string, sk: string\)/,
    );
  });
});

describe("a real account (--aws)", () => {
  const account = (home: Project) => ({
    ...cloud.env,
    HOME: home.folder,
    AWS_EC2_METADATA_DISABLED: "true",
    TIDEMARK_TABLE: "account-heads",
    TIDEMARK_BUCKET: "account-snapshots",
  });

  it("without names for table and bucket, without a region, without credentials: each is told", async () => {
    const project = projectOf("account");
    const { TIDEMARK_TABLE: _, ...unnamed } = account(project);
    const region = { AWS_REGION: "us-east-1" };
    expectOneMessage(
      await devIn(project, ["--aws"], { ...unnamed, ...region }),
      1,
      /on a real account the table for checkpoints must be named: set "table" in tidemark\.config\.ts, or TIDEMARK_TABLE/,
    );
    expectOneMessage(await devIn(project, ["--aws"], account(project)), 1, /no AWS region; set AWS_REGION/);
    expectOneMessage(
      await devIn(project, ["--aws"], { ...account(project), ...region }),
      1,
      /no valid AWS credentials; set AWS_PROFILE or the AWS_ACCESS_KEY_ID family, or log in again/,
    );
  });

  it("nothing is made there; what is there is used, by the functions too, with the SDK's own credentials", async () => {
    const project = projectOf("account");
    const onRecord = `console.log("key", process.env.AWS_ACCESS_KEY_ID); state.n.update((n: number) => n + 1); return { word: key, n: state.n.get() };`;
    project.write("pipeline.ts", countPipeline({ name: "account", onRecord }));
    // A profile, so that credentials which only look at variables would not do.
    project.write(".aws/credentials", "[acme]\naws_access_key_id = AKIAACME\naws_secret_access_key = secret\n");
    const env = { ...account(project), AWS_PROFILE: "acme", AWS_REGION: "us-east-1" };
    const missing = await devIn(project, ["--aws"], env);
    expectOneMessage(
      missing,
      1,
      /there is no stream "words-account", and .*; create it, or bind another in tidemark\.config\.ts/,
    );
    const local = { ...cloud.env, TIDEMARK_TABLE: "account-heads", TIDEMARK_BUCKET: "account-snapshots" };
    expect(await devIn(project, [], local)).toMatchObject({ code: 0, err: "" });
    await feed(cloud.endpoint, "words-account", someWords(30, 3));
    const used = dev(project, ["--aws", "--until-drained"], env);
    expect(await used.ended).toMatchObject({ code: 0, err: "" });
    expect(used.events().find((event) => event.event === "ready")).toMatchObject({ made: [] });
    const printed = used
      .events()
      .flatMap((event) => (event.event === "log" && event.line.startsWith("key") ? [event.line] : []));
    expect(new Set(printed)).toEqual(new Set(["key AKIAACME"]));
    expect(await totals(cloud.endpoint, "totals-account")).toEqual(countsOf(someWords(30, 3)));
    await nothingIsLeft(used);
  });
});

describe("an installation without the emulators", () => {
  it("is told which command installs them", async () => {
    const root = fileURLToPath(new URL("../..", import.meta.url));
    const folder = mkdtempSync(join(tmpdir(), "bare-"));
    cpSync(join(root, "dist"), join(folder, "dist"), { recursive: true });
    writeFileSync(join(folder, "package.json"), '{ "name": "tidemark", "type": "module" }');
    mkdirSync(join(folder, "node_modules"));
    for (const name of readdirSync(join(root, "node_modules"))) {
      if (name === "kinesalite" || name === "dynalite" || name.startsWith(".")) continue;
      symlinkSync(join(root, "node_modules", name), join(folder, "node_modules", name));
    }
    const project = projectOf("bare");
    const message =
      /the embedded cloud needs the npm package kinesalite, which is not installed: run `npm i -D kinesalite dynalite`/;
    for (const args of [
      ["dev", "pipeline.ts"],
      ["cloud", "--port", "0"],
    ]) {
      const bare = startProgram(process.execPath, [join(folder, "dist/cli/main.js"), ...args], { cwd: project.folder });
      expectOneMessage(await bare.ended, 1, message);
      await nothingIsLeft(bare);
    }
    rmSync(folder, { recursive: true });
  });
});
