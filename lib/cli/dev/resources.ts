import { kinesisLog } from "../../connectors/kinesis-log.js";
import { provisioner, registersKey } from "../../connectors/provision.js";
import { StreamError } from "../../model/errors.js";
import type { Plan } from "../../pipeline/plan.js";
import type { AttributeType } from "../../ports/tables.js";
import type { Target } from "../environment.js";

/** Shards of a stream that `dev` makes. */
const shardsMade = 2;

/** On a local endpoint: makes the streams, tables and bucket that are missing, and returns their names. */
export async function makeMissing(target: Target, plan: Plan): Promise<readonly string[]> {
  const make = provisioner(target.clients);
  const made: string[] = [];
  const note = async (what: string, making: Promise<boolean>) => {
    if (await making) made.push(what);
  };
  await note(`bucket ${target.environment.bucket}`, make.bucket(target.environment.bucket));
  await note(`table ${target.environment.table}`, make.table(target.environment.table, registersKey));
  for (const source of plan.sources.values()) {
    const stream = target.bindings.stream(source.config.stream);
    await note(`stream ${stream}`, make.stream(stream, shardsMade));
  }
  for (const { table, key } of tablesOf(plan))
    await note(`table ${target.bindings.table(table)}`, make.table(target.bindings.table(table), key));
  return made;
}

/** On a real account nothing is made: that is the construct's business. @throws StreamError `invalid` naming a stream that is absent */
export async function checkPresent(target: Target, plan: Plan): Promise<void> {
  const log = kinesisLog(target.clients.kinesis);
  for (const [name, source] of plan.sources) {
    const stream = target.bindings.stream(source.config.stream);
    const found = await log.describe(stream);
    if (found.kind === "absent") {
      throw new StreamError(
        "invalid",
        `source "${name}": there is no stream "${stream}" in this account and region; create it, or bind "${source.config.stream}" in tidemark.config.ts`,
      );
    }
  }
}

interface SinkTable {
  readonly table: string;
  readonly key: readonly { readonly name: string; readonly type: AttributeType }[];
}

const tablesOf = (plan: Plan): readonly SinkTable[] =>
  [...plan.sinks.values()]
    .filter((sink) => sink.kind === "dynamo-table")
    .map((sink) => sink.config as unknown as SinkTable);
