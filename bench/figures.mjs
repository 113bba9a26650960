// Numbers for people.

export function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

export const whole = (number) => Math.round(number).toLocaleString("en-US");
export const fixed = (number, digits = 2) => number.toFixed(digits);
export const millions = (number) => `${(number / 1e6).toFixed(2)} M`;

/** The first column to the left, the others to the right. @param {string[][]} rows @returns {string} */
export function table(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  const aligned = (cell, column) => (column === 0 ? cell.padEnd(widths[column]) : cell.padStart(widths[column]));
  return rows.map((row) => `  ${row.map(aligned).join("   ")}`.trimEnd()).join("\n");
}
