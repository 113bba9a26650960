import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { StreamError } from "../../model/errors.js";
import { appText, cdkJson } from "./app-texts.js";
import { gitignoreText, manifestText, tsconfigText } from "./manifest.js";
import { configText, pipelineText, putText, showText, testText } from "./pipeline-texts.js";
import { readmeText } from "./readme.js";

/** What was written, or would be. */
export interface MadeProject {
  readonly folder: string;
  /** Of the package and of the pipeline. */
  readonly name: string;
  /** Paths in the folder. */
  readonly files: readonly string[];
  /** False of a dry run. */
  readonly written: boolean;
}

export interface ProjectOptions {
  /** With an app of the AWS CDK. */
  readonly cdk: boolean;
  readonly dryRun: boolean;
}

/**
 * Writes the files of a new project.
 *
 * @param folder absolute; it is made where it is not there
 * @throws StreamError `invalid`: one of the files is there already, and nothing was written
 */
export function makeProject(folder: string, options: ProjectOptions): MadeProject {
  const name = nameFrom(folder);
  const texts = filesOf(name, options);
  const files = Object.keys(texts);
  const there = files.filter((file) => existsSync(join(folder, file)));
  if (there.length > 0)
    throw new StreamError(
      "invalid",
      `${folder} has already: ${there.join(", ")}. Nothing was written: choose another folder, or move ${there.length === 1 ? "it" : "them"} away`,
    );
  if (!options.dryRun) for (const [file, text] of Object.entries(texts)) write(join(folder, file), text);
  return { folder, name, files, written: !options.dryRun };
}

/** "wx": what somebody has written meanwhile is not written over either. */
function write(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text, { flag: "wx" });
}

const nameLengthMax = 40;

/** The folder's name in letters that packages, pipelines and stacks may all have. */
export function nameFrom(folder: string): string {
  const plain = basename(folder)
    .toLowerCase()
    .normalize("NFKD")
    .replaceAll(/\p{M}/gu, "")
    .replaceAll(/[^a-z0-9]+/g, "-")
    .slice(0, nameLengthMax)
    .replaceAll(/^[-0-9]+|-+$/g, "");
  return plain === "" ? "visits" : plain;
}

function filesOf(name: string, { cdk }: ProjectOptions): Readonly<Record<string, string>> {
  return {
    "package.json": manifestText(name, { cdk }),
    "tsconfig.json": tsconfigText,
    "pipeline.ts": pipelineText(name),
    "pipeline.test.ts": testText,
    "tidemark.config.ts": configText,
    "put.mjs": putText,
    "show.mjs": showText,
    ".gitignore": gitignoreText,
    "README.md": readmeText(name, { cdk }),
    ...(cdk ? { "app.ts": appText(name), "cdk.json": cdkJson } : {}),
  };
}
