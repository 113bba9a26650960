import { createHash } from "node:crypto";
import { createRequire } from "node:module";

interface Packed {
  readonly partitionKey: string;
  readonly explicitHashKey?: string;
  readonly data: Uint8Array;
}

interface Library {
  readonly RecordAggregator: new () => { addUserRecord(record: Packed): void; build(): { readonly data: Buffer } };
  readonly deaggregateSync: (
    record: { readonly data: string; readonly sequenceNumber: string },
    withChecksum: boolean,
    done: (error: Error | null | undefined, records?: readonly { readonly data: string }[]) => void,
  ) => void;
}

/** The package of AWS Labs: its own types name packages that nobody has. */
const library = createRequire(import.meta.url)("aws-kinesis-agg") as Library;

/** An aggregate as the package makes it. */
export function aggregateOf(records: readonly Packed[]): Buffer {
  const aggregator = new library.RecordAggregator();
  for (const record of records) aggregator.addUserRecord(record);
  return aggregator.build().data;
}

/** One with these bodies, all of one partition key. */
export const aggregate = (...bodies: readonly string[]): Buffer =>
  aggregateOf(bodies.map((body) => ({ partitionKey: "key", data: Buffer.from(body) })));

/** What the package reads in an aggregate; null: it refuses it. */
export function readByLibrary(data: Uint8Array): readonly string[] | null {
  let found: readonly string[] | null = null;
  library.deaggregateSync(
    { data: Buffer.from(data).toString("base64"), sequenceNumber: "1" },
    true,
    (error, records) => {
      found = error || records === undefined ? null : records.map((one) => Buffer.from(one.data, "base64").toString());
    },
  );
  return found;
}

/** A message with magic and MD5 around it. */
export function sealed(message: Uint8Array): Buffer {
  const digest = createHash("md5").update(message).digest();
  return Buffer.concat([Buffer.from("f3899ac2", "hex"), message, digest]);
}
