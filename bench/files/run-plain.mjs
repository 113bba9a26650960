// One run of the plain loop, in a process of its own: blocks of 1 MiB in, pieces of 1 MiB out, all of it synchronous.
import { closeSync, openSync, readSync, renameSync, writeFileSync, writeSync } from "node:fs";
import { jobs } from "./jobs.mjs";
import { measured, readArguments } from "./measured.mjs";

const blockBytes = 1 << 20;
const pieceLength = 1 << 20;
const stateEveryMs = 1_000;
const lineFeed = 10;

/** Calls `each` with every line. A line that goes beyond its block is read again with the next one. */
function eachLine(path, each) {
  const file = openSync(path, "r");
  let block = Buffer.allocUnsafe(blockBytes);
  let kept = 0;
  try {
    for (;;) {
      const read = readSync(file, block, kept, block.length - kept, null);
      const filled = kept + read;
      const end = read === 0 ? filled : block.lastIndexOf(lineFeed, filled - 1) + 1;
      const text = block.toString("utf8", 0, end);
      for (let from = 0; from < text.length; ) {
        const found = text.indexOf("\n", from);
        const to = found === -1 ? text.length : found;
        if (to > from) each(text.slice(from, to));
        from = to + 1;
      }
      if (read === 0) return;
      kept = filled - end;
      const next = kept === block.length ? Buffer.allocUnsafe(2 * block.length) : block;
      block.copy(next, 0, end, filled);
      block = next;
    }
  } finally {
    closeSync(file);
  }
}

/** Rows to a file, in pieces. */
function rowWriter(path) {
  const file = openSync(path, "w");
  let text = "";
  const flush = () => {
    writeSync(file, text);
    text = "";
  };
  return {
    add(row) {
      text += `${row}\n`;
      if (text.length >= pieceLength) flush();
    },
    close() {
      flush();
      closeSync(file);
    },
  };
}

/** Its whole state once a second, as JSON: whole or not at all. */
function stateWriter(state, path) {
  let due = performance.now() + stateEveryMs;
  let written = 0;
  return {
    tick() {
      if (performance.now() < due) return;
      writeFileSync(`${path}.new`, JSON.stringify([...state]));
      renameSync(`${path}.new`, path);
      written++;
      due = performance.now() + stateEveryMs;
    },
    get written() {
      return written;
    },
  };
}

/** The clock is asked once in so many lines. */
const linesBetweenLooks = 256;

function run({ job, input, output, folder, variant }) {
  const state = new Map();
  const onLine = jobs[job].plain(state);
  const rows = rowWriter(output);
  const saved = variant === "saving" ? stateWriter(state, `${folder}/state.json`) : null;
  let records = 0;
  eachLine(input, (line) => {
    const row = onLine(line);
    if (row !== null) rows.add(row);
    records++;
    if (saved !== null && records % linesBetweenLooks === 0) saved.tick();
  });
  rows.close();
  return { records, checkpoints: saved?.written ?? 0 };
}

await measured(() => run(readArguments()));
