// What the checks need to know of a Markdown file: its code blocks, tables, links and headings.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const repository = fileURLToPath(new URL("../..", import.meta.url));

export interface Doc {
  /** Relative to the repository, such as "docs/pipelines.md". */
  readonly path: string;
  readonly text: string;
}

export interface Block {
  readonly doc: string;
  readonly line: number;
  readonly language: string;
  /** The word behind the language: the name of the file that the block is. */
  readonly file: string | null;
  readonly text: string;
}

export interface Table {
  readonly doc: string;
  readonly line: number;
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** Everything that users read. */
export const userDocs = (): readonly Doc[] =>
  ["README.md", "CONTRIBUTING.md", ...pages()].map((path) => ({
    path,
    text: readFileSync(join(repository, path), "utf8"),
  }));

const pages = (): readonly string[] =>
  readdirSync(join(repository, "docs"))
    .filter((name) => name.endsWith(".md"))
    .map((name) => `docs/${name}`);

const fence = /^```(\S*)(?: +(\S+))?\n(.*?)^```$/gms;

export const blocksOf = ({ path, text }: Doc): readonly Block[] =>
  [...text.matchAll(fence)].map((match) => ({
    doc: path,
    line: text.slice(0, match.index).split("\n").length,
    language: match[1] ?? "",
    file: match[2] ?? null,
    text: match[3] ?? "",
  }));

/** The text without its code blocks; lines stay where they are. */
export const proseOf = ({ text }: Doc): string =>
  text.replace(fence, (block) => "\n".repeat(block.split("\n").length - 1));

export function tablesOf(doc: Doc): readonly Table[] {
  const lines = proseOf(doc).split("\n");
  const tables: Table[] = [];
  for (const [index, line] of lines.entries()) {
    if (!/^\|[-| ]+\|$/.test(line)) continue;
    const end = lines.findIndex((other, at) => at > index && !other.startsWith("|"));
    const rows = lines.slice(index + 1, end === -1 ? undefined : end).map(cells);
    tables.push({ doc: doc.path, line: index, head: cells(lines[index - 1] ?? ""), rows });
  }
  return tables;
}

/** A pipe inside of code does not end a cell where it is escaped. */
const cells = (row: string): readonly string[] =>
  row
    .slice(1, row.lastIndexOf("|"))
    .split(/(?<!\\)\|/)
    .map((cell) => cell.trim());

/** What a cell says in its first pair of backticks. */
export const codeIn = (cell: string | undefined): string | null => /`([^`]+)`/.exec(cell ?? "")?.[1] ?? null;

export const linksOf = (doc: Doc): readonly string[] =>
  [...proseOf(doc).matchAll(/\]\(([^)\s]+)\)/g)].map((match) => match[1] ?? "");

/** Anchors as GitHub makes them. */
export const anchorsOf = (doc: Doc): ReadonlySet<string> =>
  new Set(
    [...proseOf(doc).matchAll(/^#+ (.*)$/gm)].map((match) =>
      (match[1] ?? "")
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N}\- _]/gu, "")
        .replaceAll(" ", "-"),
    ),
  );
