// The documentation says what is so: programs compile and build, commands exist, tables say what the code says, links resolve.
import { existsSync, readFileSync, rmSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readConfig } from "../../lib/cli/config.js";
import { exitCodes, interruptedExitCode, usageExitCode } from "../../lib/cli/exit-codes.js";
import { environmentVariables, readEnvironment } from "../../lib/compose.js";
import { dynamoTable, isPipeline, json, kinesisSource, list, map, pipeline, value } from "../../lib/index.js";
import { versionAttribute, versionBytes } from "../../lib/model/versions.js";
import { planSettings } from "../../lib/pipeline/options.js";
import { type CommandLine, readCommandLine, shellProblems } from "./commands.js";
import {
  anchorsOf,
  type Block,
  blocksOf,
  codeIn,
  type Doc,
  linksOf,
  proseOf,
  repository,
  type Table,
  tablesOf,
  userDocs,
} from "./markdown.js";
import { compilerMessages, ground, isProgram, pathOf, writeBlocks } from "./programs.js";

const docs = userDocs();
const doc = (path: string): Doc => {
  const found = docs.find((candidate) => candidate.path === path);
  if (found === undefined) throw new Error(`there is no ${path}`);
  return found;
};
/** The tables of a page whose head begins with these words. */
function tables(path: string, ...head: string[]): readonly Table[] {
  const found = tablesOf(doc(path)).filter((table) => head.every((word, column) => table.head[column] === word));
  if (found.length === 0) throw new Error(`${path} has no table | ${head.join(" | ")} |`);
  return found;
}
const table = (path: string, ...head: string[]): Table => {
  const [only, ...others] = tables(path, ...head);
  if (only === undefined || others.length > 0) throw new Error(`${path} has several tables | ${head.join(" | ")} |`);
  return only;
};
/** Rows by what stands in backticks in their first cell. */
const byName = ({ rows, doc: path, line }: Table): ReadonlyMap<string, readonly string[]> =>
  new Map(
    rows.map((row) => {
      const name = codeIn(row[0]);
      if (name === null) throw new Error(`${path}:${line}: a row names nothing: ${row[0]}`);
      return [name, row];
    }),
  );

/** CONTRIBUTING.md shows excerpts. */
const programs = docs.flatMap(blocksOf).filter((block) => isProgram(block) && block.doc !== "CONTRIBUTING.md");

afterAll(() => rmSync(ground, { recursive: true, force: true }));

describe("programs", () => {
  const broken: Block = {
    doc: "broken.md",
    line: 10,
    language: "ts",
    file: "broken.ts",
    text: 'import { pipeline } from "tidemark";\nexport default pipeline("broken", { parallel: 2 }, () => {});\n',
  };
  beforeAll(() => writeBlocks([...programs, broken]));

  it("compile, as their readers would compile them", { timeout: 60_000 }, async () => {
    const messages = await compilerMessages([...programs, broken]);
    const [ours, others] = [
      messages.filter((line) => line.startsWith("broken.md:12")),
      messages.filter((line) => !line.startsWith("broken.md")),
    ];
    expect(others).toEqual([]);
    expect(ours, "a program that is wrong must be found").toHaveLength(1);
    expect(ours[0]).toContain("parallel");
  });

  it.each(
    programs
      // Tests of docs/testing.md run in test/unit/testing-docs.test.ts.
      .filter(({ text, file }) => text.includes("pipeline(") && file?.endsWith(".test.ts") !== true)
      .map((block) => [relative(ground, pathOf(block)), block] as const),
  )("%s builds a pipeline", async (_name, block) => {
    const module: { readonly default?: unknown } = await import(/* @vite-ignore */ pathOf(block));
    expect(isPipeline(module.default)).toBe(true);
    expect((module.default as { plan: { graph: { nodes: unknown[] } } }).plan.graph.nodes.length).toBeGreaterThan(1);
  });

  it("make handlers of both functions", async () => {
    const block = programs.find(({ file }) => file === "functions.ts");
    if (block === undefined) throw new Error("docs/deploying-by-hand.md has no functions.ts");
    const handlers: Readonly<Record<string, unknown>> = await import(/* @vite-ignore */ pathOf(block));
    expect(typeof handlers.task).toBe("function");
    expect(typeof handlers.supervisor).toBe("function");
  });

  it("include a configuration that is read", async () => {
    const block = programs.find(({ file }) => file === "tidemark.config.ts");
    if (block === undefined) throw new Error("docs/local-development.md has no tidemark.config.ts");
    const config = await readConfig(dirname(pathOf(block)));
    const documented = byName(table("docs/local-development.md", "member", "meaning"));
    expect([...documented.keys()]).toEqual(Object.keys(config));
    await expect(readConfig(writeConfig("export default { tables: {} };"))).rejects.toThrow(
      "known are table, bucket, region, bindings",
    );
    expect([...documented.keys()]).toEqual(["table", "bucket", "region", "bindings"]);
  });

  it("are in the README what the example is", () => {
    const example = readFileSync(join(repository, "examples/flight-delays/pipeline.ts"), "utf8");
    const shown = blocksOf(doc("README.md")).find(({ file }) => file === "pipeline.ts");
    expect(shown?.text, "copy examples/flight-delays/pipeline.ts into README.md").toBe(example);
  });
});

