// The command line as users have it: `tidemark cloud` and `tidemark dev`, with --json.
import { fileURLToPath } from "node:url";
import { end } from "./processes.mjs";

const command = fileURLToPath(new URL("../../../dist/cli/main.js", import.meta.url));
const pipelineFile = fileURLToPath(new URL("../pipeline.ts", import.meta.url));
const cloudPatienceMs = 10_000;

/** The embedded cloud, and the variables for the AWS SDK to find it. */
export async function startCloud(processes, dataFolder) {
  let ready;
  const announced = new Promise((resolve) => {
    ready = resolve;
  });
  const args = [command, "cloud", "--port", "0", "--data", dataFolder, "--json"];
  const child = processes.spawn(args, { env: {}, onLine: (line) => ready(JSON.parse(line)) });
  const first = await Promise.race([announced, child.ended]);
  if (typeof first?.endpoint !== "string")
    throw new Error(`the embedded cloud did not start:\n${child.complaints()}\nIs it built? npm run build`);
  const env = {
    AWS_ENDPOINT_URL: first.endpoint,
    AWS_REGION: "us-east-1",
    AWS_ACCESS_KEY_ID: "demo",
    AWS_SECRET_ACCESS_KEY: "demo",
    AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: "true",
  };
  return { endpoint: first.endpoint, env, stop: () => end(child, "SIGTERM", cloudPatienceMs) };
}

/** `tidemark dev` on the example pipeline; `onEvent` gets each of its events. */
export function startDev(processes, { env, session, onEvent }) {
  const onLine = (line) => onEvent(JSON.parse(line));
  return processes.spawn([command, "dev", pipelineFile, "--json", "--session", session], { env, onLine });
}
