// The tests in docs/testing.md are tests: they run here, as their readers would run them.
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build } from "esbuild";
import { describe, expect, it } from "vitest";
import { blocksOf, repository, userDocs } from "../docs/markdown.js";

const page = userDocs().find(({ path }) => path === "docs/testing.md");
const blocks = blocksOf(page ?? { path: "", text: "" }).filter(({ file }) => file !== null);
const tests = blocks.filter(({ file }) => file?.endsWith(".test.ts"));

/** One bundle of all of them, with the library's code beside it and vitest outside. */
async function bundled(): Promise<string> {
  const cache = join(repository, "node_modules", ".cache");
  await mkdir(cache, { recursive: true });
  const folder = await mkdtemp(join(cache, "docs-testing-"));
  for (const { file, text } of blocks) await writeFile(join(folder, String(file)), text);
  const here = (path: string) => fileURLToPath(new URL(`../../lib/${path}`, import.meta.url));
  const outfile = join(folder, "all.mjs");
  await build({
    stdin: { contents: tests.map(({ file }) => `import "./${file}";`).join("\n"), resolveDir: folder },
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    packages: "external",
    logLevel: "silent",
    // The package says that its modules have no effects; these have.
    ignoreAnnotations: true,
    alias: { "tidemark/testing": here("testing/index.ts"), tidemark: here("index.ts") },
  });
  return outfile;
}

const outfile = await bundled();
describe("docs/testing.md", async () => {
  await import(/* @vite-ignore */ pathToFileURL(outfile).href);
  await rm(join(outfile, ".."), { recursive: true });

  it("has tests", () => {
    expect(tests.map(({ file }) => file)).toEqual([
      "orders.test.ts",
      "wrong.test.ts",
      "faults.test.ts",
      "sink.test.ts",
    ]);
  });
});
