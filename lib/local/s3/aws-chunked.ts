import { S3Error } from "./s3-error.js";

const lineBytesMax = 8 * 1024;

function incomplete(): S3Error {
  return new S3Error("IncompleteBody", "The request body terminated unexpectedly or its aws-chunked framing is broken");
}

/**
 * Takes the aws-chunked framing off a body: `SIZE[;chunk-signature=…]\r\n DATA \r\n … 0\r\n [name:value\r\n …] \r\n`. The trailers are put into
 * the given map, names in lower case. Source: "Signature calculations … multiple chunks" of the S3 API reference.
 */
export async function* decodeAwsChunked(
  source: AsyncIterable<Buffer>,
  trailers: Map<string, string>,
): AsyncGenerator<Buffer> {
  const reader = new LineReader(source);
  for (;;) {
    const size = chunkSize(await reader.line());
    if (size === 0) break;
    yield* reader.bytes(size);
    if ((await reader.line()) !== "") throw incomplete();
  }
  for (let line = await reader.lastLine(); line !== ""; line = await reader.lastLine()) {
    const colon = line.indexOf(":");
    if (colon < 0) throw incomplete();
    trailers.set(line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim());
  }
  await reader.drain();
}

function chunkSize(line: string): number {
  const match = /^([0-9a-fA-F]{1,12})\s*(?:;|$)/.exec(line);
  if (!match?.[1]) throw incomplete();
  return Number.parseInt(match[1], 16);
}

/** Reads lines and runs of bytes from a stream of buffers. */
class LineReader {
  readonly #source: AsyncIterator<Buffer>;
  #held: Buffer = Buffer.alloc(0);
  #ended = false;

  constructor(source: AsyncIterable<Buffer>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** The next line without its end; the end of the body is an error. */
  async line(): Promise<string> {
    for (;;) {
      const end = this.#held.indexOf("\r\n");
      if (end >= 0) {
        const line = this.#held.toString("latin1", 0, end);
        this.#held = this.#held.subarray(end + 2);
        return line;
      }
      if (this.#held.length > lineBytesMax) throw incomplete();
      if (!(await this.#more())) throw incomplete();
    }
  }

  /** The next line, or "" where the body has ended: some clients leave the last empty line out. */
  async lastLine(): Promise<string> {
    if (this.#held.length === 0 && !(await this.#more())) return "";
    return this.line();
  }

  async *bytes(count: number): AsyncGenerator<Buffer> {
    for (let left = count; left > 0; ) {
      if (this.#held.length === 0 && !(await this.#more())) throw incomplete();
      const piece = this.#held.subarray(0, left);
      this.#held = this.#held.subarray(piece.length);
      left -= piece.length;
      if (piece.length > 0) yield piece;
    }
  }

  /** Reads to the end, so that the connection can be used again. */
  async drain(): Promise<void> {
    while (await this.#more()) this.#held = Buffer.alloc(0);
  }

  async #more(): Promise<boolean> {
    if (this.#ended) return false;
    const next = await this.#source.next();
    if (next.done) this.#ended = true;
    else this.#held = this.#held.length === 0 ? next.value : Buffer.concat([this.#held, next.value]);
    return !this.#ended;
  }
}
