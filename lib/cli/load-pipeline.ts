import { existsSync } from "node:fs";
import { mkdir, rename, writeFile } from "node:fs/promises";
import { basename, dirname, extname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { StreamError } from "../model/errors.js";
import { libraryVersion } from "../model/library.js";
import { sha256 } from "../model/sha256.js";
import { isPipeline } from "../pipeline/pipeline.js";
import type { Plan } from "../pipeline/plan.js";

/** A pipeline's file, bundled: what runs here is what is deployed. */
export interface LoadedPipeline {
  readonly plan: Plan;
  /** Absolute path of the bundle; it exports the handlers `task` and `supervisor`. */
  readonly bundle: string;
  /** Changes with the user's code and with the library (P4). */
  readonly version: string;
  /** The folder of the nearest package.json, where `.tidemark/` lies. */
  readonly root: string;
}

/**
 * Bundles the user's own files with esbuild (packages stay external) into `.tidemark/build/` of their project, and imports that.
 * Types are the user's `tsc`'s business.
 *
 * @param as the name that it runs under: a fork's; null: its own
 * @throws StreamError `invalid`: no such file; it does not compile (with file and line); it throws; it exports no pipeline
 */
export async function loadPipeline(file: string, as: string | null = null): Promise<LoadedPipeline> {
  const path = resolve(file);
  if (!existsSync(path))
    throw new StreamError(
      "invalid",
      `there is no file ${path}; the first argument is the file that exports the pipeline`,
    );
  const root = projectRoot(path);
  const entry = `
    import * as user from ${JSON.stringify(path)};
    import { supervisorHandler, taskHandler } from "tidemark/lambda";
    ${as === null ? "const named = (pipeline) => pipeline;" : renaming(as)}
    const { default: exported } = { default: undefined, ...user };
    const pipeline = named(exported);
    const once = (make) => { let made; return (event, context) => (made ??= make(pipeline))(event, context); };
    export default pipeline;
    export const task = once(taskHandler);
    export const supervisor = once(supervisorHandler);`;
  const { path: bundle, text } = await bundleInto(entry, { root, path });
  const module = await importBundle(bundle, path);
  const pipeline = module.default;
  if (!isPipeline(pipeline)) {
    throw new StreamError(
      "invalid",
      `${path} exports no pipeline: export it as default, export default pipeline("name", {}, (flow) => …)`,
    );
  }
  return { plan: pipeline.plan, bundle, version: sha256(`${libraryVersion}\n${text}`).slice(0, 16), root };
}

/** What is no pipeline is told by who looks at it. */
const renaming = (name: string): string => `
    import { renamed } from "tidemark/renamed";
    const named = (pipeline) => (pipeline?.plan === undefined ? pipeline : renamed(pipeline, ${JSON.stringify(name)}));`;

/** Imports a TypeScript module of the user's that is no pipeline, such as their configuration. */
export async function loadModule(path: string): Promise<Readonly<Record<string, unknown>>> {
  const entry = `
    import * as user from ${JSON.stringify(path)};
    const { default: value } = { default: undefined, ...user };
    export * from ${JSON.stringify(path)};
    export default value;`;
  const { path: bundle } = await bundleInto(entry, { root: projectRoot(path), path });
  return importBundle(bundle, path);
}

export function projectRoot(path: string): string {
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    if (existsSync(join(folder, "package.json"))) return folder;
    if (folder === dirname(folder)) return dirname(path);
  }
}

interface BundlePlace {
  readonly root: string;
  /** The user's file. */
  readonly path: string;
}

async function bundleInto(
  entry: string,
  place: BundlePlace,
): Promise<{ readonly path: string; readonly text: string }> {
  const esbuild = await import("esbuild");
  const folder = join(place.root, ".tidemark", "build");
  const built = await esbuild
    .build({
      stdin: { contents: entry, resolveDir: dirname(place.path), sourcefile: "tidemark-entry.js", loader: "js" },
      bundle: true,
      packages: "external",
      format: "esm",
      platform: "node",
      target: "node20",
      sourcemap: "inline",
      // Where it is going to lie: places in what the user's code throws are then those of their files.
      outfile: join(folder, "bundle.mjs"),
      write: false,
      logLevel: "silent",
      plugins: [ownLibrary],
    })
    .catch(async (error) => {
      const errors = (error as { errors?: [] }).errors ?? [];
      const lines = await esbuild.formatMessages(errors, { kind: "error", color: false });
      throw new StreamError("invalid", `${place.path} does not compile:\n${lines.join("").trim() || String(error)}`);
    })
    // Its process serves further builds; a Ctrl-C on the terminal would reach it too.
    .finally(() => esbuild.stop());
  const text = built.outputFiles[0]?.text ?? "";
  const name = basename(place.path, extname(place.path));
  const path = join(folder, `${name}-${sha256(text).slice(0, 16)}.mjs`);
  if (!existsSync(path)) await writeWhole(folder, path, text);
  return { path, text };
}

/** Another process may be writing the same bundle: it appears at once, whole. */
async function writeWhole(folder: string, path: string, text: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  const part = `${path}.${process.pid}`;
  await writeFile(part, text);
  await rename(part, path);
}

/** "tidemark" is the library of this command, so that plan, handlers and command are of one version. */
const ownLibrary = {
  name: "own-library",
  setup(build: {
    onResolve: (
      filter: { filter: RegExp },
      resolve: (args: { path: string }) => { path: string; external: true },
    ) => void;
  }) {
    const places: Readonly<Record<string, string>> = {
      tidemark: "../index.js",
      "tidemark/lambda": "../lambda.js",
      "tidemark/postgres": "../postgres.js",
      // Of this command alone: no user can import it.
      "tidemark/renamed": "../pipeline/renamed.js",
    };
    build.onResolve({ filter: /^tidemark(\/lambda|\/postgres|\/renamed)?$/ }, ({ path }) => ({
      path: pathToFileURL(fileURLToPath(new URL(places[path] ?? "", import.meta.url))).href,
      external: true,
    }));
  },
};

async function importBundle(bundle: string, file: string): Promise<Readonly<Record<string, unknown>>> {
  // Positions in what the user's file throws are then those of their source.
  process.setSourceMapsEnabled(true);
  try {
    return (await import(pathToFileURL(bundle).href)) as Readonly<Record<string, unknown>>;
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new StreamError("invalid", `${file} cannot be loaded: ${message}${placeOf(cause)}`, { cause });
  }
}

/** Where the user's own code threw; what the library threw names its place in the pipeline. */
function placeOf(cause: unknown): string {
  if (!(cause instanceof Error) || cause instanceof StreamError) return "";
  const [, place] = /\n\s+at (?:.*?\()?(?:file:\/\/)?([^()\n]+:\d+:\d+)\)?/.exec(cause.stack ?? "") ?? [];
  return place === undefined ? "" : ` (at ${place})`;
}
