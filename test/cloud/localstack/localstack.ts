// LocalStack as a process of this machine, without Docker.
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rename, rm, symlink } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { familyOf, runningOf, tailOf } from "./commands.js";
import { type Installed, installLocalStack, type Say } from "./install.js";

export interface LocalStackOptions {
  /** What it offers. Without it, all that a deployment by the CDK needs, Lambda included. */
  readonly services?: readonly string[];
  /** Told what is done. Without it, nobody is. */
  readonly say?: Say;
}

export interface LocalStack {
  /** http://127.0.0.1:PORT, for all services. Region us-east-1, any keys. */
  readonly endpoint: string;
  /** What it has written so far. */
  log(): string;
  /** Ends it, its emulators and the functions that run. Nothing is kept but its log, in the folder of the set-up. */
  stop(): Promise<void>;
}

const dataServices = ["s3", "dynamodb", "kinesis", "sts", "iam"];
const deploymentServices = ["cloudformation", "ssm", "events", "scheduler", "logs", "cloudwatch", "ecr", "kms", "sqs"];
const allServices = [...dataServices, ...deploymentServices, "lambda"];

/**
 * Sets LocalStack up where that was not done before, starts it on a free port, and answers when it is ready. Functions of Lambda are
 * Node processes, and schedules run. It ends with the process that has started it, however that ends.
 *
 * @throws Error where something is missing that it needs, or it does not start
 * @example const { endpoint, stop } = await startLocalStack();
 */
export async function startLocalStack({
  services = allServices,
  say = () => undefined,
}: LocalStackOptions = {}): Promise<LocalStack> {
  const installed = await installLocalStack(say);
  const begun = performance.now();
  await removeOldRuns(installed.folder);
  const root = await mkdtemp(join(installed.folder, `run-${process.pid}-`));
  const port = await freePort();
  const logFile = join(root, "localstack.log");
  const child = await launch(installed, { root, port, services, logFile });
  const endpoint = `http://127.0.0.1:${port}`;
  const log = () => readFileSync(logFile, "utf8");
  const stop = async () => {
    await end(child);
    await rename(logFile, join(installed.folder, "last.log")).catch(() => undefined);
    await rm(root, { recursive: true, force: true, maxRetries: 5 });
  };
  try {
    await untilReady(endpoint, child, log);
    await wake(endpoint, services);
  } catch (error) {
    await stop();
    throw error;
  }
  say(`LocalStack is ready at ${endpoint}, after ${((performance.now() - begun) / 1_000).toFixed(1)} s`);
  return { endpoint, log, stop };
}

/** Of processes that were killed. */
async function removeOldRuns(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const owner = /^run-(\d+)-/.exec(name)?.[1];
    if (owner !== undefined && (await runningOf([Number(owner)])).length === 0)
      await rm(join(folder, name), { recursive: true, force: true });
  }
}

interface Launch {
  readonly root: string;
  readonly port: number;
  readonly services: readonly string[];
  readonly logFile: string;
}

async function launch(installed: Installed, { root, port, services, logFile }: Launch): Promise<ChildProcess> {
  const volume = join(root, "var/lib/localstack");
  await mkdir(volume, { recursive: true });
  await symlink(installed.lib, join(volume, "lib"));
  const python = fileURLToPath(new URL("python/", import.meta.url));
  const output = openSync(logFile, "a");
  try {
    return spawn(installed.python, [join(python, "launch.py")], {
      env: {
        ...environmentOf(process.env),
        ...settings({ root, port, services }),
        TIDEMARK_RUNTIME_MODULES: installed.runtimeModules,
        NODE_OPTIONS: `--require ${JSON.stringify(join(python, "loopback.cjs"))}`,
        // Nothing is written beside the sources.
        PYTHONPYCACHEPREFIX: join(installed.folder, "pycache"),
      },
      // Its end is to be ours to order: a terminal's Ctrl-C goes to the tests, which end it when they have ended.
      detached: true,
      stdio: ["pipe", output, output],
    });
  } finally {
    closeSync(output);
  }
}

