import { crc32 } from "node:zlib";

/** A zip archive of files by their paths, stored as they are. */
export function zipOf(files: Readonly<Record<string, string | Uint8Array>>): Buffer {
  const local: Buffer[] = [];
  const central: Buffer[] = [];
  let offset = 0;
  for (const [path, content] of Object.entries(files)) {
    const [name, data] = [Buffer.from(path), Buffer.from(content)];
    const shared = sharedFields(name, data);
    const header = Buffer.concat([numbers([4, 0x04034b50]), shared, name]);
    // Its access rights are those of an ordinary file that all may read.
    const place = numbers([2, 0], [2, 0], [2, 0], [4, 0o100644 * 0x10000], [4, offset]);
    central.push(Buffer.concat([numbers([4, 0x02014b50], [2, 0x0314]), shared, place, name]));
    local.push(header, data);
    offset += header.length + data.length;
  }
  const index = Buffer.concat(central);
  const end = numbers(
    [4, 0x06054b50],
    [2, 0],
    [2, 0],
    [2, central.length],
    [2, central.length],
    [4, index.length],
    [4, offset],
    [2, 0],
  );
  return Buffer.concat([...local, index, end]);
}

/** Version, flags (names are UTF-8), method, time, date, checksum, sizes, lengths: what both headers of a file have. */
const sharedFields = (name: Buffer, data: Buffer): Buffer =>
  numbers(
    [2, 20],
    [2, 0x0800],
    [2, 0],
    [2, 0],
    [2, 0x21],
    [4, crc32(data)],
    [4, data.length],
    [4, data.length],
    [2, name.length],
    [2, 0],
  );

/** Widths in bytes and values, little end first. */
function numbers(...fields: readonly (readonly [2 | 4, number])[]): Buffer {
  return Buffer.concat(
    fields.map(([width, value]) => {
      const bytes = Buffer.alloc(width);
      bytes.writeUIntLE(value, 0, width);
      return bytes;
    }),
  );
}
