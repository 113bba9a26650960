// What `npm pack` makes is what users get: here it is installed into a new project, and used as they use it.
import { readdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type FreshProject, freshProject, repository } from "./fresh-project.js";

const timeout = 120_000;

let project: FreshProject;
beforeAll(async () => {
  project = await freshProject();
}, timeout);
afterAll(() => project?.remove(), timeout);

const pipelineText = `
import { dynamoTable, json, kinesisSource, pipeline, value } from "tidemark";

export default pipeline("orders", { checkpoint: { interval: "10s" } }, (flow) =>
  flow
    .from("orders", kinesisSource({ stream: "orders", codec: json() }))
    .keyBy((order) => order.customer)
    .process("totals", {
      state: { total: value(0) },
      onRecord(order, { key, state }) {
        state.total.update((total) => total + order.amount);
        return { customer: key, total: state.total.get() };
      },
    })
    .to("customers", dynamoTable({ table: "customers", key: ["customer"] })),
);
`;

describe("the package", () => {
  it("has what is built, the licence and the manifest, and nothing of how it is made", () => {
    for (const path of [
      "package.json",
      "LICENSE",
      "dist/index.js",
      "dist/index.d.ts",
      "dist/lambda.js",
      "dist/lambda.d.ts",
      "dist/cdk/index.js",
      "dist/cdk/index.d.ts",
      "dist/cdk/plan-file.js",
      "dist/functions/task.js",
      "dist/functions/supervisor.js",
    ])
      expect(project.packed).toContain(path);
    expect(project.packed.filter((path) => !/^(dist|docs)\/|^(package\.json|LICENSE|README\.md)$/.test(path))).toEqual(
      [],
    );
    expect(project.packed.filter((path) => /tsbuildinfo|\.test\.|^dist\/cdk\/app\./.test(path))).toEqual([]);
  });

  it("brings no emulator and no tool", () => {
    const installed = readdirSync(join(project.folder, "node_modules"));
    expect(installed).toContain("tidemark");
    for (const name of [
      "kinesalite",
      "dynalite",
      "leveldown",
      "vitest",
      "vite",
      "typescript",
      "fast-check",
      "@biomejs",
      "aws-cdk-lib",
    ])
      expect(installed).not.toContain(name);
  });

  it("needs no compile step: all that is native came ready-made", () => {
    const lock = readFileSync(join(project.folder, "package-lock.json"), "utf8");
    const packages = JSON.parse(lock).packages as Readonly<
      Record<string, { readonly hasInstallScript?: boolean; readonly optional?: boolean }>
    >;
    const scripted = Object.entries(packages).filter(([, entry]) => entry.hasInstallScript && !entry.optional);
    // esbuild's script only checks the binary that its platform's package brought.
    expect(scripted.map(([path]) => path)).toEqual(["node_modules/esbuild"]);
  });
});

