import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type BuildFailure, buildSync, formatMessagesSync } from "esbuild";
import { projectRoot } from "#lib/cli/load-pipeline.js";
import { StreamError } from "#lib/model/errors.js";
import { sha256 } from "#lib/model/sha256.js";
import { builtFile } from "./package-files.js";

export type FunctionRole = "task" | "supervisor";

export interface Bundle {
  /** The folder that is the function's code: `index.mjs` exports `handler`. */
  readonly folder: string;
  readonly bytes: number;
  /** Names of the packages that are in it. */
  readonly packages: readonly string[];
}

/** Of a function's code, unzipped (docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html). */
export const functionBytesMax = 250 * 1024 * 1024;

export interface BundleOptions {
  /** Absolute path of the file that exports the pipeline. */
  readonly entry: string;
  readonly role: FunctionRole;
  /** Of the pipeline: the folder is named by it. */
  readonly name: string;
  /** Packages that are in the function already, as those of a layer are. */
  readonly external: readonly string[];
  readonly bytesMax?: number;
}

/**
 * Bundles a function with esbuild: its handler, the user's pipeline, the library and the AWS SDK, all packages included, into
 * `.tidemark/cdk/` of the user's project. No Docker.
 *
 * @throws StreamError `invalid` where the entry does not compile, or the bundle is larger than a function may be
 */
export function bundleFunction(options: BundleOptions): Bundle {
  const { entry, role, name } = options;
  const { text, packages } = build(options);
  const bytes = text.byteLength;
  const most = options.bytesMax ?? functionBytesMax;
  if (bytes > most) {
    throw new StreamError(
      "invalid",
      `${entry}: the bundle of the ${role} function has ${bytes} bytes, and a function at most ${most}; import less, or put packages into a layer and name them in "external"`,
    );
  }
  const folder = join(projectRoot(entry), ".tidemark", "cdk", `${name}-${role}-${sha256(text).slice(0, 16)}`);
  if (!existsSync(folder)) writeWhole(folder, text);
  return { folder, bytes, packages };
}

/** Another process may be writing the same bundle: it appears at once, whole. */
function writeWhole(folder: string, text: Uint8Array): void {
  const part = `${folder}.${process.pid}`;
  mkdirSync(part, { recursive: true });
  writeFileSync(join(part, "index.mjs"), text);
  try {
    renameSync(part, folder);
  } catch (error) {
    if (!existsSync(folder)) throw error;
    rmSync(part, { recursive: true });
  }
}

function build({ entry, role, external }: BundleOptions): {
  readonly text: Uint8Array;
  readonly packages: readonly string[];
} {
  try {
    const { metafile, outputFiles } = buildSync({
      metafile: true,
      write: false,
      entryPoints: [builtFile(`functions/${role}.js`)],
      outfile: "index.mjs",
      alias: { "tidemark-entry": entry },
      external: [...external],
      bundle: true,
      platform: "node",
      format: "esm",
      target: "node22",
      // The SDK's ES modules: half the size of its CommonJS ones, since what is not called is left out.
      mainFields: ["module", "main"],
      minify: true,
      keepNames: true,
      // Packages that are CommonJS ask for Node's own modules by `require`, which an ES module does not have.
      banner: {
        js: 'import { createRequire as tidemarkRequire } from "node:module"; globalThis.require ??= tidemarkRequire(import.meta.url);',
      },
      logLevel: "silent",
    });
    const names = Object.keys(metafile.inputs).map((path) => packageIn.exec(path)?.[1] ?? "");
    const packages = [...new Set(names)].filter((name) => name !== "").sort();
    return { text: outputFiles[0]?.contents ?? new Uint8Array(0), packages };
  } catch (error) {
    const { errors = [] } = error as Partial<BuildFailure>;
    const lines = formatMessagesSync([...errors], { kind: "error", color: false });
    throw new StreamError("invalid", `${entry} does not compile:\n${lines.join("").trim() || String(error)}`);
  }
}

/** The innermost one: packages may have packages of their own. */
const packageIn = /.*node_modules\/((?:@[^/]+\/)?[^/]+)\//;
