// The packages whose callbacks may throw where nobody can catch it.
const emulatorFiles =
  /node_modules[\\/](kinesalite|dynalite|lazy|lock|leveldown|levelup|memdown|memory-level|classic-level)[\\/]/;

/**
 * Keeps the process alive through faults inside the emulators, each told in one line on stderr; the request that met it gets no answer.
 * Any other uncaught error ends the process as it would have without the guard. For a process that does nothing but run the cloud:
 * in another program, an error that nobody caught is that program's business.
 *
 * @returns what takes the guard away again
 */
export function guardAgainstEmulatorFaults(): () => void {
  const onFault = (error: unknown) => {
    const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
    if (emulatorFiles.test(stack)) {
      process.stderr.write(`embedded cloud: a fault in an emulator: ${stack.replaceAll(/\s*\n\s*/g, " | ")}\n`);
      return;
    }
    process.stderr.write(`${stack}\n`);
    process.exit(1);
  };
  process.on("uncaughtException", onFault);
  return () => process.off("uncaughtException", onFault);
}
