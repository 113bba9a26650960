// Progress: one live line on a terminal, else a line every few seconds; what happens stands above it.

const quietMs = 3_000;

/** @param {NodeJS.WriteStream} out */
export function openScreen(out) {
  const startedAt = performance.now();
  let line = "";
  let printedAt = Number.NEGATIVE_INFINITY;
  const stamp = () => `${((performance.now() - startedAt) / 1_000).toFixed(1).padStart(5)} s  `;
  const clear = () => {
    if (out.isTTY && line !== "") out.write("\r\u001b[K");
  };
  return {
    say(text) {
      clear();
      out.write(`${stamp()}${text}\n`);
      if (out.isTTY) out.write(line);
    },
    status(text) {
      if (out.isTTY) {
        clear();
        line = `${stamp()}${text}`.slice(0, (out.columns ?? 120) - 1);
        out.write(line);
      } else if (performance.now() - printedAt >= quietMs) {
        printedAt = performance.now();
        out.write(`${stamp()}${text}\n`);
      }
    },
    /** Text as it is, with the live line gone. */
    write(text) {
      clear();
      line = "";
      out.write(text);
    },
  };
}

/** @returns {string} the columns aligned, the first to the left, the others to the right */
export function table(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  const aligned = (cell, column) => (column === 0 ? cell.padEnd(widths[column]) : cell.padStart(widths[column]));
  return rows.map((row) => `  ${row.map(aligned).join("   ")}`.trimEnd()).join("\n");
}
