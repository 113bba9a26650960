// How code is written: sizes, the doors of time and chance, the shape of ports and modules.
import type { ESTree } from "vite";
import { type Check, eachFile, lineOf, type Report, type Source, visit } from "./source.js";

const isProduct = (path: string) => /^(lib|functions|cdk)\//.test(path);

const fileLinesMax = 300;
const functionLinesMax = 70;
const usualLinesMax = 25;

export const filesAreShort = eachFile(isProduct, ({ text }, report) => {
  const lines = text.split("\n").length - (text.endsWith("\n") ? 1 : 0);
  if (lines > fileLinesMax)
    report({ start: 0 }, `${lines} lines; at most ${fileLinesMax}: split it by what it is about`);
});

interface Measured {
  readonly start: number;
  readonly name: string;
  readonly lines: number;
}

/** Functions with a block as body; an arrow that is one expression is not counted, for it would make every average look good. */
export function functionsOf(source: Source): readonly Measured[] {
  const found: Measured[] = [];
  const add = (node: ESTree.Function | ESTree.ArrowFunctionExpression) => {
    if (node.body?.type !== "BlockStatement") return;
    const lines = lineOf(source.text, node.end) - lineOf(source.text, node.start) + 1;
    const name = "id" in node && node.id ? node.id.name : "a function";
    found.push({ start: node.start, name, lines });
  };
  visit(source, { FunctionDeclaration: add, FunctionExpression: add, ArrowFunctionExpression: add });
  return found;
}

export const functionsAreShort = eachFile(isProduct, (source, report) => {
  for (const found of functionsOf(source))
    if (found.lines > functionLinesMax)
      report(found, `${found.name} has ${found.lines} lines; at most ${functionLinesMax}: let helpers compute`);
});

/** Over all files together: nine functions in ten have at most {@link usualLinesMax} lines. */
export const mostFunctionsAreShorter: Check = (sources) => {
  const all = sources
    .filter(({ path }) => isProduct(path))
    .flatMap((source) => functionsOf(source).map((found) => ({ ...found, source })));
  const long = all.filter(({ lines }) => lines > usualLinesMax);
  if (long.length * 10 <= all.length) return [];
  return long.map(({ source, start, name, lines }) => ({
    path: source.path,
    line: lineOf(source.text, start),
    message: `${name} has ${lines} lines: ${long.length} of ${all.length} functions have more than ${usualLinesMax}`,
  }));
};

/**
 * Adapters may ask the machine: they talk to servers, processes and people, for whom only real time and real chance count.
 * Everything else gets a Clock, or else a simulation could not repeat it.
 */
const mayAskTheMachine = /^lib\/(ports\/clock\.ts$|connectors\/|local\/|cli\/)/;

const bannedMembers: Readonly<Record<string, readonly string[]>> = {
  Date: ["now"],
  Math: ["random"],
  AbortSignal: ["timeout"],
  crypto: ["randomUUID", "randomBytes", "getRandomValues", "randomInt"],
  process: ["hrtime"],
  performance: ["now"],
};
const bannedNames = new Set(["setTimeout", "setInterval", "setImmediate", "randomUUID", "randomBytes", "randomInt"]);
const bannedModules = new Set(["node:timers", "node:timers/promises", "node:perf_hooks", "timers", "perf_hooks"]);

export const timeAndChanceComeByTheClock = eachFile(
  (path) => isProduct(path) && !mayAskTheMachine.test(path),
  (source, report) => {
    const ban = (node: { readonly start: number }, what: string) =>
      report(node, `${what}: time and chance come in through lib/ports/clock.ts, or as an argument`);
    visit(source, {
      MemberExpression(node) {
        const name = node.property.type === "Identifier" ? node.property.name : "";
        if (node.object.type !== "Identifier") return;
        if (bannedMembers[node.object.name]?.includes(name)) ban(node, `${node.object.name}.${name}`);
        if (node.object.name === "globalThis" && bannedNames.has(name)) ban(node, `globalThis.${name}`);
      },
      NewExpression(node) {
        const isDate = node.callee.type === "Identifier" && node.callee.name === "Date";
        if (isDate && node.arguments.length === 0) ban(node, "new Date()");
      },
      CallExpression({ callee }) {
        if (callee.type !== "Identifier") return;
        if (bannedNames.has(callee.name) || callee.name === "Date") ban(callee, `${callee.name}()`);
      },
      ImportDeclaration(node) {
        if (node.importKind === "type") return;
        if (bannedModules.has(node.source.value)) ban(node, node.source.value);
        for (const part of node.specifiers) {
          const name = part.type === "ImportSpecifier" && part.imported.type === "Identifier" ? part.imported.name : "";
          if (/^(node:)?crypto$/.test(node.source.value) && bannedNames.has(name)) ban(part, `${name} of node:crypto`);
        }
      },
    });
  },
);