function writeConfig(text: string): string {
  const block: Block = { doc: "config.md", line: 1, language: "ts", file: "tidemark.config.ts", text };
  writeBlocks([...programs, block]);
  return dirname(pathOf(block));
}

describe("commands", () => {
  let known: CommandLine;
  // A process for each command, on a busy machine.
  beforeAll(() => {
    known = readCommandLine();
  }, 180_000);

  it("exist, with the options that are shown", () => {
    const shell = docs.flatMap(blocksOf).filter(({ language }) => language === "sh");
    expect(shell.length).toBeGreaterThan(5);
    expect(shell.flatMap((block) => shellProblems(block, known))).toEqual([]);
  });

  it.each([
    ["npx tidemark deploy flights.ts", 'no command "deploy"'],
    ["npx tidemark dev flights.ts --until-dry", "no option --until-dry"],
    ["npx tidemark dev flights.ts --chaos --json", "--chaos takes a value"],
    ["npx tidemark dev", "takes 1 file, not 0"],
    ["npx tidemark dev examples/nowhere.ts", "no file examples/nowhere.ts"],
    ["A=1 npm ci && npm run fly", 'no script "fly"'],
    ["yarn demo", "checked by nobody"],
  ])("%s is found to be wrong", (text, problem) => {
    const block: Block = { doc: "made-up.md", line: 1, language: "sh", file: null, text };
    expect(shellProblems(block, known).join()).toContain(problem);
  });

  it("have all their options in the tables of docs/local-development.md, docs/commands.md and docs/state.md", () => {
    const [dev, plan, checkpoints, verify, recover, cloud] = tables("docs/local-development.md", "option", "meaning");
    const [status, savepoint, stop, start, replay, fork, remove, check, quarantine, init, doctor, logs] = tables(
      "docs/commands.md",
      "option",
      "meaning",
    );
    const [state, diff, explain, set, write] = tables("docs/state.md", "option", "meaning");
    const own = { dev, plan, checkpoints, verify, recover, cloud, state, diff, explain };
    const below = { "state set": set, "state delete": set, "state write": write };
    const asking = {
      status,
      savepoint,
      stop,
      start,
      replay,
      fork,
      delete: remove,
      check,
      quarantine,
      init,
      doctor,
      logs,
    };
    const documented = Object.entries({ ...own, ...asking, ...below }).map(([command, found]) => {
      if (found === undefined) throw new Error(`no table of options of "${command}"`);
      const options = [...byName(found).keys()].map((option) => option.split(" ")[0]).sort();
      // Both have one table, which says whose this is.
      return [command, options.filter((option) => command !== "state delete" || option !== "--value")];
    });
    const there = [...known.commands].map(([name, options]) => [
      name,
      [...options.keys()].filter((option) => option !== "--help").sort(),
    ]);
    expect(Object.fromEntries(documented)).toEqual(Object.fromEntries(there));
  });
});

