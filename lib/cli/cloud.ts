import { Command, Option } from "commander";
import { spawnCloud } from "../local/cloud/child.js";
import { port } from "./dev/command.js";

interface Flags {
  readonly port: number;
  readonly data?: string;
  readonly limits: "real" | "none";
  readonly json: boolean;
}

export function cloudCommand(): Command {
  return new Command("cloud")
    .description("run the embedded cloud: Kinesis, DynamoDB and S3 behind one port, without Docker")
    .option("--port <number>", "the port on 127.0.0.1 (0: a free one)", port, 4566)
    .option("--data <folder>", "keep everything in this folder (default: in memory)")
    .addOption(
      new Option("--limits <which>", "throttle shards as the service does").choices(["real", "none"]).default("none"),
    )
    .option("--json", "print one line of JSON when it is ready", false)
    .action(async (flags: Flags) => {
      const cloud = await spawnCloud({ port: flags.port, data: flags.data ?? null, limits: flags.limits });
      process.stdout.write(
        flags.json ? `${JSON.stringify({ endpoint: cloud.endpoint, pid: cloud.pid })}\n` : ready(cloud.endpoint, flags),
      );
      await interrupted();
      await cloud.stop();
    });
}

function ready(endpoint: string, flags: Flags): string {
  const kept = flags.data === undefined ? "in memory" : `in ${flags.data}`;
  return `Kinesis, DynamoDB and S3 on ${endpoint}, kept ${kept}

  export AWS_ENDPOINT_URL=${endpoint} AWS_REGION=us-east-1 AWS_ACCESS_KEY_ID=any AWS_SECRET_ACCESS_KEY=any

Ctrl-C ends it.\n`;
}

function interrupted(): Promise<void> {
  return new Promise((resolve) => {
    // The handler alone does not keep the process alive.
    const alive = setInterval(() => undefined, 60_000);
    const end = () => {
      clearInterval(alive);
      resolve();
    };
    process.once("SIGINT", end);
    process.once("SIGTERM", end);
  });
}
