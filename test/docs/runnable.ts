import { mkdir, mkdtemp, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { blocksOf, repository, userDocs } from "./markdown.js";

/** The tests in a document, as one bundle, with the library's code beside it and vitest outside. */
export async function testsIn(path: string): Promise<{ readonly names: readonly string[]; readonly outfile: string }> {
  const page = userDocs().find((doc) => doc.path === path);
  const blocks = blocksOf(page ?? { path, text: "" }).flatMap(({ file, text }) =>
    file === null ? [] : [{ file, text }],
  );
  const names = blocks.map(({ file }) => file).filter((file) => file.endsWith(".test.ts"));
  const cache = join(repository, "node_modules", ".cache");
  await mkdir(cache, { recursive: true });
  const folder = await mkdtemp(join(cache, "docs-tests-"));
  for (const { file, text } of blocks) await writeFile(join(folder, file), text);
  const here = (file: string) => fileURLToPath(new URL(`../../lib/${file}`, import.meta.url));
  const outfile = join(folder, "all.mjs");
  await build({
    stdin: { contents: names.map((file) => `import "./${file}";`).join("\n"), resolveDir: folder },
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
  return { names, outfile };
}