export const onlyTheIndexReExports = eachFile(
  (path) => isProduct(path) && !/^(lib\/(testing\/)?|cdk\/)index\.ts$/.test(path),
  (source, report) => {
    const message =
      "re-exports what another file has: import it from there; lib/index.ts, lib/testing/index.ts and cdk/index.ts gather names";
    const imported = new Set<string>();
    for (const statement of source.program.body) {
      if (statement.type === "ImportDeclaration")
        for (const part of statement.specifiers) imported.add(part.local.name);
      if (statement.type === "ExportAllDeclaration") report(statement, message);
      if (statement.type !== "ExportNamedDeclaration") continue;
      const passesOn = statement.specifiers.some(
        ({ local }) => local.type === "Identifier" && imported.has(local.name),
      );
      if (statement.source !== null || passesOn) report(statement, message);
    }
  },
);

export const noDefaultExports = eachFile(
  (path) => isProduct(path),
  (source, report) => {
    for (const statement of source.program.body)
      if (statement.type === "ExportDefaultDeclaration")
        report(statement, "a default export has no name to look for: name it");
  },
);

const methodsMax = 5;

const isMethod = (member: ESTree.TSSignature): boolean =>
  member.type === "TSMethodSignature" ||
  (member.type === "TSPropertySignature" && member.typeAnnotation?.typeAnnotation.type === "TSFunctionType");

export const portsAreNarrow = eachFile(
  (path) => path.startsWith("lib/ports/"),
  (source, report) => {
    visit(source, {
      TSInterfaceDeclaration(node) {
        const methods = node.body.body.filter(isMethod);
        if (methods.length > methodsMax)
          report(node, `${node.id.name} has ${methods.length} methods; at most ${methodsMax}: it is two ports`);
        for (const method of methods)
          if ("optional" in method && method.optional)
            report(
              method,
              `an optional method of ${node.id.name}: callers cannot rely on it; every implementation has all`,
            );
      },
    });
  },
);

/** What `f(…, true)` means is not to be read where it is called. An assertion is named after its only question. */
export const noBooleanArguments = eachFile(isProduct, (source, report) => {
  const look = (node: ESTree.Function | ESTree.ArrowFunctionExpression | null | undefined) => {
    if (!node || node.params.length < 2) return;
    const predicate = node.returnType?.typeAnnotation;
    if (predicate?.type === "TSTypePredicate" && predicate.asserts) return;
    for (const parameter of node.params) {
      const type = parameter.type === "Identifier" ? parameter.typeAnnotation?.typeAnnotation.type : undefined;
      if (type === "TSBooleanKeyword")
        report(parameter, "a boolean among other arguments: name it in options, or in a union");
    }
  };
  for (const statement of source.program.body) {
    if (statement.type !== "ExportNamedDeclaration") continue;
    if (statement.declaration?.type === "FunctionDeclaration") look(statement.declaration);
    if (statement.declaration?.type !== "VariableDeclaration") continue;
    for (const { init } of statement.declaration.declarations)
      if (init?.type === "ArrowFunctionExpression" || init?.type === "FunctionExpression") look(init);
  }
});

/** Files that are started as a process, and so do something when they are loaded. */
const programs = new Set(["lib/cli/main.ts", "lib/local/cloud/process.ts", "lib/local/runner/bootstrap.ts"]);
const isQuiet = (statement: ESTree.Program["body"][number]): boolean =>
  /^(Import|Export|TS|Function|Class)|^VariableDeclaration$/.test(statement.type);

export const importingDoesNothing = eachFile(
  (path) => path.startsWith("lib/") && !programs.has(path),
  (source, report) => {
    for (const statement of source.program.body)
      if (!isQuiet(statement)) report(statement, "runs when the module is imported: put it into a function");
  },
);

/** A comment on the line, or one that ends on the line above. */
const hasReason = (source: Source, line: number): boolean =>
  source.comments.some(
    ({ text, line: first, endLine }) => text.length >= 10 && (first === line || endLine === line - 1),
  );

export const testsAreNotSwitchedOff = eachFile(
  (path) => /^(test|lib\/testing)\//.test(path),
  (source, report) => {
    visit(source, { MemberExpression: (node) => lookAtSwitch(source, node, report) });
  },
);

function lookAtSwitch(source: Source, node: ESTree.MemberExpression, report: Report): void {
  if (node.object.type !== "Identifier" || !/^(it|test|describe|suite|bench)$/.test(node.object.name)) return;
  const name = node.property.type === "Identifier" ? node.property.name : "";
  if (name === "only") report(node, `${node.object.name}.only switches off all the other tests of the file`);
  const off = ["skip", "skipIf", "runIf", "todo"].includes(name);
  if (off && !hasReason(source, lineOf(source.text, node.start)))
    report(node, `${node.object.name}.${name} without a reason: say why in a comment on the line above`);
}
