import { isAscii, isUtf8 } from "node:buffer";
import { createHash } from "node:crypto";
import { StreamError } from "../model/errors.js";
import { millis } from "../model/ids.js";
import type { FileInfo, FileReads } from "../ports/files.js";
import type { Log, LogLines, LogStart } from "../ports/log.js";

/** What one read takes: large enough that a read costs nothing beside its lines, small beside a function's memory. */
const blockBytes = 1 << 20;
const lineBytesMax = 64 << 20;
/** Of the beginning and of the end, for the file's identity. */
const sampleBytes = 64 << 10;

/** The one shard that a file is. */
const shardId = "lines";
const hashKeys = ["0", String(2n ** 128n - 1n)] as const;

/** A file keeps what it has, and knows no time. */
const retentionMillis = Number.POSITIVE_INFINITY;
const noTime = millis(0);

/** The file as it was when the cursor was made: another one, or one of another length, is not read on. */
interface Cursor extends FileInfo {
  readonly offset: number;
}

/**
 * Files of lines as a log: each has one shard, which ends where the file ends. A record is a line; its sequence number is the
 * offset of its first byte. A byte order mark before the first line belongs to no record.
 *
 * A file is known by its length and the SHA-256 of its first and last 64 KiB (K3): a copy is the same file, a longer, shorter
 * or other one is not. It must not change as long as a pipeline has positions in it.
 *
 * @throws StreamError `invalid`: the file changed, no line begins at a position, or a line is longer than 64 MiB
 * @example const log = fileLog(nodeFiles());
 */
export function fileLog(files: FileReads): Log {
  return {
    async describe(path) {
      const found = await files.stat(path);
      if (found === null) return { kind: "absent" };
      const arn = `file:sha256:${await contentOf(files, path, found.size)}`;
      return { kind: "found", arn, createdAt: noTime, retentionMillis, serverNow: noTime };
    },
    async shards(path) {
      if ((await files.stat(path)) !== null) return [{ shardId, parents: [], hashKeys }];
      throw new StreamError("invalid", `file "${path}" does not exist; make it, or bind the source to another`);
    },
    async cursor(path, shard, start) {
      const found = await files.stat(path);
      if (found === null || shard !== shardId) return { kind: "absent" };
      const offset = start.kind === "at" ? await lineAt(files, path, found, start) : 0;
      return { kind: "cursor", cursor: JSON.stringify({ ...found, offset } satisfies Cursor) };
    },
    read: async (path, cursor) => readBlock(files, path, JSON.parse(cursor) as Cursor),
  };
}

async function contentOf(files: FileReads, path: string, size: number): Promise<string> {
  const hash = createHash("sha256").update(`${size}\n`);
  const first = await files.read(path, [0, sampleBytes]);
  const last = await files.read(path, [Math.max(0, size - sampleBytes), sampleBytes]);
  for (const bytes of [first, last]) hash.update(bytes ?? new Uint8Array(0));
  return hash.digest("hex");
}

/** P1: the record at a position is read again; where no line begins there, the position is one of another file. */
async function lineAt(
  files: FileReads,
  path: string,
  found: FileInfo,
  start: Extract<LogStart, { readonly kind: "at" }>,
): Promise<number> {
  const offset = Number(start.sequenceNumber);
  const from = Math.max(0, offset - 3);
  const before = Buffer.from((await files.read(path, [from, offset - from])) ?? []);
  const begins = offset === 0 || before.at(-1) === lineFeed || (offset === 3 && before.equals(byteOrderMark));
  if (offset < found.size && begins) return offset;
  throw new StreamError(
    "invalid",
    `file "${path}" (${found.size} bytes) has no line that begins at byte ${start.sequenceNumber}, where the checkpoint goes on: it was cut short, or is another file (K3); put back the file of before, or start under another pipeline name`,
  );
}

async function readBlock(files: FileReads, path: string, cursor: Cursor): Promise<LogLines> {
  const { offset, size } = cursor;
  const found = await files.stat(path);
  if (found?.identity !== cursor.identity || found.size !== size) throw changed(path, cursor, found);
  for (let length = blockBytes; ; length = Math.min(2 * length, lineBytesMax)) {
    const bytes = await files.read(path, [offset, Math.min(length, size - offset)]);
    if (bytes === null) throw changed(path, cursor, null);
    const atEnd = offset + bytes.length >= size;
    const end = atEnd ? bytes.length : bytes.lastIndexOf(lineFeed) + 1;
    if (end > 0 || atEnd) {
      const next = atEnd ? null : JSON.stringify({ ...cursor, offset: offset + end } satisfies Cursor);
      return linesOf(bytes.subarray(0, end), offset, next);
    }
    if (length === lineBytesMax) throw tooLong(path, offset);
  }
}

function linesOf(block: Uint8Array, offset: number, next: string | null): LogLines {
  const whole = Buffer.from(block.buffer, block.byteOffset, block.length);
  const mark = offset === 0 && whole.subarray(0, byteOrderMark.length).equals(byteOrderMark) ? byteOrderMark.length : 0;
  const bytes = whole.subarray(mark);
  return { kind: "lines", bytes, text: textOf(bytes), offset: offset + mark, next };
}

/** Where one byte is not UTF-8 the lines are read one by one, so that only the bad one is bad. */
function textOf(bytes: Buffer): string | null {
  if (isAscii(bytes)) return bytes.toString("latin1");
  return isUtf8(bytes) ? bytes.toString("utf8") : null;
}

const lineFeed = 10;
const byteOrderMark = Buffer.from([0xef, 0xbb, 0xbf]);

function changed(path: string, before: Cursor, now: FileInfo | null): StreamError {
  const how = now === null ? "is gone" : `had ${before.size} bytes and has ${now.size}`;
  const what = now?.size === before.size ? "was replaced by another file" : how;
  return new StreamError(
    "invalid",
    `file "${path}" ${what}, while it was read (K3); give the pipeline a file that stays`,
  );
}

const tooLong = (path: string, offset: number): StreamError =>
  new StreamError("invalid", `file "${path}": the line at byte ${offset} is longer than ${lineBytesMax >> 20} MiB`);
