// LocalStack in a folder of its own, set up once: what it is written in, and the emulators that it starts.
import { createHash } from "node:crypto";
import { mkdir, open, readdir, readFile, readlink, rename, rm, symlink, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { mustRun, runningOf } from "./commands.js";
import { findTools, type Tools } from "./tools.js";
import { zipOf } from "./zip.js";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

export interface Installed {
  readonly folder: string;
  readonly python: string;
  /** What LocalStack takes for its "lib": packages that it would otherwise download. */
  readonly lib: string;
  /** Where functions find what Lambda has without being given it: the AWS SDK. */
  readonly runtimeModules: string;
}

/** Says what is done, one line at a time. */
export type Say = (line: string) => void;

const version = "4.14.0";
const kinesisVersion = "0.5.2";

export const installFolder = (): string =>
  process.env.TIDEMARK_CLOUD_CACHE ?? join(homedir(), ".cache", "tidemark", `localstack-${version}`);

/** Makes what is not there yet: a minute at the first time, nothing later. */
export async function installLocalStack(say: Say, folder: string = installFolder()): Promise<Installed> {
  await mkdir(folder, { recursive: true });
  return alone(join(folder, "lock"), say, async () => {
    const parts = await partsOf(folder);
    const missing = parts.filter(({ isThere }) => !isThere);
    const tools = await findTools({ maven: missing.some(({ name }) => name === "dynamodb") });
    const begun = performance.now();
    if (missing.length > 0) say(`LocalStack ${version}: setting up in ${folder}, about a minute`);
    await Promise.all(missing.map((part) => makePart(folder, part, tools, say)));
    if (missing.length > 0) say(`set up in ${seconds(begun)}`);
    return layOut(folder, tools);
  });
}

const seconds = (begun: number) => `${((performance.now() - begun) / 1_000).toFixed(1)} s`;

interface Part {
  readonly name: keyof typeof makers;
  /** Changes with all that the part is made from. */
  readonly fingerprint: string;
  readonly isThere: boolean;
}

const makers = { python: makePython, kinesis: makeKinesis, dynamodb: makeDynamo };
const madeFrom: Readonly<Record<keyof typeof makers, readonly string[]>> = {
  python: ["requirements.txt", "python/older_python.py"],
  kinesis: ["install.ts"],
  dynamodb: ["pom.xml", "install.ts"],
};

function partsOf(folder: string): Promise<readonly Part[]> {
  const names = Object.keys(makers) as (keyof typeof makers)[];
  return Promise.all(
    names.map(async (name) => {
      const hash = createHash("sha256").update(version);
      for (const file of madeFrom[name]) hash.update(await readFile(here(file)));
      const fingerprint = hash.digest("hex");
      const made = await readFile(join(folder, name, "complete"), "utf8").catch(() => "");
      return { name, fingerprint, isThere: made === fingerprint };
    }),
  );
}

/** A part that was cut off has no mark of completeness, and is made anew. */
async function makePart(folder: string, part: Part, tools: Tools, say: Say): Promise<void> {
  const begun = performance.now();
  const path = join(folder, part.name);
  await rm(path, { recursive: true, force: true });
  await mkdir(path, { recursive: true });
  await makers[part.name](path, tools);
  await writeFile(join(path, "complete"), part.fingerprint);
  say(`  ${part.name}: ${seconds(begun)}`);
}

async function makePython(path: string, { python, pythonVersion }: Tools): Promise<void> {
  await mustRun(python, ["-m", "venv", path]);
  const pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"];
  await mustRun(join(path, "bin/python"), [...pip, "--requirement", here("requirements.txt")]);
  const [major, minor] = pythonVersion;
  const sources = join(path, `lib/python${major}.${minor}/site-packages/localstack`);
  if (minor < 13) await mustRun(join(path, "bin/python"), [here("python/older_python.py"), sources]);
}

async function makeKinesis(path: string): Promise<void> {
  const quiet = ["--silent", "--no-audit", "--no-fund", "--no-save"];
  await mustRun("npm", ["install", ...quiet, "--prefix", path, `kinesis-local@${kinesisVersion}`]);
}

/** As LocalStack would unpack it: one jar that names the others, and an agent. */
async function makeDynamo(path: string): Promise<void> {
  const libraries = join(path, "DynamoDBLocal_lib");
  const goal = ["dependency:copy-dependencies", `-DoutputDirectory=${libraries}`, "-DincludeScope=runtime"];
  await mustRun("mvn", ["--quiet", "--batch-mode", "--file", here("pom.xml"), ...goal]);
  const jars = (await readdir(libraries)).filter((name) => name.endsWith(".jar")).sort();
  const agent = jars.find((name) => name.startsWith("byte-buddy-agent"));
  if (agent === undefined) throw new Error(`no agent among ${jars.join(", ")}`);
  await rename(join(libraries, agent), join(path, "ddb-local-loader-0.1.jar"));
  const rest = jars.filter((name) => name !== agent).map((name) => `DynamoDBLocal_lib/${name}`);
  const manifest = [
    "Manifest-Version: 1.0",
    "Main-Class: com.amazonaws.services.dynamodbv2.local.main.ServerRunner",
    ...folded(`Class-Path: ${rest.join(" ")}`),
    "",
  ].join("\n");
  await writeFile(join(path, "DynamoDBLocal.jar"), zipOf({ "META-INF/MANIFEST.MF": manifest }));
}

const manifestLineMax = 70;

/** A line of a manifest has at most 72 bytes; what goes on begins with a space. */
function folded(line: string): readonly string[] {
  const lines: string[] = [line.slice(0, manifestLineMax)];
  for (let at = manifestLineMax; at < line.length; at += manifestLineMax - 1)
    lines.push(` ${line.slice(at, at + manifestLineMax - 1)}`);
  return lines;
}

/** The parts where LocalStack looks for them. */
async function layOut(folder: string, tools: Tools): Promise<Installed> {
  const lib = join(folder, "lib");
  const runtimeModules = join(folder, "runtime");
  const links: Readonly<Record<string, string>> = {
    [join(lib, "kinesis-local", kinesisVersion)]: join(folder, "kinesis"),
    [join(lib, "dynamodb-local", "2")]: join(folder, "dynamodb"),
    // It asks for Java 21, and runs on 17 too.
    [join(lib, "java", "21")]: tools.javaHome,
    [join(runtimeModules, "@aws-sdk")]: here("../../../node_modules/@aws-sdk"),
  };
  for (const [link, target] of Object.entries(links)) {
    if ((await readlink(link).catch(() => null)) === target) continue;
    await mkdir(join(link, ".."), { recursive: true });
    await rm(link, { force: true });
    await symlink(target, link);
  }
  return { folder, python: join(folder, "python/bin/python"), lib, runtimeModules };
}

const lockMillisMax = 10 * 60_000;

/** One process at a time; a lock whose process has ended is nobody's. */
async function alone<T>(lock: string, say: Say, work: () => Promise<T>): Promise<T> {
  for (let waited = 0; !(await take(lock)); waited += 500) {
    if (waited === 0) say(`another process sets LocalStack up: waiting for it (${lock})`);
    if (waited > lockMillisMax) throw new Error(`${lock} is held by a process that does not end: end it`);
    const holder = Number(await readFile(lock, "utf8").catch(() => "0"));
    if (holder !== 0 && (await runningOf([holder])).length === 0) await rm(lock, { force: true });
    else await sleep(500);
  }
  try {
    return await work();
  } finally {
    await rm(lock, { force: true });
  }
}

async function take(lock: string): Promise<boolean> {
  try {
    const file = await open(lock, "wx");
    await file.writeFile(String(process.pid));
    await file.close();
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}
