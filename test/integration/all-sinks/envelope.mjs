// The envelope of records in Kinesis, and who leaves out repeats, by their description in docs/kinesis-stream.md alone.

const magic = Buffer.from([0xf5, 0x54, 0x4d, 0x01]);
const first = 0xffff;

/** @returns {{ lane: string, checkpoint: number, chunk: number, place: number, after: number | null, payload: Buffer }} */
export function opened(data) {
  const bytes = Buffer.from(data);
  if (!bytes.subarray(0, 4).equals(magic)) throw new Error(`a record without an envelope: ${bytes.toString("latin1")}`);
  const end = 5 + bytes[4];
  const after = bytes.readUInt16BE(end + 12);
  return {
    lane: bytes.toString("latin1", 5, end),
    checkpoint: bytes.readUIntBE(end, 6),
    chunk: bytes.readUInt32BE(end + 6),
    place: bytes.readUInt16BE(end + 10),
    after: after === first ? null : after,
    payload: bytes.subarray(end + 14),
  };
}

/**
 * Remembers every record that it took, for ever and of all shards: one counts if it was not taken before, and the one before it of its
 * key was.
 */
export function reader() {
  const taken = new Set();
  return (envelope) => {
    const { lane, checkpoint, chunk, place, after } = envelope;
    const nameOf = (which) => `${lane}/${checkpoint}/${chunk}/${which}`;
    if (taken.has(nameOf(place)) || (after !== null && !taken.has(nameOf(after)))) return false;
    taken.add(nameOf(place));
    return true;
  };
}
