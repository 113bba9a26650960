import { createRequire } from "node:module";
import { dirname, join } from "node:path";

/** A file that is built, such as "functions/task.js": programs of their own, which are started or bundled and never imported. */
export const builtFile = (path: string): string =>
  join(dirname(createRequire(import.meta.url).resolve("tidemark/package.json")), "dist", path);
