// npm run test:cloud: what works on the embedded cloud must work on another one.
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

const help = `npm run test:cloud -- [options] [options and words of vitest]

Runs the tests of test/cloud against the cloud that AWS_ENDPOINT_URL names. Without it, LocalStack is set up and started here.

  --localstack   LocalStack, whatever AWS_ENDPOINT_URL says
  --embedded     the embedded cloud, as "tidemark cloud" starts it
  --aws          AWS: the account, the region and the keys that the SDK finds. Costs money
  --help         this text

A word is part of the names of the test files to run; -t "words" chooses tests by their names.
`;

const clouds = ["localstack", "embedded", "aws"];
const args = process.argv.slice(2);
const asked = clouds.filter((name) => args.includes(`--${name}`));
/** vitest judges the rest. */
const rest = args.filter((arg) => !clouds.some((name) => arg === `--${name}`));

function chosen() {
  if (asked.length > 1) refuse(`one of --${asked.join(" and --")}: not both`);
  if (asked.length === 1) return asked[0];
  const endpoint = process.env.AWS_ENDPOINT_URL;
  if (endpoint === undefined || endpoint === "") return "localstack";
  if (/\.amazonaws\.com|\.aws\b/.test(endpoint)) refuse(`AWS_ENDPOINT_URL names AWS (${endpoint}): that takes --aws`);
  return "endpoint";
}

function refuse(message) {
  console.error(message);
  process.exit(2);
}

/** Where AWS is asked for, or a cloud of our own, nothing may lead elsewhere. */
function environment(cloud) {
  const kept = cloud === "endpoint" ? () => true : (name) => !name.startsWith("AWS_ENDPOINT_URL");
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => kept(name)));
  return { ...env, TIDEMARK_TEST_CLOUD: cloud };
}

if (args.includes("--help")) {
  console.log(help);
  process.exit(0);
}
const at = (path) => fileURLToPath(new URL(path, import.meta.url));
const command = [at("../../node_modules/vitest/vitest.mjs"), "run", "--config", at("vitest.config.ts"), ...rest];
const child = spawn(process.execPath, command, { stdio: "inherit", env: environment(chosen()), cwd: at("../..") });
// A terminal's Ctrl-C goes to both; vitest closes the cloud, and then ends.
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => child.kill(signal));
child.on("exit", (code) => process.exit(code ?? 1));