const settings = ({ root, port, services }: Omit<Launch, "logFile">): Readonly<Record<string, string>> => ({
  OVERRIDE_IN_DOCKER: "0",
  FILESYSTEM_ROOT: root,
  GATEWAY_LISTEN: `127.0.0.1:${port}`,
  LOCALSTACK_HOST: `127.0.0.1:${port}`,
  SERVICES: services.join(","),
  EAGER_SERVICE_LOADING: "0",
  DISABLE_EVENTS: "1",
  LS_LOG: "warn",
  DNS_ADDRESS: "0",
  SKIP_SSL_CERT_DOWNLOAD: "1",
  SQS_ENDPOINT_STRATEGY: "path",
  // How long streams take to be made, split and deleted, in milliseconds.
  KINESIS_LATENCY: "20",
  DYNAMODB_IN_MEMORY: "1",
  DYNAMODB_SHARE_DB: "1",
  PYTHONUNBUFFERED: "1",
});

/** Without what belongs to AWS, Node and Python of whoever has started us. */
const environmentOf = (all: NodeJS.ProcessEnv): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(all).filter(([name]) => !/^(AWS_|NODE_|PYTHON|VITEST|VITE_|npm_)/.test(name)));

const readySecondsMax = 120;

async function untilReady(endpoint: string, child: ChildProcess, log: () => string): Promise<void> {
  let failed: Error | null = null;
  child.once("error", (error) => {
    failed = error;
  });
  for (let waited = 0; ; waited += 0.1) {
    const answer = await fetch(`${endpoint}/_localstack/health`).catch(() => null);
    if (answer?.ok) return;
    if (failed !== null) throw failed;
    if (child.exitCode !== null || child.signalCode !== null || waited > readySecondsMax)
      throw new Error(`LocalStack has not started; its log ends so:\n${tailOf(log())}`);
    await sleep(100);
  }
}

/** Requests that change nothing. At the first one a service is loaded, and its emulator started: clients would not wait so long. */
const firstRequests: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  dynamodb: { "x-amz-target": "DynamoDB_20120810.ListTables", "content-type": "application/x-amz-json-1.0" },
  kinesis: { "x-amz-target": "Kinesis_20131202.ListStreams", "content-type": "application/x-amz-json-1.1" },
};

/** Makes the first requests to services, however long they take. */
export async function wake(endpoint: string, services: readonly string[]): Promise<void> {
  await Promise.all(
    Object.entries(firstRequests).map(async ([service, headers]) => {
      if (!services.includes(service)) return;
      const authorization = signatureFor(service);
      const answer = await fetch(endpoint, { method: "POST", headers: { ...headers, authorization }, body: "{}" });
      if (!answer.ok)
        throw new Error(`${service} at ${endpoint} does not start: ${answer.status} ${await answer.text()}`);
    }),
  );
}

/** An authorization header: an emulator looks at no signature, only at the service that it names. */
export const signatureFor = (service: string): string =>
  `AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/${service}/aws4_request, SignedHeaders=host, Signature=0`;

const endSecondsMax = 20;

/** Asks it to end, and kills what then is still there. Its emulators are in sessions of their own, so they are looked for before. */
async function end(child: ChildProcess): Promise<void> {
  if (child.pid === undefined) return;
  const family = await familyOf(child.pid);
  child.kill("SIGTERM");
  for (let waited = 0; ; waited += 0.2) {
    const left = await runningOf(family);
    if (left.length === 0) return;
    if (waited > 2 * endSecondsMax) throw new Error(`processes of LocalStack do not end: ${left.join(", ")}`);
    if (waited > endSecondsMax) left.forEach(kill);
    await sleep(200);
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended.
  }
}

function freePort(): Promise<number> {
  const server = createServer();
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
    });
  });
}
