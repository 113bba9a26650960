import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile, rename, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

/** The library as functions use it; how they are bundled is in `load-pipeline.ts`. */
const entries = ["../../index.js", "../../lambda.js"].map((path) => new URL(path, import.meta.url));

/**
 * The file that function processes load: that of the pipeline, with the library and the SDK it rests on as one file beside it, in place
 * of some hundreds. A process then starts in half the time, and a restart of many tasks starts many. What cannot be bundled, because
 * packages lie where only a package manager finds them, is loaded as it is.
 *
 * @param pipelineBundle absolute path, of `loadPipeline`
 */
export async function bundleFunctions(pipelineBundle: string): Promise<string> {
  const library = await bundleLibrary();
  if (library === null) return pipelineBundle;
  const folder = dirname(pipelineBundle);
  const libraryUrl = pathToFileURL(await writeOnce(folder, "tidemark", library)).href;
  const text = entries.reduce(
    (bundle, { href }) => bundle.replaceAll(JSON.stringify(href), JSON.stringify(libraryUrl)),
    await readFile(pipelineBundle, "utf8"),
  );
  return writeOnce(folder, "functions", text);
}

/** Packages in CommonJS ask for `require`, which a module has not. */
const banner = `import { createRequire } from "node:module"; const require = createRequire(import.meta.url);`;

async function bundleLibrary(): Promise<string | null> {
  const esbuild = await import("esbuild");
  const contents = entries.map(({ href }) => `export * from ${JSON.stringify(fileURLToPath(href))};`).join("\n");
  const built = await esbuild
    .build({
      stdin: { contents, resolveDir: dirname(fileURLToPath(import.meta.url)), loader: "js" },
      bundle: true,
      format: "esm",
      platform: "node",
      target: "node20",
      banner: { js: banner },
      write: false,
      logLevel: "silent",
    })
    .catch(() => null)
    .finally(() => esbuild.stop());
  return built?.outputFiles[0]?.text ?? null;
}

/** Named by its content, so that two starts never see half of it; functions of an earlier start may still load theirs. */
async function writeOnce(folder: string, name: string, text: string): Promise<string> {
  const path = join(folder, `${name}-${createHash("sha256").update(text).digest("hex").slice(0, 16)}.mjs`);
  if (existsSync(path)) return path;
  const part = `${path}.${process.pid}`;
  await writeFile(part, text);
  await rename(part, path);
  return path;
}
