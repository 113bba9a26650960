const millisBetweenLines = 3_000;

/** How far a long command is, on standard error: a line that changes on a terminal, elsewhere one now and then. */
export function progressLine() {
  const isTerminal = process.stderr.isTTY === true;
  let saidAt = Date.now();
  let isShown = false;
  return {
    show(text: () => string): void {
      if (Date.now() - saidAt < (isTerminal ? 100 : millisBetweenLines)) return;
      saidAt = Date.now();
      isShown = true;
      process.stderr.write(isTerminal ? `\r${text()}` : `${text()}\n`);
    },
    end(): void {
      if (isTerminal && isShown) process.stderr.write("\r\u001b[K");
    },
  };
}
