import type { S3Request } from "./request.js";
import { invalidArgument } from "./s3-error.js";

const pageMax = 1000;

/** A page size of the query, such as `max-keys`: 0 to 1,000, and 1,000 where it is missing or larger. */
export function pageSize(request: S3Request, name: string): number {
  const text = request.query.get(name) ?? "";
  if (text === "") return pageMax;
  const value = wholeNumber(name, text);
  if (value > 0x7fffffff) {
    throw invalidArgument(name, text, `Argument ${name} must be an integer between 0 and 2147483647`);
  }
  return Math.min(value, pageMax);
}

export function wholeNumber(name: string, text: string): number {
  if (!/^\d+$/.test(text)) throw invalidArgument(name, text, `Provided ${name} not an integer or within integer range`);
  return Number(text);
}

/** How names are written into the XML of a listing: percent-encoded with `encoding-type=url`, as they are otherwise. */
export function nameEncoder(request: S3Request): (name: string) => string {
  const type = request.query.get("encoding-type");
  if (type === undefined || type === "") return (name) => name;
  if (type !== "url") throw invalidArgument("encoding-type", type, "Invalid Encoding Method specified in Request");
  return (name) => encodeURIComponent(name).replaceAll("%2F", "/");
}

/** `<EncodingType>url</EncodingType>` where it was asked for. */
export function encodingType(request: S3Request): string {
  return request.query.get("encoding-type") ? "<EncodingType>url</EncodingType>" : "";
}
