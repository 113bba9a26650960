import { filePath } from "../pipeline/source.js";
import type { Log } from "../ports/log.js";

/** One log of two: a stream called `file:…` is the file of that path, any other one is in `streams`. */
export function logs(streams: Log, files: Log): Log {
  const of = (stream: string): { readonly log: Log; readonly name: string } => {
    const path = filePath(stream);
    return path === null ? { log: streams, name: stream } : { log: files, name: path };
  };
  return {
    async describe(stream) {
      const { log, name } = of(stream);
      return log.describe(name);
    },
    async shards(stream) {
      const { log, name } = of(stream);
      return log.shards(name);
    },
    async cursor(stream, shardId, start) {
      const { log, name } = of(stream);
      return log.cursor(name, shardId, start);
    },
    async read(stream, cursor, limit) {
      const { log, name } = of(stream);
      return log.read(name, cursor, limit);
    },
  };
}
