// Files as the checks of tidy.test.ts see them. A check takes files and gives findings: it reads no disk, so that it can be fed made-up text.
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type ESTree, parseSync, Visitor, type VisitorObject } from "vite";

export interface TextFile {
  /** From the top of the repository, with slashes. */
  readonly path: string;
  readonly text: string;
}

export interface Source extends TextFile {
  readonly program: ESTree.Program;
  readonly comments: readonly { readonly text: string; readonly line: number; readonly endLine: number }[];
}

/** Something that is not as it should be, and what to do about it. */
export interface Finding {
  readonly path: string;
  /** 0: the file as a whole. */
  readonly line: number;
  readonly message: string;
}

export type Check = (sources: readonly Source[]) => readonly Finding[];

export const isCode = (path: string): boolean => /\.[cm]?[jt]sx?$/.test(path);

/** @throws Error where the text is no TypeScript: a file that cannot be read is not tidy */
export function parse({ path, text }: TextFile): Source {
  const parsed = parseSync(path, text, { sourceType: "module" });
  const error = parsed.errors[0];
  if (error !== undefined) throw new Error(`${path} does not parse: ${error.message}`);
  const comments = parsed.comments.map((comment) => ({
    text: comment.value.trim(),
    line: lineOf(text, comment.start),
    endLine: lineOf(text, comment.end),
  }));
  return { path, text, program: parsed.program, comments };
}

export function lineOf(text: string, offset: number): number {
  let line = 1;
  for (let at = text.indexOf("\n"); at !== -1 && at < offset; at = text.indexOf("\n", at + 1)) line += 1;
  return line;
}

export function visit(source: Source, visitor: VisitorObject): void {
  new Visitor(visitor).visit(source.program);
}

export type Report = (node: { readonly start: number }, message: string) => void;

/** A check that looks at one file at a time. */
export function eachFile(wanted: (path: string) => boolean, look: (source: Source, report: Report) => void): Check {
  return (sources) =>
    sources
      .filter(({ path }) => wanted(path))
      .flatMap((source) => {
        const found: Finding[] = [];
        look(source, (node, message) => {
          found.push({ path: source.path, line: lineOf(source.text, node.start), message });
        });
        return found;
      });
}

/** What git has, and what it would take at the next `git add`. */
export function readTree(root: string): readonly TextFile[] {
  const args = ["ls-files", "--cached", "--others", "--exclude-standard", "-z"];
  const names = execFileSync("git", args, { cwd: root, encoding: "utf8", maxBuffer: 1 << 26 }).split("\0");
  return [...new Set(names)]
    .filter((path) => path !== "" && existsSync(join(root, path)))
    .map((path) => ({ path, text: readFileSync(join(root, path), "utf8") }))
    .filter(({ text }) => !text.includes("\0"));
}

export function told(findings: readonly Finding[]): string {
  const lines = findings.map(({ path, line, message }) => `  ${path}${line === 0 ? "" : `:${line}`}  ${message}`);
  return `${findings.length} to put right:\n${lines.join("\n")}`;
}
