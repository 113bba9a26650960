// Shell blocks against what there is: the help of the built command line, and the scripts of package.json.
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Block, repository } from "./markdown.js";

export interface CommandLine {
  /** Options by command: whether each takes a value. */
  readonly commands: ReadonlyMap<string, ReadonlyMap<string, { readonly takesValue: boolean }>>;
  readonly scripts: ReadonlySet<string>;
}

const entry = join(repository, "dist/cli/main.js");

/** @throws Error where the command line was not built */
export function readCommandLine(): CommandLine {
  if (!existsSync(entry)) throw new Error(`${entry} is not there: npm run build`);
  const help = (...args: string[]) => execFileSync(process.execPath, [entry, ...args, "--help"], { encoding: "utf8" });
  const listed = help().split(/^Commands:$/m)[1] ?? "";
  const names = [...listed.matchAll(/^ {2}([a-z]+) /gm)]
    .map((match) => match[1] ?? "")
    .filter((name) => name !== "help");
  /** A command, and those below it, such as "state set". */
  const optionsOf = (name: string) => {
    const text = help(...name.split(" "));
    const listedBelow = text.split(/^Commands:$/m)[1]?.split("\n\n")[0] ?? "";
    const below = [...listedBelow.matchAll(/^ {2}([a-z]+) /gm)];
    return [
      [name, optionsIn(text)] as const,
      ...below.map(([, second]) => [`${name} ${second}`, optionsIn(help(name, second ?? ""))] as const),
    ];
  };
  const { scripts } = JSON.parse(readFileSync(join(repository, "package.json"), "utf8"));
  return {
    commands: new Map(names.flatMap(optionsOf)),
    scripts: new Set(Object.keys(scripts)),
  };
}

export const optionsIn = (help: string): ReadonlyMap<string, { readonly takesValue: boolean }> =>
  new Map(
    [...help.matchAll(/^ {2}(?:-\w, )?(--[a-z-]+)( <\S+>)?/gm)].map((match) => [
      match[1] ?? "",
      { takesValue: match[2] !== undefined },
    ]),
  );

const variables = /^(?:[A-Z_]+=\S+ +)*/;

/** Lines as the shell takes them: without comments, and with their continuations. */
export const shellLines = (text: string): readonly string[] =>
  text
    .replaceAll(/\\\n\s*/g, " ")
    .split(/\n|&&/)
    .map((line) =>
      line
        .replace(/(^|\s)#.*$/, "")
        .trim()
        .replace(variables, ""),
    )
    .filter((line) => line !== "");

/** What is wrong with the lines of a shell block; a line of another program is not ours to judge, but its name is. */
export function shellProblems(block: Block, known: CommandLine): readonly string[] {
  const where = `${block.doc}:${block.line}`;
  return shellLines(block.text).flatMap((line) =>
    lineProblems(line.split(/\s+/), known).map((why) => `${where}: "${line}": ${why}`),
  );
}

const cdkCommands = new Set(["bootstrap", "deploy", "destroy", "diff", "synth"]);

const foreign = new Set(["export", "aws", "rm", "git", "sudo", "docker", ".ci/run"]);

function lineProblems(words: readonly string[], known: CommandLine): readonly string[] {
  const [program = "", first = "", second = "", ...rest] = words;
  if (program === "npx" && first === "tidemark") {
    const [third = "", ...behind] = rest;
    const isBelow = known.commands.has(`${second} ${third}`);
    return isBelow ? tidemarkProblems(`${second} ${third}`, behind, known) : tidemarkProblems(second, rest, known);
  }
  if (program === "npx" && first === "vitest") return missingFiles(rest);
  if (program === "npx" && first === "cdk") return cdkCommands.has(second) ? [] : [`cdk has no command "${second}"`];
  if (program === "npm" && first === "run") return known.scripts.has(second) ? [] : [`there is no script "${second}"`];
  if (program === "npm" && first === "test") return known.scripts.has("test") ? [] : ["there is no test script"];
  if (program === "npm" && ["ci", "i", "pack"].includes(first)) return [];
  return foreign.has(program) ? [] : [`"${program} ${first}" is checked by nobody: say in test/docs/commands.ts how`];
}

function tidemarkProblems(command: string, words: readonly string[], known: CommandLine): readonly string[] {
  const options = known.commands.get(command);
  if (options === undefined) return [`there is no command "${command}"`];
  const problems: string[] = [];
  const files: string[] = [];
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? "";
    if (!word.startsWith("-")) {
      files.push(word);
      continue;
    }
    const option = options.get(word);
    if (option === undefined) problems.push(`"${command}" has no option ${word}`);
    else if (option.takesValue && (words[++at] ?? "-").startsWith("-")) problems.push(`${word} takes a value`);
  }
  const [wanted, most] = wantedFiles.get(command) ?? [1, 1];
  if (files.length < wanted || files.length > most)
    problems.push(`"${command}" takes ${wanted} file, not ${files.length}`);
  return [...problems, ...missingFiles(files)];
}

/** What stands behind a command, where it is not one file alone. */
const wantedFiles: ReadonlyMap<string, readonly [least: number, most: number]> = new Map([
  ["cloud", [0, 0]],
  ["init", [0, 1]],
  ["doctor", [0, 1]],
  ["verify", [2, 2]],
  ["delete", [2, 2]],
  ["diff", [3, 4]],
  ["state", [2, 3]],
  ["state set", [3, 3]],
  ["state delete", [3, 3]],
  ["explain", [2, 2]],
]);

/** Of a file in a folder: those without one are the user's own. */
const missingFiles = (files: readonly string[]): readonly string[] =>
  files
    .filter((file) => file.includes("/") && !existsSync(join(repository, file)))
    .map((file) => `there is no file ${file}`);
