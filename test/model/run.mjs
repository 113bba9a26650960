// node test/model/run.mjs [part of a name] [--all] [--traces]: see main.ts. Bundled first, since Node runs no TypeScript.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build } from "esbuild";

const folder = mkdtempSync(join(tmpdir(), "tidemark-model-"));
try {
  const outfile = join(folder, "main.mjs");
  const entryPoints = [fileURLToPath(new URL("main.ts", import.meta.url))];
  await build({ entryPoints, outfile, bundle: true, platform: "node", format: "esm", logLevel: "error" });
  const { main } = await import(pathToFileURL(outfile).href);
  process.exitCode = main(process.argv.slice(2), console.log);
} finally {
  rmSync(folder, { recursive: true });
}