describe("a new project", () => {
  it("imports tidemark and tidemark/lambda, and builds a pipeline", { timeout }, async () => {
    project.write("orders.mjs", pipelineText);
    const program = `
      import { isPipeline } from "tidemark";
      import { supervisorHandler, taskHandler } from "tidemark/lambda";
      const { default: orders } = await import("./orders.mjs");
      const handlers = [taskHandler(orders), supervisorHandler(orders)].map((handler) => typeof handler);
      const { name, nodes } = orders.plan.graph;
      console.log(JSON.stringify({ isPipeline: isPipeline(orders), name, nodes: nodes.length, handlers }));
    `;
    expect(JSON.parse(await project.run(process.execPath, "--input-type=module", "--eval", program))).toEqual({
      isPipeline: true,
      name: "orders",
      nodes: expect.any(Number),
      handlers: ["function", "function"],
    });
  });

  it("runs its pipeline in a test, with the test kit", { timeout }, async () => {
    project.write("orders.mjs", pipelineText);
    const program = `
      import { runPipeline } from "tidemark/testing";
      const { default: orders } = await import("./orders.mjs");
      const input = { orders: [1, 2, 3].map((amount) => ({ customer: "ann", amount })) };
      const { sinks, crashes } = await runPipeline(orders, input, { crashes: 1 });
      console.log(JSON.stringify({ sinks, crashes }));
    `;
    expect(JSON.parse(await project.run(process.execPath, "--input-type=module", "--eval", program))).toEqual({
      sinks: { customers: [{ customer: "ann", total: 6 }] },
      crashes: 1,
    });
  });

  it("reaches what the package exports, and nothing else", { timeout }, async () => {
    const program = `await import("tidemark/dist/model/head.js")`;
    const refused = project.run(process.execPath, "--input-type=module", "--eval", program);
    await expect(refused).rejects.toThrow("ERR_PACKAGE_PATH_NOT_EXPORTED");
  });

  it("compiles against the types, declarations checked, and is told of mistakes", { timeout }, async () => {
    const options = { module: "NodeNext", moduleResolution: "NodeNext", target: "ES2023", strict: true, noEmit: true };
    const compilerOptions = { ...options, exactOptionalPropertyTypes: true, skipLibCheck: false, types: [] };
    project.write("tsconfig.json", JSON.stringify({ compilerOptions, files: ["typed.ts"] }));
    const typed = [
      `import { type Codec, dynamoTable, kinesisSource, pipeline, value } from "tidemark";`,
      `import { type LambdaHandler, taskHandler } from "tidemark/lambda";`,
      "interface Order { readonly customer: string; readonly amount: number }",
      "declare const codec: Codec<Order>;",
      `const orders = pipeline("orders", { checkpoint: { interval: "10s" } }, (flow) =>`,
      `  flow.from("orders", kinesisSource({ stream: "orders", codec })).keyBy((order) => order.customer).process("totals", {`,
      "    state: { total: value(0) },",
      "    onRecord(order, { key, state }) {",
      "      const name: string = key;",
      "      state.total.update((total) => total + order.amount);",
      "      // @ts-expect-error: an order has no such field",
      "      const price = order.price;",
      "      return { customer: name, total: state.total.get(), price };",
      "    },",
      `  }).to("customers", dynamoTable({ table: "customers", key: ["customer"] })),`,
      ");",
      "export const handler: LambdaHandler = taskHandler(orders);",
      "// @ts-expect-error: an interval has a unit",
      `pipeline("orders", { checkpoint: { interval: "10" } }, () => {});`,
      "",
    ];
    const compiler = join(repository, "node_modules/typescript/bin/tsc");
    project.write("typed.ts", typed.join("\n"));
    await project.run(process.execPath, compiler, "-p", "tsconfig.json");
    // Were the types not found, or `any`, then nothing would be a mistake: without its excuse, this one must be one.
    project.write("typed.ts", typed.filter((line) => !line.includes("has no such field")).join("\n"));
    await expect(project.run(process.execPath, compiler, "-p", "tsconfig.json")).rejects.toThrow(
      /'price' does not exist/,
    );
  });

  it("writes to PostgreSQL once it has the driver, whose types it does not need", { timeout }, async () => {
    const options = { module: "NodeNext", moduleResolution: "NodeNext", target: "ES2023", strict: true, noEmit: true };
    const compilerOptions = { ...options, exactOptionalPropertyTypes: true, skipLibCheck: false, types: [] };
    const config = project.write("tsconfig.json", JSON.stringify({ compilerOptions, files: ["shop.ts"] }));
    const shop = (row: string) =>
      [
        `import { deleted, fileSource, json, pipeline } from "tidemark";`,
        `import { postgres } from "tidemark/postgres";`,
        "interface Order { readonly id: bigint; readonly sku: string }",
        `const orders = fileSource({ path: "orders.jsonl", codec: json<Order>() });`,
        `export default pipeline("shop", {}, (flow) =>`,
        `  flow.from("orders", orders).map(({ id, sku }) => (sku === "" ? deleted({ id }) : ${row}))`,
        `    .to("orders", postgres({ database: "shop", table: "orders", mode: "upsert", key: ["id"] })));`,
      ].join("\n");
    const compiler = join(repository, "node_modules/typescript/bin/tsc");
    project.write("shop.ts", shop("{ id, sku }"));
    await project.run(process.execPath, compiler, "-p", config);
    project.write("shop.ts", shop("{ sku }"));
    await expect(project.run(process.execPath, compiler, "-p", config)).rejects.toThrow(
      /'\{ sku: string; \}' is not assignable/,
    );

    const program = `
      import { postgres } from "tidemark/postgres";
      console.log(postgres({ database: "shop", table: "orders", mode: "append" }).delivery);
    `;
    const run = () => project.run(process.execPath, "--input-type=module", "--eval", program);
    await expect(run()).rejects.toThrow("Cannot find package 'pg'");
    symlinkSync(join(repository, "node_modules/pg"), join(project.folder, "node_modules/pg"));
    expect((await run()).trim()).toBe("log");
    rmSync(join(project.folder, "node_modules/pg"));
  });

  it("deploys its pipeline with the construct, once it has the CDK", { timeout }, async () => {
    project.write("orders.mjs", pipelineText);
    for (const name of ["aws-cdk-lib", "constructs"])
      symlinkSync(join(repository, "node_modules", name), join(project.folder, "node_modules", name));
    const program = `
      import { App, Stack } from "aws-cdk-lib";
      import { Table } from "aws-cdk-lib/aws-dynamodb";
      import { Stream } from "aws-cdk-lib/aws-kinesis";
      import { TidemarkPipeline } from "tidemark/cdk";
      const app = new App({ outdir: "cdk.out" });
      const stack = new Stack(app, "Fresh");
      const streams = { orders: new Stream(stack, "Stream") };
      const tables = { customers: Table.fromTableName(stack, "Customers", "customers") };
      new TidemarkPipeline(stack, "Orders", { entry: "orders.mjs", streams, tables });
      const { Resources } = app.synth().getStackByName("Fresh").template;
      const functions = Object.values(Resources).filter(({ Type }) => Type === "AWS::Lambda::Function");
      console.log(JSON.stringify(functions.map(({ Properties }) => Properties.FunctionName)));
    `;
    const names = JSON.parse(await project.run(process.execPath, "--input-type=module", "--eval", program));
    expect(names.sort()).toEqual(["Fresh-orders-supervisor", "Fresh-orders-task"]);
  });

  it("has the command, which tells its version", { timeout }, async () => {
    const { version } = JSON.parse(readFileSync(join(repository, "package.json"), "utf8")) as {
      readonly version: string;
    };
    expect((await project.run("npx", "--no-install", "tidemark", "--version")).trim()).toBe(version);
  });
});

