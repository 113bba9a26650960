import { createRequire } from "node:module";
import { StreamError } from "../../model/errors.js";

interface CborPackage {
  readonly Decoder: new (options: object) => { decode(bytes: Uint8Array): unknown };
  readonly Encoder: new (options: object) => { encode(value: unknown): Buffer };
}

let codec: { readonly decode: (bytes: Uint8Array) => unknown; readonly encode: (value: unknown) => Buffer } | null =
  null;

/**
 * CBOR as the services' clients write it: any form of it, which our own reader of snapshots refuses. Loaded at the first request
 * that needs it (the Java SDK's, for Kinesis), so that others need not install it.
 *
 * @throws StreamError `invalid` when npm `cbor-x` is not installed
 */
export function serviceCbor(): NonNullable<typeof codec> {
  codec ??= load();
  return codec;
}

function load(): NonNullable<typeof codec> {
  try {
    const { Decoder, Encoder } = createRequire(import.meta.url)("cbor-x") as CborPackage;
    const decoder = new Decoder({ mapsAsObjects: true, useRecords: false });
    const encoder = new Encoder({ useRecords: false, tagUint8Array: false });
    return { decode: (bytes) => decoder.decode(bytes), encode: (value) => encoder.encode(value) };
  } catch (cause) {
    throw new StreamError("invalid", "a client speaks CBOR to the embedded Kinesis, which needs: npm i -D cbor-x", {
      cause,
    });
  }
}
