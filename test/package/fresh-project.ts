// A project of a user: new, with nothing in it but what npm installs from the packed library.
import { execFile } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);

export const repository = fileURLToPath(new URL("../..", import.meta.url));

export interface FreshProject {
  readonly folder: string;
  /** What npm has packed, without "package/". */
  readonly packed: readonly string[];
  write(name: string, text: string): string;
  /** Runs a program there, without the variables that npm and vitest have set here. @throws Error with what it said, where it fails */
  run(program: string, ...args: string[]): Promise<string>;
  remove(): void;
}

export async function freshProject(): Promise<FreshProject> {
  const ground = mkdtempSync(join(tmpdir(), "tidemark-package-"));
  const { file, packed } = await pack(await cleanClone(join(ground, "clone")), ground);
  const folder = join(ground, "project");
  mkdirSync(folder);
  const project: FreshProject = {
    folder,
    packed,
    write(name, text) {
      writeFileSync(join(folder, name), text);
      return join(folder, name);
    },
    run: (program, ...args) => runIn(folder, program, args),
    remove: () => rmSync(ground, { recursive: true, force: true }),
  };
  project.write("package.json", JSON.stringify({ name: "fresh", private: true, type: "module" }));
  // As for a deployment: no peers, and no package may need to run a script (to compile, say) to be of use.
  const quietly = ["--omit=peer", "--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund"];
  await project.run("npm", "install", file, ...quietly);
  return project;
}

/**
 * What git would hand to others, with the packages that are installed here. A copy, since packing builds: other tests use the build
 * that is here. Of node_modules all but its caches, in which a compiler may have noted that all is built.
 */
async function cleanClone(folder: string): Promise<string> {
  const listed = await runIn(repository, "git", ["ls-files", "--cached", "--others", "--exclude-standard", "-z"]);
  for (const path of new Set(listed.split("\0"))) {
    if (path === "") continue;
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    cpSync(join(repository, path), join(folder, path), { recursive: true });
  }
  mkdirSync(join(folder, "node_modules"));
  for (const name of readdirSync(join(repository, "node_modules")))
    if (name === ".bin" || !name.startsWith("."))
      symlinkSync(join(repository, "node_modules", name), join(folder, "node_modules", name));
  return folder;
}

async function pack(
  clone: string,
  into: string,
): Promise<{ readonly file: string; readonly packed: readonly string[] }> {
  const said = await runIn(clone, "npm", ["pack", "--json", "--pack-destination", into]);
  // The scripts that pack runs may speak first.
  const [entry] = JSON.parse(said.slice(said.lastIndexOf("\n[") + 1)) as readonly {
    readonly filename: string;
    readonly files: readonly { readonly path: string }[];
  }[];
  if (entry === undefined) throw new Error(`npm pack made nothing: ${said}`);
  return { file: join(into, entry.filename), packed: entry.files.map(({ path }) => path) };
}

async function runIn(cwd: string, program: string, args: readonly string[]): Promise<string> {
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(npm_|VITEST|NODE_ENV|NODE_OPTIONS|NODE_PATH)/.test(name)),
  );
  try {
    const { stdout } = await run(program, args, { cwd, env, maxBuffer: 1 << 26 });
    return stdout;
  } catch (error) {
    const { stdout = "", stderr = "" } = error as { readonly stdout?: string; readonly stderr?: string };
    throw new Error(`${program} ${args.join(" ")} failed\n${stdout}\n${stderr}`);
  }
}
