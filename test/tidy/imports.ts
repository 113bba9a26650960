// Which file may import which: folders have ranks, and imports go downwards.
import { posix } from "node:path";
import { eachFile, type Source, visit } from "./source.js";

const ranks: Readonly<Record<string, number>> = {
  "lib/model": 0,
  "lib/ports": 1,
  "lib/pipeline": 2,
  "lib/state": 3,
  "lib/connectors": 3,
  "lib/checkpoint": 4,
  "lib/runtime": 5,
  "lib/testing": 6,
  "lib/local": 6,
  lib: 7,
  "lib/cli": 8,
  functions: 9,
  cdk: 10,
};

/** Beyond the ranks: the protocol knows ports, not adapters; the local cloud starts functions by path, as Lambda does. */
const never: Readonly<Record<string, readonly string[]>> = {
  "lib/state": ["lib/connectors"],
  "lib/checkpoint": ["lib/connectors"],
  "lib/runtime": ["lib/connectors"],
  "lib/local": ["lib/runtime", "lib/connectors", "lib", "functions"],
};

const selfImports: Readonly<Record<string, string>> = {
  tidemark: "lib/index.ts",
  "tidemark/lambda": "lib/lambda.ts",
  "tidemark/postgres": "lib/postgres.ts",
  "tidemark/testing": "lib/testing/index.ts",
  "tidemark/cdk": "cdk/index.ts",
};
/** Beside its exports a package has paths of its own: package.json, `imports`. */
const ownPath = /^#lib\//;
const emulators = /^(kinesalite|dynalite)(\/|$)/;

export interface Import {
  readonly specifier: string;
  readonly start: number;
  /** `static` runs with the module that has it, `dynamic` when it is called, `type` never. */
  readonly kind: "static" | "dynamic" | "type";
}

export function importsOf(source: Source): readonly Import[] {
  const found: Import[] = [];
  const add = (kind: Import["kind"], from: { readonly type: string; readonly start: number } | null | undefined) => {
    const specifier = from?.type === "Literal" ? (from as { readonly value?: unknown }).value : undefined;
    if (from && typeof specifier === "string") found.push({ specifier, start: from.start, kind });
  };
  visit(source, {
    ImportDeclaration: (node) => add(node.importKind === "type" ? "type" : "static", node.source),
    ExportNamedDeclaration: (node) => add(node.exportKind === "type" ? "type" : "static", node.source),
    ExportAllDeclaration: (node) => add(node.exportKind === "type" ? "type" : "static", node.source),
    ImportExpression: (node) => add("dynamic", node.source),
    TSImportType: (node) => add("type", node.source),
    CallExpression: ({ callee, arguments: [first] }) => {
      if (callee.type === "Identifier" && callee.name === "require") add("dynamic", first);
      if (
        callee.type === "CallExpression" &&
        callee.callee.type === "Identifier" &&
        /require/i.test(callee.callee.name)
      )
        add("dynamic", first);
    },
  });
  return found;
}

/** The folder that has the rank: `lib/local/s3/xml.ts` → `lib/local`, `lib/index.ts` → `lib`, `functions/task.ts` → `functions`. */
export function folderOf(path: string): string {
  const [top = "", second = "", ...rest] = path.split("/");
  return top === "lib" && rest.length > 0 ? `${top}/${second}` : top;
}

/** The path in the repository that an import means; undefined for a package. */
function targetOf(path: string, specifier: string): string | undefined {
  if (specifier.startsWith(".")) return posix.join(posix.dirname(path), specifier);
  return ownPath.test(specifier) ? specifier.slice(1) : selfImports[specifier];
}

const isRanked = (path: string) => /^(lib|functions|cdk)\//.test(path);

function whyNot(from: string, to: string): string | undefined {
  const [mine, theirs] = [ranks[from], ranks[to]];
  if (mine === undefined) return `the folder ${from} has no rank: give it one in test/tidy/imports.ts`;
  if (from === to) return undefined;
  if (theirs === undefined) return `${to} has no rank: ${from} imports itself and folders of lower rank`;
  if (never[from]?.includes(to))
    return `${from} never imports ${to}: it gets what it needs through a port, or starts it by path`;
  if (theirs < mine) return undefined;
  return `${from} (rank ${mine}) may not import ${to} (rank ${theirs}): move what is needed down, or the caller up`;
}

export const ranksHold = eachFile(isRanked, (source, report) => {
  const from = folderOf(source.path);
  if (ranks[from] === undefined) report({ start: 0 }, whyNot(from, from) ?? "");
  for (const found of importsOf(source)) {
    const target = targetOf(source.path, found.specifier);
    const why = target === undefined ? undefined : whyNot(from, folderOf(target));
    if (why !== undefined) report(found, why);
  }
});

export const examplesAreUsers = eachFile(
  (path) => path.startsWith("examples/"),
  (source, report) => {
    for (const found of importsOf(source)) {
      const target = found.specifier.startsWith(".") ? targetOf(source.path, found.specifier) : undefined;
      if (target !== undefined && !target.startsWith("examples/"))
        report(found, `${found.specifier}: an example imports "tidemark" as users do, and no file of the library`);
    }
  },
);

export const awsStaysInConnectors = eachFile(
  (path) => isRanked(path) && folderOf(path) !== "lib/connectors",
  (source, report) => {
    for (const found of importsOf(source))
      if (/^@(aws-sdk|smithy)\//.test(found.specifier))
        report(found, `${found.specifier} is imported by lib/connectors alone: go through a port`);
  },
);

/** Those who do not use the local cloud do not install the emulators: nothing may need them before it starts. */
export const emulatorsStayLocal = eachFile(isRanked, (source, report) => {
  for (const found of importsOf(source)) {
    if (!emulators.test(found.specifier)) continue;
    if (folderOf(source.path) !== "lib/local") report(found, `${found.specifier} belongs to lib/local alone`);
    else if (found.kind !== "dynamic")
      report(found, `${found.specifier} is loaded when the local cloud starts, never by an import of the module`);
  }
});
