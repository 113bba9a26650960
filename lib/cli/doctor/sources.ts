import { fileLog } from "../../connectors/file-log.js";
import { kinesisLog } from "../../connectors/kinesis-log.js";
import { logs } from "../../connectors/logs.js";
import { nodeFiles } from "../../connectors/node-files.js";
import { formatMillis } from "../../model/duration.js";
import type { Plan } from "../../pipeline/plan.js";
import { isFile, type Source } from "../../pipeline/source.js";
import type { Log, LogDescription } from "../../ports/log.js";
import type { Target } from "../environment.js";
import { type Finding, failure, ok, problem, warning } from "./findings.js";
import { missing } from "./stores.js";
import { tryAll } from "./trials.js";

/** Of each source: whether its stream or file is there and may be read, and whether records are kept for long enough. */
export async function sourceFindings(target: Target, plan: Plan): Promise<readonly Finding[]> {
  const log = logs(kinesisLog(target.clients.kinesis), fileLog(nodeFiles()));
  const all: Finding[] = [];
  for (const [name, source] of plan.sources) {
    const check = `source "${name}"`;
    try {
      all.push(...(await look({ check, log, target, plan, source })));
    } catch (error) {
      all.push(failure(check, error));
    }
  }
  return all;
}

interface Looked {
  readonly check: string;
  readonly log: Log;
  readonly target: Target;
  readonly plan: Plan;
  readonly source: Source<unknown>;
}

async function look({ check, log, target, plan, source }: Looked): Promise<readonly Finding[]> {
  const stream = target.bindings.stream(source.config.stream);
  const described = await log.describe(stream);
  if (isFile(source)) {
    if (described.kind === "found") return [ok(check, `"${stream}" is there`)];
    return [problem(check, `there is no "${stream}"`, "put it there, or bind another in tidemark.config.ts")];
  }
  if (described.kind === "absent") return [missing(`${check}, stream "${stream}"`, target)];
  return [
    await tryStream(`${check}, stream "${stream}"`, log, stream),
    retentionFinding(`${check}, retention`, described, plan.settings.interval),
  ];
}

/** Reading takes nothing away from other readers but two of the calls that a shard answers in a second. */
function tryStream(check: string, log: Log, stream: string): Promise<Finding> {
  let shard = "";
  let cursor = "";
  return tryAll(check, "it", [
    {
      action: "kinesis:ListShards",
      call: async () => {
        shard = (await log.shards(stream))[0]?.shardId ?? "";
      },
    },
    {
      action: "kinesis:GetShardIterator",
      call: async () => {
        if (shard === "") return;
        const found = await log.cursor(stream, shard, { kind: "horizon" });
        if (found.kind === "cursor") cursor = found.cursor;
      },
    },
    { action: "kinesis:GetRecords", call: async () => cursor !== "" && log.read(stream, cursor, 1) },
  ]);
}

/** A pipeline that is restarted after some failed checkpoints reads again what came since the last complete one. */
const intervalsKept = 10;

export function retentionFinding(
  check: string,
  { retentionMillis }: Pick<Extract<LogDescription, { readonly kind: "found" }>, "retentionMillis">,
  interval: number,
): Finding {
  const found = `records are kept for ${formatMillis(retentionMillis)}, with a checkpoint every ${formatMillis(interval)}`;
  const remedy = "raise the stream's retention, or lower checkpoint.interval";
  if (retentionMillis <= interval)
    return problem(check, `${found}: a restart would find records gone that it has to read again`, remedy);
  return retentionMillis < intervalsKept * interval
    ? warning(check, `${found}: a few failed checkpoints leave no time to mend`, remedy)
    : ok(check, found);
}
