// A user's project with a pipeline and an app of the CDK, and the commands that work on it.
import { mkdirSync, readFileSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Ended, run } from "../../fixtures/cli/command.js";
import { newProject } from "../../fixtures/cli/project.js";
import { mustRun } from "../localstack/commands.js";
import type { Cloud } from "../resources.js";
import { appText } from "./app.js";

const repository = fileURLToPath(new URL("../../..", import.meta.url));

const outputNames = [
  "Stream",
  "Words",
  "Tags",
  "CheckpointTable",
  "CheckpointBucket",
  "Supervisor",
  "Bindings",
] as const;

/** What the stack says of itself. */
export type Outputs = Readonly<Record<(typeof outputNames)[number], string>>;

export interface Deployment {
  readonly stack: string;
  bootstrap(): Promise<void>;
  /** Deploys this text as the pipeline's file. Answers with what was deployed. */
  deploy(pipeline: string): Promise<Outputs>;
  /** Makes this text the pipeline's file, which commands read, or another one of the project, and deploys nothing. */
  write(pipeline: string, file?: string): void;
  destroy(): Promise<void>;
  /** The project's own command, such as "status". */
  tidemark(command: string, ...args: readonly string[]): Promise<Ended>;
  remove(): void;
}

const packages = ["aws-cdk-lib", "constructs"];

/** Any account will do: this one is LocalStack's own. */
const account = "000000000000";

export function newDeployment(cloud: Cloud): Deployment {
  const stack = cloud.fresh("stack");
  const project = newProject({ "app.mjs": appText(stack) });
  const at = (path: string) => join(project.folder, path);
  mkdirSync(at("node_modules"));
  for (const name of packages) symlinkSync(join(repository, "node_modules", name), at(join("node_modules", name)));
  symlinkSync(repository, at("node_modules/tidemark"));
  const env = {
    AWS_ENDPOINT_URL: cloud.endpoint ?? "",
    AWS_REGION: cloud.region,
    AWS_ACCESS_KEY_ID: account,
    AWS_SECRET_ACCESS_KEY: "test",
  };
  const cdk = async (...args: readonly string[]): Promise<void> => {
    await mustRun(process.execPath, [join(repository, "node_modules/aws-cdk/bin/cdk"), "--no-notices", ...args], {
      cwd: project.folder,
      // It remembers whose keys are of which account, and would believe it of the next cloud.
      env: { ...environmentOf(process.env), ...env, CDK_HOME: at("cdk-home"), CDK_DISABLE_CLI_TELEMETRY: "true" },
    });
  };
  const app = ["--app", "node app.mjs", "--output", at("cdk.out")];
  let variables: Readonly<Record<string, string>> = env;
  return {
    stack,
    bootstrap: () => cdk("bootstrap", `aws://${account}/${cloud.region}`),
    async deploy(pipeline) {
      project.write("pipeline.ts", pipeline);
      await cdk("deploy", stack, ...app, "--require-approval", "never", "--outputs-file", at("outputs.json"));
      const outputs = outputsOf(readFileSync(at("outputs.json"), "utf8"), stack);
      variables = {
        ...env,
        TIDEMARK_TABLE: outputs.CheckpointTable,
        TIDEMARK_BUCKET: outputs.CheckpointBucket,
        TIDEMARK_SUPERVISOR_FUNCTION: outputs.Supervisor,
        TIDEMARK_BINDINGS: outputs.Bindings,
      };
      return outputs;
    },
    write: (pipeline, file = "pipeline.ts") => project.write(file, pipeline),
    destroy: () => cdk("destroy", stack, ...app, "--force"),
    tidemark: (command, ...args) =>
      run([command, "pipeline.ts", "--aws", ...args], { cwd: project.folder, env: variables }),
    remove: project.remove,
  };
}

/** Without what belongs to AWS and to the test runner. */
const environmentOf = (all: NodeJS.ProcessEnv): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(all).filter(([name]) => !/^(AWS_|CDK_|NODE_|TIDEMARK_|VITEST|npm_)/.test(name)));

/** The construct's own names have the path of the construct before them, and a hash behind. */
function outputsOf(file: string, stack: string): Outputs {
  const found = Object.entries((JSON.parse(file) as Record<string, Record<string, string>>)[stack] ?? {});
  const named = outputNames.map((name) => {
    const value = found.find(([output]) => output.replace(/^Pipeline/, "").replace(/[0-9A-F]{8}$/, "") === name)?.[1];
    if (value === undefined) throw new Error(`no output ${name} of ${stack}: ${file}`);
    return [name, value];
  });
  return Object.fromEntries(named) as Outputs;
}
