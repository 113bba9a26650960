import { constants, copyFileSync, createReadStream, createWriteStream, readdirSync } from "node:fs";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";

const pieceBytes = 1 << 20;

/** The files of a sink's folder in their order, as one. */
export async function joinParts(folder, output) {
  const [first, ...others] = readdirSync(folder)
    .filter((name) => name.endsWith(".jsonl"))
    .sort();
  if (first === undefined) throw new Error(`there is no file in ${folder}`);
  copyFileSync(join(folder, first), output, constants.COPYFILE_FICLONE);
  for (const name of others) {
    const part = createReadStream(join(folder, name), { highWaterMark: pieceBytes });
    await pipeline(part, createWriteStream(output, { flags: "a", highWaterMark: pieceBytes }));
  }
}
