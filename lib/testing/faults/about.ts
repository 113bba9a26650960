import { canonicalJson } from "../../model/canonical-json.js";
import type { Desired, Invocation, SupervisorCall } from "../../model/head.js";
import type { RegisterKey, RegisterPage } from "../../ports/registers.js";
import type { TablePut, TableTransaction } from "../../ports/tables.js";

type Arguments = readonly unknown[];

const short = (text: string): string => (text.length <= 60 ? text : `${text.slice(0, 28)}…${text.slice(-28)}`);
const lastTwo = (shardId: unknown): string => String(shardId).slice(-2);
const nameOf = (key: unknown): string => short((key as RegisterKey).name);

/** What a call is about, in a few words, where its first argument is not enough. */
const abouts: Readonly<Record<string, (args: Arguments) => string>> = {
  "registers.read": ([key]) => nameOf(key),
  "registers.swap": ([key, expected, body]) =>
    `${nameOf(key)} from v${expected ?? 0}: ${aboutBody((key as RegisterKey).name, String(body))}`,
  "registers.put": ([key]) => nameOf(key),
  "registers.list": ([, prefix, page]) => aboutList(String(prefix), page as RegisterPage | undefined),
  "registers.remove": ([key]) => nameOf(key),
  "log.cursor": ([, shardId, start]) => `${lastTwo(shardId)} ${canonicalJson(start)}`,
  "log.read": ([, cursor]) => aboutCursor(String(cursor)),
  "tables.put": ([put]) => aboutPut(put as TablePut),
  "tables.transact": ([transaction]) => aboutTransaction(transaction as TableTransaction),
  "tables.read": ([table, key]) => `${table} ${canonicalJson(key)}`,
  "functions.invokeTask": ([version, invocation]) => aboutInvocation(String(version), invocation as Invocation),
  "functions.callSupervisor": ([call]) => {
    const { report } = call as SupervisorCall;
    return report === null ? "without a report" : `with a report: ${report.kind}`;
  },
};

export function aboutCall(name: string, args: Arguments): string {
  const about = abouts[name];
  if (about !== undefined) return about(args);
  const [first] = args;
  return short(typeof first === "string" ? first : (JSON.stringify(first) ?? ""));
}

const aboutList = (prefix: string, page: RegisterPage | undefined): string =>
  page === undefined ? short(prefix) : `${short(page.from)}, at most ${page.limit}`;

function aboutBody(name: string, body: string): string {
  const isDocument = name === "head" || name === "desired" || name.startsWith("lease/");
  if (!isDocument) return `${body.length} bytes`;
  const value = JSON.parse(body) as Record<string, unknown>;
  if (name === "desired") return aboutDesired(value as unknown as Desired);
  if (name !== "head") return `${canonicalJson(value.holder)}, ack ${value.ack}`;
  const ref = value.completed as { readonly checkpointId: number } | null;
  const pending = value.pending as { readonly checkpointId: number; readonly andThen: string } | null;
  const awaited = pending === null ? "none" : `${pending.checkpointId} (${pending.andThen})`;
  return `generation ${value.generation}, ${value.status}, completed ${ref?.checkpointId ?? "none"}, pending ${awaited}`;
}

const aboutDesired = ({ state, code, rejected, request }: Desired): string => {
  const back = rejected.length === 0 ? "" : `, without deployment ${rejected}`;
  return `${state} by ${code.functionVersion}${back}, ${canonicalJson(request)}`;
};

/** Cursors of the log in memory say where they stand. */
function aboutCursor(cursor: string): string {
  if (!cursor.startsWith("{")) return short(cursor);
  const { shardId, from } = JSON.parse(cursor) as { readonly shardId: string; readonly from: string };
  return `${lastTwo(shardId)} from ${from}`;
}

function aboutPut(put: TablePut): string {
  const item = canonicalJson(put.item).replace(/\.{9,}/, "…");
  return `${put.table} ${item} ${Buffer.from(put.version.subarray(6)).toString("hex")}`;
}

const aboutTransaction = ({ table, increments, mark }: TableTransaction): string =>
  `${table} ${increments.length} increments, ${Object.values(mark.key)} to ${mark.position}`;

const aboutInvocation = (functionVersion: string, { generation, task, leaseVersion }: Invocation): string =>
  `${functionVersion}: generation ${generation}, task ${task}, lease v${leaseVersion}`;

/** An answer, in a word or two. */
export function aboutResult(name: string, result: unknown): string {
  if (result === undefined) return "done";
  if (result === null) return "absent";
  if (typeof result === "string") return result;
  if (result instanceof Uint8Array) return `${result.length} bytes`;
  if (Array.isArray(result)) {
    const isShards = name === "log.shards";
    return isShards ? result.map(({ shardId }) => lastTwo(shardId)).join() : `${result.length} entries`;
  }
  const { kind, version, records, next } = result as Record<string, unknown>;
  if (kind === "records") {
    const numbers = (records as readonly { readonly sequenceNumber: string }[]).map((each) => each.sequenceNumber);
    return `${numbers.join()}${next === null ? " end" : ""}`;
  }
  if (typeof kind === "string") return kind;
  return typeof version === "number" ? `v${version}` : "found";
}
