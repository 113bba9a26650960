// A program: reads the pipeline of a file, and says on file descriptor 3 what the construct has to know of it.
import { writeSync } from "node:fs";
import { loadPipeline } from "#lib/cli/load-pipeline.js";
import { asStreamError } from "#lib/model/errors.js";
import { factsOf } from "./plan-facts.js";

const tell = (found: object): void => void writeSync(3, JSON.stringify(found));

try {
  const { plan } = await loadPipeline(process.argv[2] ?? "");
  tell({ kind: "plan", facts: factsOf(plan) });
} catch (error) {
  const { kind, message } = asStreamError(error);
  tell({ kind: "refused", error: kind, message });
}
