#!/usr/bin/env node
import { Command, CommanderError } from "commander";
import { asStreamError } from "../model/errors.js";
import { libraryVersion } from "../model/library.js";
import { checkpointsCommand } from "./checkpoints.js";
import { cloudCommand } from "./cloud.js";
import { devCommand } from "./dev/command.js";
import { exitCodes, usageExitCode } from "./exit-codes.js";

const program = new Command("tidemark")
  .description("Exactly-once stream processing on cloud functions, with no cluster to run.")
  .version(libraryVersion)
  .showHelpAfterError("(add --help for what there is)")
  .addCommand(devCommand())
  .addCommand(cloudCommand())
  .addCommand(checkpointsCommand())
  .addHelpText(
    "after",
    `
Endpoint, region and credentials are the AWS SDK's own: AWS_ENDPOINT_URL, AWS_REGION, AWS_PROFILE and so on.
Exit codes: 0 done; 1 pipeline, input or configuration must be mended; 2 wrong usage; 3 the endpoint does not answer; 4 stored bytes are corrupt.`,
  );

async function main(): Promise<number> {
  for (const command of [program, ...program.commands]) command.exitOverride();
  try {
    await program.parseAsync();
    return typeof process.exitCode === "number" ? process.exitCode : 0;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : usageExitCode;
    const failure = asStreamError(error);
    process.stderr.write(`tidemark: ${failure.message}\n`);
    if (failure.kind === "bug" && failure.cause instanceof Error)
      process.stderr.write(`${failure.cause.stack ?? ""}\n`);
    return exitCodes[failure.kind];
  }
}

// A child or timer that is left must not keep the command: all that must end has been awaited.
process.exit(await main());
