import { join } from "node:path";
import { lookAtService } from "../../connectors/service-look.js";
import type { GenerationRecord } from "../../model/head.js";
import type { Plan } from "../../pipeline/plan.js";
import type { StoreFlags } from "../checkpoints.js";
import { readConfig } from "../config.js";
import { hasData, type OpenCloud, openCloud, spawnEmbedded } from "../embedded-cloud.js";
import { openTarget, type Target } from "../environment.js";
import { loadPipeline, projectRoot } from "../load-pipeline.js";
import { readRecord, supervisorFinding, versionFinding } from "./deployment.js";
import { type Finding, failure, ok } from "./findings.js";
import { clockFinding, nodeFinding } from "./machine.js";
import { sinkFindings } from "./sinks.js";
import { sourceFindings } from "./sources.js";
import { bucketFindings, tableFindings } from "./stores.js";

/** Checks one thing after the other, and says what it finds as it finds it. Ends where nothing more can be looked at. */
export async function* diagnose(file: string | null, flags: StoreFlags): AsyncGenerator<Finding> {
  yield nodeFinding(process.versions.node);
  let plan: Plan | null = null;
  let root = projectRoot(join(process.cwd(), "package.json"));
  if (file !== null) {
    try {
      ({ plan, root } = await loadPipeline(file));
      yield ok("pipeline", `"${plan.graph.name}" compiles and builds`);
    } catch (error) {
      yield failure("pipeline", error);
    }
  }
  let cloud: OpenCloud;
  try {
    cloud = await openWhatIsThere(flags, join(root, ".tidemark", "cloud"));
    yield ok("endpoint", endpointText(cloud, flags));
  } catch (error) {
    yield failure("endpoint", error);
    return;
  }
  let target: Target | null = null;
  try {
    const place = { pipeline: plan?.graph.name ?? "doctor", endpoint: cloud.endpoint, aws: flags.aws };
    target = openTarget(place, await readConfig(root));
    yield* lookAround(target, plan);
  } catch (error) {
    yield failure("environment", error);
  } finally {
    target?.clients.destroy();
    await cloud.own?.stop();
  }
}

/** Where the embedded cloud was never started, one in memory says whether it can be: nothing is left behind. */
async function openWhatIsThere(flags: StoreFlags, folder: string): Promise<OpenCloud> {
  const isEmbedded = (process.env.AWS_ENDPOINT_URL ?? "") === "" && !flags.aws;
  if (!isEmbedded || hasData(flags.data ?? folder))
    return openCloud({ data: flags.data ?? null, port: null, aws: flags.aws }, folder);
  const own = await spawnEmbedded({ port: 0, data: null });
  return { endpoint: own.endpoint, own };
}

function endpointText({ endpoint, own }: OpenCloud, { aws }: StoreFlags): string {
  if (own !== null) return "the embedded cloud starts";
  return endpoint === null || aws ? `AWS${endpoint === null ? "" : `, at ${endpoint}`}` : `${endpoint} answers`;
}

async function* lookAround(target: Target, plan: Plan | null): AsyncGenerator<Finding> {
  const before = Date.now();
  const look = await lookAtService(target.clients.dynamo, target.environment.table).catch((error: unknown) => ({
    error,
  }));
  if ("error" in look) {
    yield failure("credentials", look.error);
    return;
  }
  const after = Date.now();
  yield ok(
    "credentials",
    `key ${shortened(look.accessKeyId)}${look.account === null ? "" : ` of account ${look.account}`}, region ${look.region}`,
  );
  yield clockFinding(look, [before, after]);
  yield* await tableFindings(target);
  yield* await bucketFindings(target, plan?.graph.name ?? null);
  if (plan === null) return;
  let record: GenerationRecord | null = null;
  try {
    record = await readRecord(target, plan.graph.name);
    yield versionFinding(record);
  } catch (error) {
    yield failure("version of tidemark", error);
  }
  yield* await sourceFindings(target, plan);
  yield* await sinkFindings(target, plan, record?.sinks ?? {});
  const supervisor = await supervisorFinding(target);
  if (supervisor !== null) yield supervisor;
}

/** A key's id is no secret, yet need not stand in logs. */
const shortened = (key: string): string => (key.length > 8 ? `${key.slice(0, 4)}…${key.slice(-4)}` : key);
