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
  if (path === undefined) return {};
  const config = (await loadModule(path)).default;
  if (typeof config !== "object" || config === null)
    throw new StreamError("invalid", `${path}: export the configuration as default, an object`);
  const known: ReadonlySet<string> = new Set(["table", "bucket", "region", "bindings"]);
  const unknown = Object.keys(config).filter((name) => !known.has(name));
  if (unknown.length > 0)
    throw new StreamError(
      "invalid",
      `${path}: unknown ${unknown.map((name) => `"${name}"`).join(", ")}; known are ${[...known].join(", ")}`,
    );
  return config as TidemarkConfig;
}
