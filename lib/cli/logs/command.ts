import { Command, InvalidArgumentError } from "commander";
import { duration } from "../arguments.js";
import { type LogFlags, readLogs } from "./logs.js";

const defaultSinceMillis = 10 * 60_000;

export function logsCommand(): Command {
  return new Command("logs")
    .description("print what the functions of a deployed pipeline have logged")
    .argument("<pipeline.ts>", "the file that exports the pipeline as default")
    .option("--task <task>", 'only the sessions of this task, such as "0.1", as "status" names it', taskName)
    .option("--since <duration>", "what is not older (default: 10m)", duration(), defaultSinceMillis)
    .option("--follow", "go on until Ctrl-C", false)
    .option("--aws", "work on the account that the SDK finds", false)
    .option("--json", "print lines of JSON", false)
    .addHelpText("after", notes)
    .action((file: string, flags: LogFlags) => readLogs(file, flags));
}

function taskName(text: string): string {
  if (/^\d+\.\d+$/.test(text)) return text;
  throw new InvalidArgumentError('It is no task: write the numbers of stage and task, such as "0.1".');
}

const notes = `
Read are the log groups of both functions, in the order of the times. The supervisor's name is in TIDEMARK_SUPERVISOR_FUNCTION (an
output of the stack); that function knows the other one. A pipeline that runs on this machine logs into the output of "tidemark dev".
It needs the npm package @aws-sdk/client-cloudwatch-logs, and the rights lambda:GetFunctionConfiguration and logs:FilterLogEvents.

Examples:
  tidemark logs flights.ts --aws --since 1h
  tidemark logs flights.ts --aws --task 0.0 --follow

Members with --json: at, function (task or supervisor), task, requestId, level, message, fields (all of a line that is JSON).`;
