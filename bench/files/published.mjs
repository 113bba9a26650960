/**
 * Records a CPU second that others have published for the same two jobs, from file to file, on a machine of theirs: to be compared
 * with each other, and with ours only by how they stand to the plain loop on the same machine.
 */
export const published = [
  { name: "plain loop", f1: 1_000_000, k1: 690_000 },
  { name: "plain loop, whole state each second", f1: 970_000, k1: 610_000 },
  { name: "Flink 2.3, tuned by hand, state on the heap", f1: 890_000, k1: 540_000 },
  { name: "Flink 2.3, RocksDB", f1: 300_000, k1: 120_000 },
];
