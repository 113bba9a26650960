// A program with a runner that has one frozen and one busy process, to be ended from outside.
import { startRunner } from "../../../dist/local/runner/runner.js";

const [pidFile, entry] = process.argv.slice(2);
const runner = await startRunner({
  pidFile,
  onEvent: (event) => {
    if (event.kind === "started" && runner.environments().length === 2) process.send(runner.environments());
  },
});
const asyncConfig = { retries: 0, maxAgeMs: 60_000, onFailure: null };
const common = { version: "1", entry, handler: "handler", timeoutMs: 60_000, env: {}, asyncConfig };
runner.deploy({ name: "frozen", ...common });
runner.deploy({ name: "busy", ...common });
await runner.invoke({ functionName: "frozen", payload: { do: "state" } });
runner.send({ functionName: "busy", payload: { do: "sleep", ms: 50_000 } });
process.on("message", () => {
  throw new Error("the parent of the functions crashes");
});
