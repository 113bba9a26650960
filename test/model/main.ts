import { parseArgs } from "node:util";
import { type Configuration, isAsExpected } from "./configuration.js";
import { configurations } from "./configurations.js";
import { told } from "./machine.js";

/** Checks the configurations whose name has the given part, with `--all` also those that take long; prints what comes of each. */
export function main(args: readonly string[], print: (line: string) => void): number {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { all: { type: "boolean" }, traces: { type: "boolean" } },
  });
  const part = positionals[0] ?? "";
  const chosen = configurations().filter(
    ({ name, size }) => name.includes(part) && (size === "small" || part !== "" || values.all === true),
  );
  const surprises = chosen.filter((configuration) => !report(configuration, values.traces === true, print));
  print(`${chosen.length} configurations, ${surprises.length} surprises`);
  return surprises.length === 0 && chosen.length > 0 ? 0 : 1;
}

function report(configuration: Configuration, withTraces: boolean, print: (line: string) => void): boolean {
  const verdict = configuration.check();
  const isExpected = isAsExpected(configuration, verdict);
  const { kind, states, depth, ends } = verdict;
  print(`${isExpected ? "ok" : "NOT AS EXPECTED"}  ${configuration.name}`);
  print(`    ${kind}; ${states} states, depth ${depth}, ${ends} ends`);
  if (withTraces || !isExpected) print(told(verdict));
  return isExpected;
}