describe("tables", () => {
  const settingOf = (option: string): string =>
    option.replace(/^(checkpoint|session)\./, "").replace(/^idle$/, "suspendAfter");
  const nested = (option: string, given: unknown): Record<string, unknown> => {
    const [first = "", second] = option.split(".");
    return second === undefined ? { [first]: given } : { [first]: { [second]: given } };
  };
  const options = (): readonly [string, string][] => {
    const found = tables("docs/pipelines.md", "option", "default", "meaning").at(-1);
    if (found === undefined) throw new Error("docs/pipelines.md has no table of options");
    return [...byName(found)].map(([option, row]) => [option, codeIn(row[1]) ?? ""]);
  };

  it("name every option of a pipeline", () => {
    const { restart, ...rest } = planSettings("p", {});
    const all = [...Object.keys(rest), ...Object.keys(restart).map((name) => `restart.${name}`)];
    expect(
      options()
        .map(([option]) => settingOf(option))
        .sort(),
    ).toEqual(all.sort());
  });

  it.each(options())("say the default of %s", (option, written) => {
    expect(planSettings("p", nested(option, JSON.parse(written)))).toEqual(planSettings("p", {}));
  });

  it("would be found wrong with another default", () => {
    expect(planSettings("p", nested("checkpoint.interval", "11s"))).not.toEqual(planSettings("p", {}));
  });

  it("name the options of kinesisSource and dynamoTable", () => {
    const source = byName(tables("docs/pipelines.md", "option", "default", "meaning")[0] as Table);
    const unknown = { stream: "s", codec: json(), other: 1 } as never;
    expect(() => kinesisSource(unknown)).toThrow(`it may have ${[...source.keys()].join(", ")}`);
    expect(kinesisSource({ stream: "s", codec: json() }).config.start).toBe(
      JSON.parse(codeIn(source.get("start")?.[1]) ?? ""),
    );
    const sink = byName(table("docs/dynamo-table.md", "option", "default", "meaning"));
    const given = Object.fromEntries(
      [...sink.keys()].map((name) => [name, { table: "t", key: ["k"], delivery: "held" }[name]]),
    );
    expect(dynamoTable(given as never).delivery).toBe(JSON.parse(codeIn(sink.get("delivery")?.[1]) ?? ""));
  });

  it("say the exit codes", () => {
    const rows = byName(table("docs/failures.md", "code", "when"));
    const codes = [0, usageExitCode, interruptedExitCode, ...Object.values(exitCodes)];
    expect([...rows.keys()].map(Number).sort((a, b) => a - b)).toEqual([...new Set(codes)].sort((a, b) => a - b));
    for (const [kind, code] of Object.entries(exitCodes)) expect(rows.get(String(code))?.[1]).toContain(`\`${kind}\``);
  });

  it("name every kind of error", () => {
    const rows = byName(table("docs/failures.md", "kind", "meaning"));
    expect([...rows.keys()].sort()).toEqual(Object.keys(exitCodes).sort());
  });

  it("name the environment variables, and the one that may be missing", () => {
    const environment = { table: "t", bucket: "b", functions: { task: "f", supervisor: "g" }, bindings: {} };
    const written: Readonly<Record<string, string>> = environmentVariables(environment);
    const rows = byName(table("docs/deploying-by-hand.md", "variable", "value"));
    expect([...rows.keys()].sort()).toEqual(Object.keys(written).sort());
    for (const [name, row] of rows) {
      const without = Object.fromEntries(Object.entries(written).filter(([other]) => other !== name));
      if (row[1]?.includes("may be missing")) expect(readEnvironment(without)).toEqual(environment);
      else expect(() => readEnvironment(without)).toThrow(name);
    }
  });

  it("say the layout of the extra attribute", () => {
    const bytes = table("docs/dynamo-table.md", "bytes", "what").rows.map(([size]) => Number(size));
    expect(bytes.reduce((sum, size) => sum + size, 0)).toBe(versionBytes);
    expect(doc("docs/dynamo-table.md").text).toContain(`Every item has \`${versionAttribute}\`, ${versionBytes} bytes`);
    const item = JSON.parse(blocksOf(doc("README.md")).find(({ language }) => language === "json")?.text ?? "{}");
    expect(Buffer.from(item[versionAttribute], "base64")).toHaveLength(versionBytes);
  });

  it("give a reason for every dependency", () => {
    const manifest = JSON.parse(readFileSync(join(repository, "package.json"), "utf8"));
    const said = table("docs/ARCHITECTURE.md", "package", "for")
      .rows.map(([name]) => name)
      .join();
    const named = (name: string) =>
      said.includes(`\`${name}\``) || said.includes(`\`${name.replace("@aws-sdk/", "")}\``);
    const tools = new Set(["@biomejs/biome", "@types/node", "typescript"]);
    const all = Object.keys({ ...manifest.dependencies, ...manifest.devDependencies });
    expect(all.filter((name) => !tools.has(name) && !named(name))).toEqual([]);
  });
});

