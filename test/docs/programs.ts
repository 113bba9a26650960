// TypeScript and JavaScript blocks, written down as the files that they are, compiled in one go, and imported.
import { execFile } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { type Block, repository } from "./markdown.js";

const run = promisify(execFile);

/** Inside of the repository, so that packages are found; ignored by git. */
export const ground = fileURLToPath(new URL("./.generated", import.meta.url));

export const isProgram = ({ language }: Block): boolean => language === "ts" || language === "js";

/** Blocks of one page may import each other, so each page is a folder. */
export const pathOf = (block: Block): string =>
  join(ground, basename(block.doc, ".md"), block.file ?? `block-${block.line}.${block.language}`);

export function writeBlocks(blocks: readonly Block[]): void {
  rmSync(ground, { recursive: true, force: true });
  for (const block of blocks) {
    mkdirSync(dirname(pathOf(block)), { recursive: true });
    writeFileSync(join(dirname(pathOf(block)), "package.json"), JSON.stringify({ type: "module", private: true }));
    writeFileSync(pathOf(block), block.text);
  }
}

/** The compiler's messages about the blocks, each with page and line of the page; empty where all compile. */
export async function compilerMessages(blocks: readonly Block[]): Promise<readonly string[]> {
  const config = join(ground, "tsconfig.json");
  const compilerOptions = { rootDir: repository, allowJs: true, checkJs: true, noEmit: true };
  const files = blocks.map(pathOf);
  writeFileSync(
    config,
    JSON.stringify({ extends: join(repository, "tsconfig.json"), compilerOptions, include: [], files }),
  );
  const tsc = join(repository, "node_modules/typescript/bin/tsc");
  const output = await run(process.execPath, [tsc, "-p", config, "--pretty", "false"], { cwd: ground }).then(
    ({ stdout }) => stdout,
    (error: { readonly stdout?: string; readonly stderr?: string }) =>
      `${error.stdout}${error.stderr}` || String(error),
  );
  const told = output.split("\n").filter((line) => line !== "");
  return told.map((line) => inPage(line, blocks));
}

function inPage(message: string, blocks: readonly Block[]): string {
  const [, file = "", line = "0", rest = message] = /^(.*)\((\d+),\d+\): (.*)$/.exec(message) ?? [];
  const block = blocks.find((candidate) => join(ground, file) === pathOf(candidate));
  return block === undefined ? message : `${block.doc}:${block.line + Number(line)}: ${rest}`;
}
