// The PostgreSQL server of the tests, for a benchmark: it is written in TypeScript, which this version of Node does not run as it is.
import { mkdir, rm } from "node:fs/promises";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build } from "esbuild";

const source = fileURLToPath(new URL("../../test/fixtures/postgres/server.ts", import.meta.url));
/** Where packages are found. */
const folder = fileURLToPath(new URL(`../../node_modules/.cache/tidemark-bench/${process.pid}`, import.meta.url));

/** @returns {Promise<{ url: string, close: () => Promise<void> }>} */
export async function startDatabase() {
  await mkdir(folder, { recursive: true });
  try {
    const outfile = `${folder}/server.mjs`;
    await build({
      entryPoints: [source],
      outfile,
      bundle: true,
      packages: "external",
      platform: "node",
      format: "esm",
    });
    const { startPostgres } = await import(pathToFileURL(outfile).href);
    return await startPostgres();
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
