// What every sink must hold, computed naively from the lines that were put. Shares no code with tidemark.
import { readFileSync } from "node:fs";

/** @typedef {{ word: string, seq: number, tag: string }} Word */
/** @typedef {Word & { n: number, digest: number }} Numbered */

/** @returns {Word[]} */
export const readLines = (path) =>
  readFileSync(path, "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line));

/** By key, in their order; with "one" the last of each. */
export function grouped(values, keyOf, many = "all") {
  const groups = new Map();
  for (const value of values) {
    const key = keyOf(value);
    if (many === "one") groups.set(key, value);
    else if (groups.has(key)) groups.get(key).push(value);
    else groups.set(key, [value]);
  }
  return groups;
}

/** Of each word all rows that its records make, in their order. @returns {Map<string, Numbered[]>} */
export function numberedOf(words) {
  const byWord = new Map();
  for (const { word, tag, seq } of words) {
    const rows = byWord.get(word) ?? [];
    const before = rows.at(-1)?.digest ?? 7;
    rows.push({ word, tag, seq, n: rows.length + 1, digest: (before * 31 + seq + 1) % 1_000_003 });
    byWord.set(word, rows);
  }
  return byWord;
}

/** By tag. */
export function countersOf(words) {
  const byTag = new Map();
  for (const { tag, seq } of words) {
    const { records, sum } = byTag.get(tag) ?? { records: 0, sum: 0 };
    byTag.set(tag, { records: records + 1, sum: sum + seq });
  }
  return byTag;
}

/** Whether the row of this number takes away what is there. */
export const takesItem = ({ n }) => n % 4 === 0;
export const takesTotal = ({ n }) => n % 3 === 0;
/** What the database has of a row. */
export const totalOf = ({ word, seq, n, digest }) => ({ word, seq, n, digest });
