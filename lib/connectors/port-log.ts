import type { Json } from "../model/canonical-json.js";
import { invariant } from "../model/errors.js";
import type { LogSink, SinkResources } from "../pipeline/sink.js";
import { type WriteAheadLog, writeAheadLog } from "../pipeline/write-ahead-log.js";

/** A log whose target is behind a port, and has its name in the config. */
export function portLog<Row>(description: WriteAheadLog<Row> & { readonly config: Json }): LogSink<Row> {
  const sink = writeAheadLog<Row>(description);
  invariant(sink.delivery === "log", "writeAheadLog makes a log");
  return {
    ...sink,
    config: description.config,
    open(resources) {
      // Its calls are those of the port, which are seen, and lost, there.
      const { send: _, ...own }: SinkResources = resources;
      return sink.open(own);
    },
  };
}
