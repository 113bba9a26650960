import type { Bindings } from "../runtime/deployment.js";

/** Of an environment where everything is called as in the pipeline. */
export const sameNames: Bindings = {
  stream: (logical) => logical,
  table: (logical) => logical,
  file: (logical) => logical,
  bucket: (logical) => logical,
  database: (logical) => logical,
};
