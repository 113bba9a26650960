import { mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build, type Plugin } from "esbuild";
import type { simulate } from "../../lib/testing/simulation/simulate.js";
import type { Mutant } from "./mutants.js";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** The simulation, with the real code but for the mutant's piece of it. */
export async function mutatedSimulation(mutant: Mutant): Promise<typeof simulate> {
  // Below the repository, so that packages are found.
  const cache = join(root, "node_modules", ".cache");
  await mkdir(cache, { recursive: true });
  const folder = await mkdtemp(join(cache, "mutant-"));
  const outfile = join(folder, "simulation.mjs");
  try {
    await build({
      entryPoints: [join(root, "lib/testing/simulation/simulate.ts")],
      outfile,
      bundle: true,
      platform: "node",
      format: "esm",
      packages: "external",
      logLevel: "silent",
      plugins: [replacing(mutant)],
    });
    const module = (await import(pathToFileURL(outfile).href)) as { readonly simulate: typeof simulate };
    return module.simulate;
  } finally {
    await rm(folder, { recursive: true });
  }
}

function replacing(mutant: Mutant): Plugin {
  const path = join(root, mutant.file);
  return {
    name: "mutant",
    setup(bundle) {
      bundle.onLoad({ filter: /\.ts$/ }, async (args) => {
        if (args.path !== path) return undefined;
        const text = await readFile(path, "utf8");
        const parts = text.split(mutant.find);
        if (parts.length !== 2)
          throw new Error(
            `${mutant.name}: ${mutant.file} has the text to replace ${parts.length - 1} times; say it anew`,
          );
        return { contents: parts.join(mutant.replace), loader: "ts", resolveDir: dirname(path) };
      });
    },
  };
}
