import type { Span } from "./contents.js";
import { S3Error } from "./s3-error.js";

/**
 * The span that a Range header asks for: `bytes=a-b`, `bytes=a-` or `bytes=-n`. Null where there is none, or one that is not understood
 * (several ranges, another unit): the whole object is answered then, as S3 does. Throws InvalidRange where it lies behind the end.
 */
export function parseRange(header: string | undefined, size: number): Span | null {
  const match = /^bytes=\s*(\d*)\s*-\s*(\d*)\s*$/.exec(header ?? "");
  if (!match || header === undefined) return null;
  const [, first = "", last = ""] = match;
  if (first === "" && last === "") return null;
  if (first === "") {
    const length = Math.min(Number(last), size);
    if (length === 0) throw invalidRange(header, size);
    return { start: size - length, length };
  }
  const start = Number(first);
  if (last !== "" && Number(last) < start) return null;
  if (start >= size) throw invalidRange(header, size);
  const end = last === "" ? size - 1 : Math.min(Number(last), size - 1);
  return { start, length: end - start + 1 };
}

export function contentRange(span: Span, size: number): string {
  return `bytes ${span.start}-${span.start + span.length - 1}/${size}`;
}

function invalidRange(header: string, size: number): S3Error {
  return new S3Error(
    "InvalidRange",
    "The requested range is not satisfiable",
    { RangeRequested: header, ActualObjectSize: String(size) },
    { "content-range": `bytes */${size}` },
  );
}
