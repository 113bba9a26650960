#!/usr/bin/env node
import { runProgram } from "./program.js";

// Who reads our output may stop reading, as `head` does: no reason for a stack trace.
for (const output of [process.stdout, process.stderr])
  output.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    process.exit(0);
  });

// A child or timer that is left must not keep the command: all that must end has been awaited.
process.exit(await runProgram(process.argv.slice(2)));
