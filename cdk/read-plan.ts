import { spawnSync } from "node:child_process";
import { StreamError } from "#lib/model/errors.js";
import { builtFile } from "./package-files.js";
import type { PlanFacts } from "./plan-facts.js";

/**
 * The plan of the pipeline that a file exports. Synchronous, as the making of constructs is: the file is loaded by a process of
 * its own, in the way in which `tidemark dev` loads it. What the file prints goes to stderr.
 *
 * @param variables what the functions will find in their environment: the pipeline's file may read it
 * @throws StreamError `invalid` where there is no such file, it does not compile, it throws, or it exports no pipeline
 */
export function readPlan(entry: string, variables: Readonly<Record<string, string>>): PlanFacts {
  const ran = spawnSync(process.execPath, [builtFile("cdk/plan-file.js"), entry], {
    env: { ...process.env, ...variables },
    stdio: ["ignore", 2, 2, "pipe"],
    maxBuffer: 1 << 26,
  });
  const told = ran.output?.[3]?.toString() ?? "";
  if (told === "")
    throw new StreamError("invalid", `${entry} could not be loaded: ${ran.error ?? `exit code ${ran.status}`}`);
  const answer = JSON.parse(told) as
    | { readonly kind: "plan"; readonly facts: PlanFacts }
    | { readonly kind: "refused"; readonly error: StreamError["kind"]; readonly message: string };
  if (answer.kind === "refused") throw new StreamError(answer.error, answer.message);
  return answer.facts;
}
