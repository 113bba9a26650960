import { readGenerationRecord, readHead } from "../../checkpoint/store.js";
import { checkInvocable, describeFunction } from "../../connectors/deployed-functions.js";
import { dynamoTables } from "../../connectors/dynamo-tables.js";
import type { GenerationRecord } from "../../model/head.js";
import { libraryVersion } from "../../model/library.js";
import { storeOf, type Target } from "../environment.js";
import { type Finding, failure, ok, problem, warning } from "./findings.js";

/** The record of the generation that runs, or ran last; null where the pipeline never ran here. */
export async function readRecord(target: Target, pipeline: string): Promise<GenerationRecord | null> {
  const table = await dynamoTables(target.clients.dynamo).describe(target.environment.table);
  if (table.kind === "absent") return null;
  const store = storeOf(pipeline, target);
  const head = await readHead(store);
  return head === null ? null : readGenerationRecord(store, head.value);
}

/** Whether this command and what runs are of one version: of 0.x a minor one may change what is stored. */
export function versionFinding(
  record: Pick<GenerationRecord, "library" | "generation"> | null,
  own = libraryVersion,
): Finding {
  const check = "version of tidemark";
  if (record === null) return ok(check, `${own}; the pipeline has never run in this environment`);
  const found = `${own} here, ${record.library} in generation ${record.generation}`;
  if (record.library === own) return ok(check, `${own}, here and in generation ${record.generation}`);
  return seriesOf(record.library) === seriesOf(own)
    ? ok(check, found)
    : warning(check, found, `install tidemark@${record.library} here, or deploy anew`);
}

/** "1.4.2" → "1", "0.4.2" → "0.4". */
function seriesOf(version: string): string {
  const [major = "", minor = ""] = version.split(".");
  return major === "0" ? `0.${minor}` : major;
}

/** On AWS: whether the supervisor works on the table and bucket that this command works on, and may be called. */
export async function supervisorFinding(target: Target): Promise<Finding | null> {
  if (target.local) return null;
  const check = "supervisor";
  const name = process.env.TIDEMARK_SUPERVISOR_FUNCTION;
  if (name === undefined)
    return warning(
      check,
      "its name is not known: it was not looked at, and what commands ask for waits for its schedule",
      "set TIDEMARK_SUPERVISOR_FUNCTION to the stack's output",
    );
  const { table, bucket } = target.environment;
  try {
    const { variables } = await describeFunction(target.clients.lambda, name);
    await checkInvocable(target.clients.lambda, name);
    const [TABLE, BUCKET] = [variables.TIDEMARK_TABLE, variables.TIDEMARK_BUCKET];
    if (TABLE === table && BUCKET === bucket)
      return ok(check, `"${name}" works on this table and bucket, and may be called`);
    const found = `"${name}" works on table "${TABLE}" and bucket "${BUCKET}", this command on "${table}" and "${bucket}"`;
    return problem(
      check,
      found,
      "set TIDEMARK_TABLE and TIDEMARK_BUCKET, or tidemark.config.ts, to the stack's outputs",
    );
  } catch (error) {
    return failure(check, error);
  }
}
