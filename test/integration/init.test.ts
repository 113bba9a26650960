// What `tidemark init` writes is a project that works: it type checks, its test passes, it runs on the embedded cloud, and its app synthesizes.
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it, vi } from "vitest";
import { nameFrom } from "../../lib/cli/init/project.js";
import { libraryVersion } from "../../lib/model/library.js";
import { type Ended, run, startProgram, tidemarkPath } from "../fixtures/cli/command.js";
import { expectOneMessage } from "../fixtures/cli/refusal.js";
import { testStage } from "../fixtures/cli/stage.js";

// Compilers and processes start slowly on a busy machine.
vi.setConfig({ testTimeout: 240_000, hookTimeout: 60_000 });

const stage = testStage();
const repository = fileURLToPath(new URL("../..", import.meta.url));

const plain = [
  "package.json",
  "tsconfig.json",
  "pipeline.ts",
  "pipeline.test.ts",
  "tidemark.config.ts",
  "put.mjs",
  "show.mjs",
  ".gitignore",
  "README.md",
];
const withApp = [...plain, "app.ts", "cdk.json"];

interface Manifest {
  readonly name: string;
  readonly scripts: Readonly<Record<string, string>>;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
}

const manifestOf = (folder: string) => JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as Manifest;

/** `tidemark init`, and what npm would install of what the manifest asks for, from what is installed here. */
async function installed(named: string, ...flags: readonly string[]): Promise<string> {
  const folder = join(stage.project.folder, named);
  expect(await stage.tidemark("init", named, ...flags)).toMatchObject({ code: 0, err: "" });
  const { dependencies, devDependencies } = manifestOf(folder);
  const at = (path: string) => join(folder, "node_modules", path);
  mkdirSync(at(".bin"), { recursive: true });
  for (const name of Object.keys({ ...dependencies, ...devDependencies })) {
    mkdirSync(dirname(at(name)), { recursive: true });
    symlinkSync(name === "tidemark" ? repository : join(repository, "node_modules", name), at(name));
  }
  for (const name of ["tsc", "vitest", "esbuild", "cdk"])
    symlinkSync(join(repository, "node_modules/.bin", name), at(join(".bin", name)));
  writeFileSync(at(".bin/tidemark"), `#!/bin/sh\nexec "${process.execPath}" "${tidemarkPath}" "$@"\n`, { mode: 0o755 });
  return folder;
}

const npm = (folder: string, ...args: readonly string[]): Promise<Ended> =>
  startProgram("npm", ["--silent", ...args], { cwd: folder, env: stage.cloud.env }).ended;

async function mustRun(folder: string, ...args: readonly string[]): Promise<string> {
  const ended = await npm(folder, ...args);
  if (ended.code !== 0) expect.fail(`npm ${args.join(" ")} ended with ${ended.code}: ${ended.out}\n${ended.err}`);
  return ended.out;
}

