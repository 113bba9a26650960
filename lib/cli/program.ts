import { Command, CommanderError } from "commander";
import { libraryVersion } from "../model/library.js";
import { checkCommand } from "./check.js";
import { checkpointsCommand } from "./checkpoints.js";
import { cloudCommand } from "./cloud.js";
import { deleteCommand } from "./delete.js";
import { devCommand } from "./dev/command.js";
import { diffCommand } from "./diff.js";
import { doctorCommand } from "./doctor/command.js";
import { exitCodes, usageExitCode } from "./exit-codes.js";
import { explainCommand } from "./explain.js";
import { commandFailure } from "./failures.js";
import { forkCommand } from "./fork/command.js";
import { initCommand } from "./init/command.js";
import { logsCommand } from "./logs/command.js";
import { planCommand } from "./plan.js";
import { quarantineCommand } from "./quarantine.js";
import { recoverCommand } from "./recover.js";
import { replayCommand } from "./replay/command.js";
import { savepointCommand } from "./savepoint.js";
import { startCommand } from "./start.js";
import { stateCommand } from "./state.js";
import { statusCommand } from "./status.js";
import { stopCommand } from "./stop.js";
import { verifyCommand } from "./verify.js";

/** All commands, as users find them. */
export function tidemarkProgram(): Command {
  return (
    new Command("tidemark")
      .description("Exactly-once stream processing on cloud functions, with no cluster to run.")
      .version(libraryVersion)
      // Options belong to the command that they follow: commands below a command have some of the same names.
      .enablePositionalOptions()
      .addCommand(initCommand())
      .addCommand(doctorCommand())
      .addCommand(devCommand())
      .addCommand(cloudCommand())
      .addCommand(planCommand())
      .addCommand(logsCommand())
      .addCommand(checkpointsCommand())
      .addCommand(verifyCommand())
      .addCommand(statusCommand())
      .addCommand(savepointCommand())
      .addCommand(stopCommand())
      .addCommand(startCommand())
      .addCommand(replayCommand())
      .addCommand(forkCommand())
      .addCommand(deleteCommand())
      .addCommand(checkCommand())
      .addCommand(stateCommand())
      .addCommand(diffCommand())
      .addCommand(explainCommand())
      .addCommand(quarantineCommand())
      .addCommand(recoverCommand())
      .addHelpText(
        "after",
        `
Endpoint, region and credentials are the AWS SDK's own: AWS_ENDPOINT_URL, AWS_REGION, AWS_PROFILE and so on.
Table, bucket and physical names are those of tidemark.config.ts beside package.json, where there is one.
Exit codes: 0 done; 1 pipeline, input or configuration must be mended; 2 wrong usage; 3 the endpoint does not answer, or
another start has taken over; 4 stored bytes are corrupt; 70 a bug of tidemark; 130 a Ctrl-C that waited for nothing.`,
      )
  );
}

/** Runs one command line; what it failed for is said on standard error. Returns the exit code. */
export async function runProgram(args: readonly string[]): Promise<number> {
  const program = tidemarkProgram();
  for (const command of [program, ...program.commands, ...program.commands.flatMap(({ commands }) => commands)]) {
    command.exitOverride();
    command.showHelpAfterError("(add --help for what there is)");
  }
  try {
    await program.parseAsync(args, { from: "user" });
    return typeof process.exitCode === "number" ? process.exitCode : 0;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : usageExitCode;
    const failure = commandFailure(error);
    process.stderr.write(`tidemark: ${failure.message}\n`);
    if (failure.kind === "bug" && failure.cause instanceof Error)
      process.stderr.write(`${failure.cause.stack ?? ""}\n`);
    return exitCodes[failure.kind];
  }
}
