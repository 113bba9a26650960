/** The file that exports the pipeline: the construct puts it here when it bundles the functions. */
declare module "tidemark-entry" {
  const pipeline: import("tidemark").Pipeline<unknown, unknown>;
  export default pipeline;
}