describe("a function's bundle", () => {
  // Golden, in bytes: what a cold start loads. When a change is meant, write the new measure here.
  const measured = { all: 1_060_000, own: 235_000 };

  const bundle = (external: readonly string[]) =>
    build({
      absWorkingDir: project.folder,
      stdin: {
        contents: `
          import { taskHandler } from "tidemark/lambda";
          import orders from "./orders.mjs";
          export const handler = taskHandler(orders);
        `,
        resolveDir: project.folder,
      },
      bundle: true,
      platform: "node",
      format: "esm",
      target: "node22",
      minify: true,
      metafile: true,
      write: false,
      external: [...external],
      logLevel: "silent",
    });

  it("has nothing of the local cloud, the test kit, the command line or the bundler", { timeout }, async () => {
    project.write("orders.mjs", pipelineText);
    const inputs = Object.keys((await bundle([])).metafile.inputs);
    expect(inputs.filter((path) => path.includes("tidemark/dist/runtime/"))).not.toEqual([]);
    expect(inputs.filter((path) => /tidemark\/dist\/(local|testing|cli)\//.test(path))).toEqual([]);
    expect(inputs.filter((path) => /node_modules\/(kinesalite|dynalite|esbuild|commander)\//.test(path))).toEqual([]);
  });

  it.each([
    ["with the AWS SDK", [], measured.all],
    ["without the AWS SDK", ["@aws-sdk/*"], measured.own],
  ])("%s has the size that was measured, give or take a quarter", { timeout }, async (_, external, golden) => {
    project.write("orders.mjs", pipelineText);
    const size = (await bundle(external)).outputFiles[0]?.contents.length ?? 0;
    expect(size).toBeGreaterThan(golden * 0.75);
    expect(size).toBeLessThan(golden * 1.25);
  });
});
