// The command line as users have it: `tidemark cloud` and `tidemark dev`, with --json.
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { failWith } from "./processes.mjs";

const command = fileURLToPath(new URL("../../../dist/cli/main.js", import.meta.url));
const pipelineFile = fileURLToPath(new URL("../pipeline.ts", import.meta.url));

/** The embedded cloud, in memory, and the variables for the AWS SDK to find it. */
export async function startCloud(processes, stop) {
  let ready;
  const announced = new Promise((resolve) => {
    ready = resolve;
  });
  const args = [command, "cloud", "--port", "0", "--json"];
  const child = processes.spawn(args, { env: {}, onLine: (line) => ready(JSON.parse(line)) });
  const first = await Promise.race([announced, child.ended]);
  if (typeof first?.endpoint !== "string")
    throw new Error(`the embedded cloud did not start:\n${child.complaints()}\nIs it built? npm run build`);
  failWith(stop, "the embedded cloud", child);
  const env = {
    AWS_ENDPOINT_URL: first.endpoint,
    AWS_REGION: "us-east-1",
    AWS_ACCESS_KEY_ID: "demo",
    AWS_SECRET_ACCESS_KEY: "demo",
    AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: "true",
  };
  return { endpoint: first.endpoint, env, stop: () => child.end() };
}

/**
 * `tidemark dev` on the example pipeline; `onEvent` gets each of its events. It works in a project of its own, for `dev` keeps its
 * bundle and its list of processes in the project's folder: any number of demos may run at a time.
 *
 * @param {object} options `parallelism`: instead of the example's own
 */
export async function startDev(processes, { env, folder, session, parallelism = null, onEvent, stop }) {
  const file = join(folder, "pipeline.ts");
  const example = await readFile(pipelineFile, "utf8");
  const own = /parallelism: \d+/;
  if (!own.test(example)) throw new Error(`${pipelineFile} does not say its parallelism`);
  await writeFile(file, parallelism === null ? example : example.replace(own, `parallelism: ${parallelism}`));
  await writeFile(join(folder, "package.json"), '{ "private": true, "type": "module" }');
  const onLine = (line) => onEvent(JSON.parse(line));
  const child = processes.spawn([command, "dev", file, "--json", "--session", session], { env, onLine });
  failWith(stop, "tidemark dev", child);
  return child;
}
