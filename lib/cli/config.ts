import { existsSync } from "node:fs";
import { join } from "node:path";
import type { BindingNames } from "../compose.js";
import { StreamError } from "../model/errors.js";
import { loadModule } from "./load-pipeline.js";

/**
 * What `tidemark.config.ts` (or .mts, .js, .mjs) in the project's folder may export as default.
 *
 * @example export default { table: "tidemark-dev", bucket: "acme-tidemark-dev", bindings: { streams: { flights: "acme-flights" } } };
 */
export interface TidemarkConfig {
  /** The DynamoDB table of the environment's checkpoints. */
  readonly table?: string;
  /** The S3 bucket of the environment's checkpoints. */
  readonly bucket?: string;
  readonly region?: string;
  readonly bindings?: BindingNames;
}

const fileNames = ["tidemark.config.ts", "tidemark.config.mts", "tidemark.config.js", "tidemark.config.mjs"];

/** @throws StreamError `invalid` where the file does not compile, or holds what is no configuration */
export async function readConfig(root: string): Promise<TidemarkConfig> {
  const path = fileNames.map((name) => join(root, name)).find((candidate) => existsSync(candidate));
  return path === undefined ? {} : checkConfig(path, (await loadModule(path)).default);
}

const texts = ["table", "bucket", "region"];
const bindingKinds = ["streams", "tables", "buckets", "files", "databases"];

/** @param path for messages. @throws StreamError `invalid`, naming the member: unknown, or of the wrong type */
export function checkConfig(path: string, config: unknown): TidemarkConfig {
  if (config === undefined) throw new StreamError("invalid", `${path}: export the configuration as default, an object`);
  const members = membersOf(path, config, [...texts, "bindings"]);
  for (const name of texts) checkText(`${path}: "${name}"`, members[name]);
  if (members.bindings === undefined) return members;
  const bindings = membersOf(`${path}: "bindings"`, members.bindings, bindingKinds);
  for (const kind of bindingKinds) {
    if (bindings[kind] === undefined) continue;
    const where = `${path}: "bindings.${kind}"`;
    for (const [logical, physical] of Object.entries(membersOf(where, bindings[kind], null)))
      checkText(`${where}, "${logical}"`, physical ?? null);
  }
  return members;
}

function checkText(where: string, value: unknown): void {
  if (value === undefined || (typeof value === "string" && value !== "")) return;
  throw new StreamError("invalid", `${where} must be a name, a string that is not empty`);
}

/** @param known null: any */
function membersOf(where: string, value: unknown, known: readonly string[] | null): Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new StreamError("invalid", `${where} must be an object${known === null ? "" : ` with ${known.join(", ")}`}`);
  const unknown = Object.keys(value).filter((name) => known !== null && !known.includes(name));
  if (unknown.length === 0) return value as Readonly<Record<string, unknown>>;
  const names = unknown.map((name) => `"${name}"`).join(", ");
  throw new StreamError("invalid", `${where}: unknown ${names}; known are ${known?.join(", ")}`);
}
