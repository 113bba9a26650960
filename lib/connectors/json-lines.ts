import { type Codec, json } from "../model/codecs.js";
import { lineWriter } from "../model/lines.js";
import { checkMembers } from "../pipeline/checks.js";
import { checkCodec } from "../pipeline/source.js";
import { type Compression, checkCompression, compressionEnding } from "./compression.js";
import type { FileFormat } from "./file-format.js";
import { LineFile } from "./line-file.js";

const lineFeed = Uint8Array.of(0x0a);
const nothing = new Uint8Array(0);

/**
 * Files of lines, a row each: JSON where no other codec is given.
 *
 * @param options `compression`: "gzip", or "zstd" (Node 22.15 and later); none where it is not given
 * @throws StreamError `invalid` at build: unknown options, no zstd in this Node; at a record: a row that the codec refuses
 * @example s3Files({ bucket: "acme-lake", prefix: "flights/", format: jsonLines({ compression: "gzip" }) })
 */
export function jsonLines<T>(
  options: { readonly codec?: Codec<T>; readonly compression?: Compression } = {},
): FileFormat<T> {
  checkMembers("jsonLines", options, ["codec", "compression"]);
  const { codec = json<T>() } = options;
  checkCodec("jsonLines", codec);
  const compression = checkCompression("jsonLines", options.compression ?? "none");
  const ending = codec.name === "json" ? ".jsonl" : ".txt";
  return {
    name: "json-lines",
    ending: ending + compressionEnding(compression),
    config: { codec: codec.name, compression },
    open: () => {
      const writer = lineWriter(codec as Codec<unknown>);
      return () => new LineFile({ writer, end: lineFeed, head: () => nothing }, compression);
    },
  };
}
