/**
 * How values become bytes and back: of a source's records, for instance. `decode` throws where the bytes are no such value;
 * the caller adds where they stood (shard, sequence number).
 */
export interface Codec<T> {
  readonly name: string;
  decode(bytes: Uint8Array): T;
  encode(value: T): Uint8Array;
}