describe("messages", () => {
  const flights = kinesisSource({ stream: "flights", codec: json<{ readonly origin: string }>() });
  const airports = dynamoTable({ table: "airports", key: ["airport"] });
  const build = (flow: Parameters<Parameters<typeof pipeline>[2]>[0]) =>
    flow
      .from("flights", flights)
      .map(({ origin }) => ({ airport: origin }))
      .to("airports", airports);
  const names = { pipeline, kinesisSource, dynamoTable, json, value, list, map, flights, airports, build };
  const evaluate = (code: string): unknown =>
    new Function(...Object.keys(names), `return ${code}`)(...Object.values(names));
  const rows = table("docs/pipelines.md", "you write", "it says").rows.map(
    (row) => [codeIn(row[0]) ?? "", codeIn(row[1]) ?? ""] as const,
  );

  it.each(rows)("%s", (code, message) => {
    let said = "nothing";
    try {
      evaluate(code);
    } catch (error) {
      said = (error as Error).message;
    }
    expect(said).toBe(message);
  });

  it("come from mistakes alone", () => {
    expect(evaluate('pipeline("p", { checkpoint: { interval: "5s" } }, build)')).toMatchObject({ name: "p" });
  });

  it("of a table of another pipeline are quoted as they are", () => {
    const quoted = /^ {4}sink table "airports": (.*)$/m.exec(doc("docs/dynamo-table.md").text)?.[1] ?? "nothing";
    const code = readFileSync(join(repository, "lib/connectors/dynamo-table.ts"), "utf8")
      .replace(/\$\{key\.join\(", "\)\}/, "airport")
      .replaceAll(/\$\{versionAttribute\}/g, versionAttribute);
    expect(code).toContain(quoted);
  });
});

describe("references", () => {
  const problems = (from: Doc, all: readonly Doc[]): readonly string[] =>
    linksOf(from).flatMap((link) => {
      if (/^https:/.test(link)) return [];
      const [path = "", anchor] = link.split("#");
      const target = path === "" ? from.path : join(dirname(from.path), path);
      if (target !== from.path && !existsSync(join(repository, target)))
        return [`${from.path}: ${link}: there is no ${target}`];
      const page = all.find((candidate) => candidate.path === target);
      if (anchor === undefined || page === undefined || anchorsOf(page).has(anchor)) return [];
      return [`${from.path}: ${link}: ${target} has no heading of that name`];
    });

  it("between pages resolve, with their headings", () => {
    expect(docs.flatMap((from) => problems(from, docs))).toEqual([]);
    const made: Doc = {
      path: "docs/made-up.md",
      text: "[a](gone.md) [b](failures.md#gone) [c](failures.md#retention) [d](#here) [e](#gone)\n\n# Here\n",
    };
    expect(problems(made, [...docs, made])).toEqual([
      "docs/made-up.md: gone.md: there is no docs/gone.md",
      "docs/made-up.md: failures.md#gone: docs/failures.md has no heading of that name",
      "docs/made-up.md: #gone: docs/made-up.md has no heading of that name",
    ]);
  });

  it("to files of the repository are to files that are there", () => {
    const missing = docs.flatMap((page) =>
      [...proseOf(page).matchAll(/`((?:lib|test|examples|docs|functions)\/[\w./-]+)`/g)]
        .map((match) => match[1] ?? "")
        .filter((path) => !existsSync(join(repository, path)))
        .map((path) => `${page.path}: ${path}`),
    );
    expect(missing).toEqual([]);
  });

  it("lead from the README to every page", () => {
    const linked = new Set(linksOf(doc("README.md")).map((link) => link.split("#")[0]));
    expect(docs.map(({ path }) => path).filter((path) => path !== "README.md" && !linked.has(path))).toEqual([]);
  });

  it("to folders of lib are complete in docs/ARCHITECTURE.md", () => {
    const ranks = readFileSync(join(repository, "test/tidy/imports.ts"), "utf8");
    const ranked = [...ranks.matchAll(/^ {2}"?(lib\/\w+)"?: (\d+),$/gm)].map((match) => [match[1], match[2]]);
    expect(ranked.length).toBeGreaterThan(7);
    const said = table("docs/ARCHITECTURE.md", "rank", "folder").rows.map((row) => [codeIn(row[1]), row[0]]);
    for (const rank of ranked) expect(said).toContainEqual(rank);
  });

  it("to the versions of Node are those of package.json", () => {
    const manifest = JSON.parse(readFileSync(join(repository, "package.json"), "utf8"));
    const least = /^>=(\d+\.\d+)$/.exec(manifest.engines.node)?.[1];
    expect(doc("README.md").text).toContain(`Develop on Node ${least} or later`);
    const pinned = Object.entries<string>(manifest.dependencies).filter(([name]) => name.startsWith("@aws-sdk/"));
    expect(
      pinned.filter(([, version]) => !/^\d/.test(version)),
      "the README says that they are pinned",
    ).toEqual([]);
    expect(doc("README.md").text).toContain(`This is version ${manifest.version}.`);
  });
});
