import { Command, Option } from "commander";
import { port } from "./arguments.js";
import { spawnEmbedded } from "./embedded-cloud.js";
import { interruptSignal, unlessInterrupted, untilAborted } from "./interrupt.js";

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
    .addHelpText("after", notes)
    .action(runCloud);
}

const notes = `
It needs the packages kinesalite and dynalite: npm i -D kinesalite dynalite

Examples:
  tidemark cloud                                everything is forgotten at the end
  tidemark cloud --port 4567 --data ./cloud     kept, also through kill -9`;

async function runCloud(flags: Flags): Promise<void> {
  const interrupt = interruptSignal(null);
  const data = flags.data ?? null;
  const cloud = await unlessInterrupted(interrupt, spawnEmbedded({ port: flags.port, data, limits: flags.limits }));
  if (cloud === null) return;
  const { endpoint, pid } = cloud;
  process.stdout.write(flags.json ? `${JSON.stringify({ endpoint, pid })}\n` : ready(endpoint, data));
  await untilAborted(interrupt);
  await cloud.stop();
}

const ready = (endpoint: string, data: string | null): string =>
  `Kinesis, DynamoDB and S3 on ${endpoint}, kept ${data === null ? "in memory" : `in ${data}`}

  export AWS_ENDPOINT_URL=${endpoint} AWS_REGION=us-east-1 AWS_ACCESS_KEY_ID=any AWS_SECRET_ACCESS_KEY=any

Ctrl-C ends it.\n`;
