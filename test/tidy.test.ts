// Keeps the tree tidy. Each rule looks at every file that git has or would take, and then at made-up text in which it must find something:
// a rule that cannot fail guards nothing. CONTRIBUTING.md says what the rules are for.
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import * as code from "./tidy/code.js";
import * as imports from "./tidy/imports.js";
import { type Check, isCode, parse, readTree, type TextFile, told } from "./tidy/source.js";
import * as tree from "./tidy/tree.js";

const files = readTree(fileURLToPath(new URL("..", import.meta.url)));
const sources = files.filter(({ path }) => isCode(path)).map(parse);

const found = (check: Check, path: string, ...lines: string[]) =>
  check([parse({ path, text: lines.join("\n") })]).map(({ line, message }) => `${line}: ${message}`);
const foundText = (
  check: (files: readonly TextFile[]) => readonly { readonly line: number }[],
  path: string,
  text: string,
) => check([{ path, text }]).map(({ line }) => line);

function holds(name: string, findings: () => ReturnType<Check>): void {
  it(name, () => {
    const all = findings();
    if (all.length > 0) expect.fail(told(all));
  });
}

it("the tree is read: code of the library and its tests is there", () => {
  const paths = new Set(files.map(({ path }) => path));
  for (const path of ["package.json", "lib/index.ts", "lib/model/errors.ts", "test/tidy.test.ts"])
    expect(paths).toContain(path);
  expect([...paths].filter((path) => /^(node_modules|dist)\//.test(path))).toEqual([]);
});

describe("imports", () => {
  const { ranksHold, examplesAreUsers, awsStaysInConnectors, emulatorsStayLocal } = imports;

  holds("go from higher to lower rank", () => ranksHold(sources));
  it.each([
    ["upwards", "lib/model/a.ts", `import { x } from "../state/b.js";`, "rank 0"],
    ["upwards for a type alone", "lib/ports/a.ts", `import type { X } from "../pipeline/b.js";`, "rank 1"],
    ["upwards within a type", "lib/ports/a.ts", `export type X = import("../pipeline/b.js").X;`, "rank 1"],
    ["between equals", "lib/state/a.ts", `import { x } from "../connectors/b.js";`, "never imports lib/connectors"],
    ["between equals", "lib/testing/a.ts", `import { x } from "../local/b.js";`, "rank 6"],
    ["of adapters by the protocol", "lib/checkpoint/a.ts", `import "../connectors/b.js";`, "never imports"],
    ["of adapters by the runtime", "lib/runtime/a.ts", `export * from "../connectors/b.js";`, "never imports"],
    ["of functions by local", "lib/local/runner/a.ts", `await import("../../../functions/task.js");`, "never imports"],
    ["of the runtime by local", "lib/local/a.ts", `import { x } from "../runtime/session.js";`, "never imports"],
    ["of the whole by a part", "lib/pipeline/a.ts", `import { x } from "tidemark";`, "rank 2"],
    ["upwards by the package's own path", "lib/model/a.ts", `import { x } from "#lib/state/b.js";`, "rank 0"],
    ["of the construct by a function", "functions/a.ts", `import { x } from "tidemark/cdk";`, "rank 9"],
    ["of no ranked folder", "lib/cli/a.ts", `import { x } from "../../test/b.js";`, "no rank"],
    ["by a folder without a rank", "lib/extra/a.ts", `export const x = 1;`, "no rank"],
  ])("are found %s: %s", (_, path, text, message) => {
    expect(found(ranksHold, path, "// one line above", text).join()).toContain(message);
  });
  it("are left alone downwards, within a folder, and to packages", () => {
    const text = [`import "./b.js";`, `import "../model/ids.js";`, `import { z } from "zod";`];
    expect(found(ranksHold, "lib/runtime/a.ts", ...text)).toEqual([]);
    expect(found(ranksHold, "functions/task.ts", `import { taskHandler } from "tidemark/lambda";`)).toEqual([]);
    expect(found(ranksHold, "lib/lambda.ts", `import { awsWorld } from "./compose.js";`)).toEqual([]);
    expect(found(ranksHold, "cdk/a.ts", `import { cutStages } from "#lib/pipeline/stages.js";`)).toEqual([]);
  });
  it("are told with their line", () => {
    expect(found(ranksHold, "lib/model/a.ts", "", "", `import "../state/b.js";`)[0]).toMatch(/^3: /);
  });

  holds("of examples are those of users", () => examplesAreUsers(sources));
  it("of examples from the library are found", () => {
    expect(found(examplesAreUsers, "examples/a/b.ts", `import "../../lib/index.js";`)).toHaveLength(1);
    expect(found(examplesAreUsers, "examples/a/b.ts", `import "tidemark";`, `import "./c.js";`)).toEqual([]);
  });

  holds("of the AWS SDK are in lib/connectors", () => awsStaysInConnectors(sources));
  it("of the AWS SDK elsewhere are found", () => {
    const text = `import type { S3Client } from "@aws-sdk/client-s3";`;
    expect(found(awsStaysInConnectors, "lib/local/s3/a.ts", text)).toHaveLength(1);
    expect(found(awsStaysInConnectors, "lib/compose.ts", `await import("@smithy/types");`)).toHaveLength(1);
    expect(found(awsStaysInConnectors, "lib/connectors/a.ts", text)).toEqual([]);
  });

  holds("of emulators happen in lib/local, when it starts", () => emulatorsStayLocal(sources));
  it("of emulators elsewhere, or at the import of a module, are found", () => {
    expect(found(emulatorsStayLocal, "lib/local/a.ts", `import kinesalite from "kinesalite";`)).toHaveLength(1);
    expect(found(emulatorsStayLocal, "lib/local/a.ts", `export { x } from "dynalite/db";`)).toHaveLength(1);
    expect(found(emulatorsStayLocal, "lib/cli/a.ts", `await import("dynalite");`)).toHaveLength(1);
    expect(found(emulatorsStayLocal, "lib/cli/a.ts", `createRequire(here)("kinesalite/db");`)).toHaveLength(1);
    expect(found(emulatorsStayLocal, "lib/local/a.ts", `const open = () => import("kinesalite");`)).toEqual([]);
  });
});

describe("sizes", () => {
  const { filesAreShort, functionsAreShort, mostFunctionsAreShorter } = code;
  const lines = (count: number) => Array.from({ length: count }, (_, index) => `  call(${index});`);
  const functionOf = (count: number) => ["function made() {", ...lines(count - 2), "}"];

  holds("of files are at most 300 lines", () => filesAreShort(sources));
  it("of a file with 301 lines are found", () => {
    expect(found(filesAreShort, "lib/state/a.ts", ...lines(301))).toHaveLength(1);
    expect(found(filesAreShort, "lib/state/a.ts", ...lines(300), "")).toEqual([]);
  });

  holds("of functions are at most 70 lines", () => functionsAreShort(sources));
  it("of a function with 71 lines are found, in whatever form", () => {
    expect(found(functionsAreShort, "lib/a.ts", "", ...functionOf(71))).toEqual([
      "2: made has 71 lines; at most 70: let helpers compute",
    ]);
    expect(found(functionsAreShort, "cdk/a.ts", "const made = () => {", ...lines(69), "};")).toHaveLength(1);
    expect(found(functionsAreShort, "functions/a.ts", "class A {", "  made() {", ...lines(69), "}}")).toHaveLength(1);
    expect(found(functionsAreShort, "lib/a.ts", ...functionOf(70))).toEqual([]);
  });

  holds("of nine functions in ten are at most 25 lines", () => mostFunctionsAreShorter(sources));
  it("of more than one long function in ten are found", () => {
    const short = Array.from({ length: 9 }, () => functionOf(25)).flat();
    expect(found(mostFunctionsAreShorter, "lib/a.ts", ...short, ...functionOf(26))).toEqual([]);
    expect(found(mostFunctionsAreShorter, "lib/a.ts", ...short, ...functionOf(26), ...functionOf(26))).toHaveLength(2);
  });
});

describe("time and chance", () => {
  const check = code.timeAndChanceComeByTheClock;

  holds("come in by the clock", () => check(sources));
  it.each([
    "const x = Date.now();",
    "const now = Date.now;",
    "const x = new Date();",
    "const x = Date();",
    "const x = Math.random();",
    "setTimeout(f, 1);",
    "globalThis.setInterval(f, 1);",
    "setImmediate(f);",
    "const x = crypto.randomUUID();",
    "const x = randomBytes(8);",
    `import { randomUUID as id } from "node:crypto";`,
    `import { setTimeout as sleep } from "node:timers/promises";`,
    "const x = process.hrtime.bigint();",
    "const x = performance.now();",
    "const signal = AbortSignal.timeout(1);",
  ])("asked of the machine are found: %s", (text) => {
    expect(found(check, "lib/runtime/a.ts", text).length).toBeGreaterThan(0);
    expect(found(check, "functions/a.ts", text).length).toBeGreaterThan(0);
    expect(found(check, "lib/local/runner/a.ts", text)).toEqual([]);
    expect(found(check, "lib/ports/clock.ts", text)).toEqual([]);
  });
  it("given as arguments are left alone", () => {
    const text = [`import { createHash } from "node:crypto";`, "const x = new Date(at);", "const y = clock.now();"];
    expect(found(check, "lib/runtime/a.ts", ...text)).toEqual([]);
  });
});

describe("exported functions", () => {
  const check = code.noBooleanArguments;

  holds("take no boolean among other arguments", () => check(sources));
  it("that take a boolean among other arguments are found", () => {
    expect(found(check, "lib/a.ts", "export function f(a: string, b: boolean) {}")).toHaveLength(1);
    expect(found(check, "lib/a.ts", "export const f = (a: boolean, b: string) => a;")).toHaveLength(1);
    expect(found(check, "lib/a.ts", "export const yesOrNo = (a: boolean) => a;")).toEqual([]);
    expect(found(check, "lib/a.ts", "export const f = (a: X, b: { c: boolean }) => a;")).toEqual([]);
    expect(found(check, "lib/a.ts", "export function sure(a: boolean, b: string): asserts a {}")).toEqual([]);
  });
});

describe("modules", () => {
  const { onlyTheIndexReExports, noDefaultExports, importingDoesNothing } = code;

  holds("do not pass on names of others", () => onlyTheIndexReExports(sources));
  it("that pass on names of others are found", () => {
    expect(found(onlyTheIndexReExports, "lib/state/index.ts", `export { x } from "./x.js";`)).toHaveLength(1);
    expect(found(onlyTheIndexReExports, "lib/state/a.ts", `export * from "./x.js";`)).toHaveLength(1);
    expect(found(onlyTheIndexReExports, "lib/a.ts", `import { x } from "./x.js";`, "export { x };")).toHaveLength(1);
    expect(found(onlyTheIndexReExports, "lib/index.ts", `export { x } from "./x.js";`)).toEqual([]);
    expect(found(onlyTheIndexReExports, "lib/a.ts", "const x = 1;", "export { x };")).toEqual([]);
  });

  holds("export names", () => noDefaultExports(sources));
  it("with a default export are found", () => {
    expect(found(noDefaultExports, "lib/a.ts", "export default function f() {}")).toHaveLength(1);
  });

  holds("do nothing when they are imported", () => importingDoesNothing(sources));
  it("that do something when they are imported are found", () => {
    expect(found(importingDoesNothing, "lib/a.ts", `process.on("exit", stop);`)).toHaveLength(1);
    expect(found(importingDoesNothing, "lib/a.ts", "for (const x of y) go(x);")).toHaveLength(1);
    const quiet = [`"use strict";`, "export const x = 1;", "interface A {}", "type B = A;", "enum C {}", "class D {}"];
    expect(found(importingDoesNothing, "lib/a.ts", ...quiet.slice(1))).toEqual([]);
  });
});

describe("ports", () => {
  const check = code.portsAreNarrow;

  holds("have at most five methods, none optional", () => check(sources));
  it("that are wide, or have optional methods, are found", () => {
    const port = (...members: string[]) => found(check, "lib/ports/a.ts", "export interface A {", ...members, "}");
    const five = ["a(): void;", "b(): void;", "c(): void;", "d(): void;", "readonly e: () => void;", "n?: number;"];
    expect(port(...five)).toEqual([]);
    expect(port(...five, "f(): void;")).toHaveLength(1);
    expect(port("a?(): void;")).toHaveLength(1);
    expect(port("a?: () => void;")).toHaveLength(1);
  });
});

describe("tests", () => {
  const check = code.testsAreNotSwitchedOff;

  holds("are on, or say why they are off", () => check(sources));
  it("that are off without a reason are found", () => {
    expect(found(check, "test/a.test.ts", "// for now, to be quick", `it.only("a", f);`)).toHaveLength(1);
    expect(found(check, "test/a.test.ts", `describe.skip("a", f);`)).toHaveLength(1);
    expect(found(check, "test/a.test.ts", `it.skipIf(slow)("a", f);`)).toHaveLength(1);
    expect(found(check, "test/a.test.ts", "// The service alone can do it.", `it.skip("a", f);`)).toEqual([]);
    expect(found(check, "test/a.test.ts", `it.skip("a", f); // the service alone can do it`)).toEqual([]);
    expect(found(check, "test/a.test.ts", `it.each(rows)("a", f);`)).toEqual([]);
  });
});

describe("the tree", () => {
  holds("has names that say something", () => tree.namesSaySomething(files));
  it("has no drawer for things: those are found", () => {
    const check = (path: string) => foundText(tree.namesSaySomething, path, "");
    for (const path of [
      "lib/utils/a.ts",
      "lib/state/helpers.ts",
      "test/common/x.json",
      "cdk/types.d.ts",
      "lib/core.test.ts",
    ])
      expect(check(path), path).toHaveLength(1);
    for (const path of ["lib/state/table.ts", "test/types/a.test-d.ts", "lib/local/s3/shared-locks.ts"])
      expect(check(path), path).toEqual([]);
  });

  holds("has no work left", () => tree.noWorkIsLeft(files));
  it("has no work left: that is found with its line", () => {
    expect(foundText(tree.noWorkIsLeft, "lib/a.ts", "a\n// TODO: b")).toEqual([2]);
    expect(foundText(tree.noWorkIsLeft, "docs/a.md", "FIXME")).toEqual([1]);
    expect(foundText(tree.noWorkIsLeft, "docs/a.md", "TODOS XXXL")).toEqual([]);
  });

  holds("names no registry", () => tree.noRegistryHost(files));
  holds("has a lock file without places", () => tree.lockFileNamesNoPlace(files));
  it("that says where packages come from is found", () => {
    const url = "https://registry.npmjs.org/a/-/a-1.0.0.tgz";
    expect(foundText(tree.noRegistryHost, ".npmrc", `registry=${url}`)).toEqual([1]);
    expect(foundText(tree.noRegistryHost, "docs/a.md", "see http://npm-registry.example.internal:4873/")).toEqual([1]);
    expect(foundText(tree.noRegistryHost, "lib/a.ts", "options.registry.resolve(name)")).toEqual([]);
    expect(foundText(tree.lockFileNamesNoPlace, "package-lock.json", `{\n  "resolved": "${url}"\n}`)).toEqual([2]);
  });

  holds("names no path of a machine", () => tree.noPathOfAMachine(files));
  it("that names a path of a machine is found", () => {
    const check = (text: string) => foundText(tree.noPathOfAMachine, "docs/a.md", text);
    for (const text of ["cd /home/jo/x", `"/Users/jo"`, "(/root/.npm)", "C:\\Users\\jo"])
      expect(check(text), text).toEqual([1]);
    for (const text of [
      "https://example.com/home/jo",
      "~/work/x",
      "lib/work/a.ts",
      "/var/task/index.js",
      "test/root/x",
    ])
      expect(check(text), text).toEqual([]);
  });

  holds("has one version", () => tree.versionsAgree(files));
  it("with two versions is found", () => {
    const version = (manifest: string, lock: string, library: string) =>
      tree.versionsAgree([
        { path: "package.json", text: `{\n  "version": "${manifest}"\n}` },
        { path: "package-lock.json", text: `{\n  "version": "${lock}"\n}` },
        { path: "lib/model/library.ts", text: `export const libraryVersion = "${library}";` },
      ]);
    expect(version("1.0.0", "1.0.0", "1.0.0")).toEqual([]);
    expect(version("1.0.1", "1.0.0", "1.0.0")).toHaveLength(1);
    expect(version("1.0.0", "1.0.0", "1.0.1")).toHaveLength(1);
    expect(version("1.0.0", "0.9.0", "1.0.0")).toHaveLength(1);
    expect(tree.versionsAgree([])).toHaveLength(1);
  });
});