describe("tidemark init", () => {
  it("writes a project that type checks, passes its test, and counts on the embedded cloud", async () => {
    const folder = await installed("Page Visits");
    expect(readdirSync(folder).sort()).toEqual([...plain, "node_modules"].sort());
    expect(manifestOf(folder)).toMatchObject({ name: "page-visits", dependencies: { tidemark: libraryVersion } });

    expect(await mustRun(folder, "run", "check")).toContain("page-visits");
    expect(await mustRun(folder, "test")).toContain("2 passed");

    const drain = () => run(["dev", "pipeline.ts", "--until-drained"], { cwd: folder, env: stage.cloud.env });
    expect(await drain()).toMatchObject({ code: 0, err: "" });
    expect(await mustRun(folder, "run", "put")).toBe("put 3 visits\n");
    expect(await drain()).toMatchObject({ code: 0, err: "" });
    expect((await mustRun(folder, "run", "show")).split("\n").sort()).toEqual(["", "/: 2", "/about: 1"]);
    expect(await mustRun(folder, "run", "put", "--", "/about")).toBe("put 1 visits\n");
    expect(await drain()).toMatchObject({ code: 0, err: "" });
    expect((await mustRun(folder, "run", "show")).split("\n").sort()).toEqual(["", "/: 2", "/about: 2"]);
  });

  it("writes mistakes that the compiler and the test would find", async () => {
    const folder = await installed("mistaken");
    const file = join(folder, "pipeline.ts");
    const text = readFileSync(file, "utf8");
    writeFileSync(file, text.replace("visit.page", "visit.site"));
    expect(await npm(folder, "run", "check")).toMatchObject({ out: expect.stringContaining("'site' does not exist") });
    writeFileSync(file, text.replace("visits + 1", "visits + 2"));
    expect((await npm(folder, "test")).code).not.toBe(0);
  });

  it("writes with --cdk an app that synthesizes both functions, the stream and the table", async () => {
    const folder = await installed("deployed", "--cdk");
    expect(readdirSync(folder).sort()).toEqual([...withApp, "node_modules"].sort());
    await mustRun(folder, "run", "check");
    expect(manifestOf(folder).scripts.deploy).toBe("cdk deploy");
    const env = { CDK_DISABLE_CLI_TELEMETRY: "true", CDK_HOME: join(folder, "cdk-home") };
    const cdk = join(folder, "node_modules/.bin/cdk");
    const ended = await startProgram(cdk, ["synth", "--quiet", "--no-notices"], { cwd: folder, env }).ended;
    if (ended.code !== 0) expect.fail(`${ended.out}\n${ended.err}`);
    const template = JSON.parse(readFileSync(join(folder, "cdk.out/Deployed.template.json"), "utf8"));
    const types = Object.values<{ readonly Type: string }>(template.Resources).map(({ Type }) => Type);
    const functions = types.filter((type) => type === "AWS::Lambda::Function");
    expect(functions).toHaveLength(2);
    expect(types).toContain("AWS::Kinesis::Stream");
    expect(types.filter((type) => type === "AWS::DynamoDB::GlobalTable")).toHaveLength(1);
  });

  it("writes over nothing, and says which files are there", async () => {
    const folder = join(stage.project.folder, "taken");
    mkdirSync(folder);
    writeFileSync(join(folder, "pipeline.ts"), "mine");
    writeFileSync(join(folder, "README.md"), "mine too");
    const refused = await stage.tidemark("init", "taken");
    expectOneMessage(refused, 1, /has already: pipeline\.ts, README\.md\. Nothing was written/);
    expect(await stage.tidemark("init", "taken", "--dry-run")).toMatchObject({ code: 1 });
    expect(readdirSync(folder).sort()).toEqual(["README.md", "pipeline.ts"]);
    expect(readFileSync(join(folder, "pipeline.ts"), "utf8")).toBe("mine");
  });

  it("lists with --dry-run what it would write, and writes nothing", async () => {
    const listed = await stage.tidemark("init", "later", "--dry-run", "--json", "--cdk");
    expect(JSON.parse(listed.out)).toEqual({
      folder: join(stage.project.folder, "later"),
      name: "later",
      files: withApp,
      written: false,
    });
    const said = await stage.tidemark("init", "later", "--dry-run");
    expect(said.out).toContain("would write into later");
    for (const file of plain) expect(said.out).toContain(`  ${file}\n`);
    expect(existsSync(join(stage.project.folder, "later"))).toBe(false);
  });

  it("refuses a folder that is a file", async () => {
    writeFileSync(join(stage.project.folder, "a-file"), "");
    expectOneMessage(await stage.tidemark("init", "a-file"), 1, /a-file/);
  });

  it.each([
    ["Page Visits", "page-visits"],
    ["Größe.2", "gro-e-2"],
    ["2026-visits-", "visits"],
    ["数", "visits"],
    [`a${"b".repeat(60)}`, `a${"b".repeat(39)}`],
  ])("calls a project in %j %j", (folder, name) => {
    expect(nameFrom(join("/somewhere", folder))).toBe(name);
  });
});
