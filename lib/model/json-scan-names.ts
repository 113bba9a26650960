import { narrowed } from "./json-scan-text.js";

/** Of members beyond it nothing is kept. */
const membersMax = 32;
const textMax = 32;

/**
 * Which members of an object are wanted. Objects that follow one another mostly have the same names in the same order, so that
 * it is tried first whether a member's name is the one that stood there last time. What stood there only says where to look: it
 * is compared to its last character.
 */
export class MemberNames {
  readonly #needles: readonly Needle[];
  /** Of each member of an object the last time: how long its name is with the quote and colon after it, or 0 for one not kept. */
  readonly lengths = new Int32Array(membersMax);
  /** Which name it was: its place among the names, or -1. */
  readonly slots = new Int32Array(membersMax);
  /** Those characters, four in a word; the last word ends where they end. */
  readonly words = Array.from({ length: membersMax }, () => new Int32Array(textMax / 4));

  constructor(names: readonly string[]) {
    this.#needles = names.map(needleOf);
  }

  /** Which of the names text.slice(from, to) is, or -1. A quote and what is before the value follow it, up to `valueFrom`. */
  find(place: NamePlace): number {
    const { text, bytes, from, to } = place;
    const slot = this.#needles.findIndex(
      (needle) =>
        needle.bytes.length === to - from &&
        needle.bytes.every((code, index) => bytes[from + index] === code) &&
        (needle.ascii || text.startsWith(needle.name, from)),
    );
    if (place.member < membersMax) this.#keep(place, slot);
    return slot;
  }

  #keep({ member, bytes, view, from, valueFrom }: NamePlace, slot: number): void {
    const length = valueFrom - from;
    const kept = length >= 4 && length <= textMax && isAscii(bytes.subarray(from, valueFrom));
    this.lengths[member] = kept ? length : 0;
    this.slots[member] = slot;
    const words = this.words[member] as Int32Array;
    for (let index = 0; kept && index * 4 < length; index++) {
      words[index] = view.getInt32(from + Math.min(index * 4, length - 4), true);
    }
  }
}

/** Where a member's name stands, without escapes. */
export interface NamePlace {
  readonly member: number;
  readonly text: string;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly from: number;
  readonly to: number;
  readonly valueFrom: number;
}

interface Needle {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly ascii: boolean;
}

/** A control character stands in no name unescaped. A quote in its place keeps such a needle from being found. */
function needleOf(name: string): Needle {
  const bytes = narrowed(name).map((code) => (code < 0x20 ? 0x22 : code));
  return { name, bytes, ascii: isAscii(bytes) };
}

const isAscii = (bytes: Uint8Array): boolean => bytes.every((code) => code < 0x80);
