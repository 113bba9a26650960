import type { Codec } from "../model/codecs.js";
import { checkMembers, kindOf, quoted, refuse } from "../pipeline/checks.js";
import { checkCodec, fileStream, type Source, type SourceConfig } from "../pipeline/source.js";

/** What {@link fileSource} takes. */
export interface FileSourceOptions<T> {
  /** The logical name; bound to a real path when a session starts. Without a binding it is the path itself, from the folder of `tidemark dev`. */
  readonly path: string;
  /** json(schema), text, bytes, or one of your own: of one line. */
  readonly codec: Codec<T>;
}

/**
 * The lines of a file, in their order, as records: each line that is not empty, without its end ("\n" or "\r\n"), and a last one
 * without an end too. Bounded: when all lines are processed, the pipeline is finished. The file must not change before that.
 * Makes a value only: nothing is opened.
 *
 * @throws StreamError `invalid` for options that are unknown or of the wrong type
 * @example fileSource({ path: "flights.jsonl", codec: json(Flight) })
 */
export function fileSource<T>(options: FileSourceOptions<T>): Source<T> {
  const where = "fileSource()";
  checkMembers(where, options, ["path", "codec"]);
  const { path, codec } = options;
  if (typeof path !== "string" || path === "" || path.includes("\0")) {
    refuse(
      `${where}: path`,
      `must be the path of a file, not ${typeof path === "string" ? quoted(path) : kindOf(path)}`,
    );
  }
  checkCodec(where, codec);
  const stream = fileStream(path);
  const config: SourceConfig = { stream, codec: codec.name, start: "horizon", end: null, aggregation: "none" };
  return Object.freeze({ kind: "file", config: Object.freeze(config), codec });
}
