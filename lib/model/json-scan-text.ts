/**
 * A text as bytes, one for each of its characters (UTF-16 code units): ASCII as it is, and for each other character
 * some byte that is not ASCII. Places in both are the same. Quotes follow it, so that a string that the text's end cuts off ends, in what can follow no string.
 */
export class ScanText {
  text = "";
  bytes = new Uint8Array(0);
  view = new DataView(this.bytes.buffer);
  #wide = new Uint16Array(0);
  #mostlyAscii = true;
  /** No backslash stands from the first place up to the second. */
  #plainFrom = 0;
  #plainTo = 0;

  load(text: string): void {
    this.#begin(text);
    if (this.#mostlyAscii || !beyondAscii.test(text)) {
      // The quickest way to copy ASCII is the slowest to find out that it is none.
      const { read, written } = encoder.encodeInto(text, this.bytes);
      this.#mostlyAscii = read === text.length && written === text.length;
    }
    if (!this.#mostlyAscii) this.#narrow(text);
    this.#end(text.length);
  }

  /** The text whose UTF-8 the bytes are. */
  loadUtf8(text: string, utf8: Uint8Array): void {
    this.#begin(text);
    if (utf8.length === text.length) this.bytes.set(utf8);
    else this.#narrow(text);
    this.#end(text.length);
  }

  hasBackslash(from: number, to: number): boolean {
    if (from < this.#plainFrom || to > this.#plainTo) {
      const next = this.text.indexOf("\\", from);
      this.#plainFrom = from;
      this.#plainTo = next < 0 ? this.text.length : next;
    }
    return to > this.#plainTo;
  }

  #begin(text: string): void {
    if (this.bytes.length < text.length + slack) {
      this.bytes = new Uint8Array(2 * text.length + slack);
      this.view = new DataView(this.bytes.buffer);
    }
    this.text = text;
    this.#plainFrom = 0;
    this.#plainTo = 0;
  }

  #end(length: number): void {
    for (let at = length; at < length + quotesAfter; at += 4) this.view.setInt32(at, fourQuotes, true);
  }

  #narrow(text: string): void {
    if (this.#wide.length < text.length) this.#wide = new Uint16Array(2 * text.length);
    narrow(text, this.#wide, this.bytes);
  }
}

const fourQuotes = 0x22222222;
const encoder = new TextEncoder();
const beyondAscii = /\P{ASCII}/u;
/** Enough to end a string, a name, and what would have to follow them. */
const quotesAfter = 16;
/** So far beyond the text may be read. */
const slack = 64;

/** The bytes of a short text. */
export function narrowed(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  narrow(text, new Uint16Array(text.length), bytes);
  return bytes;
}

/** Two copies, and the second one clamps: half the time of a loop. */
function narrow(text: string, wide: Uint16Array, bytes: Uint8Array): void {
  Buffer.from(wide.buffer).write(text, "utf16le");
  new Uint8ClampedArray(bytes.buffer).set(wide.subarray(0, text.length));
}
