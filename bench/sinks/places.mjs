/** What a run calls its things: each has a cloud of its own, so that the names are always the same. */
export const places = {
  stream: "flights",
  /** The sink's: a table, a bucket, a stream or a table of the database. */
  target: "target",
  prefix: "flights",
};

export const columns = ["airport", "flights", "late", "sum"];
