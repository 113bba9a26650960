import { randomUUID } from "node:crypto";
import { StreamError } from "../model/errors.js";
import { padded } from "../model/ids.js";
import { sha256 } from "../model/sha256.js";
import { toUtf8 } from "../model/utf8.js";
import type { DeadLetter } from "../pipeline/dead-letter.js";
import { forEachOf } from "./again.js";
import { byId, type PutBack, type StoredLetter, type StoredLetters } from "./stored-letters.js";

/** Files beside those of dead letters, each written once. */
export interface MarkPlace {
  /** In byte order. */
  names(prefix: string): Promise<readonly string[]>;
  read(name: string): Promise<Uint8Array | null>;
  /** Whole, or not at all. False: there is one of that name. */
  create(name: string, bytes: Uint8Array): Promise<boolean>;
}

/** What a mark says. Never to be changed: folders keep it. */
interface Mark {
  readonly format: 1;
  /** The dead letter's. */
  readonly id: string;
  /** null: nothing was put after all. */
  readonly putBack: PutBack | null;
  /** Whoever wrote it: one whose answer was lost finds its own. */
  readonly by: string;
}

const numberDigits = 6;
/** Of the marks of a letter. */
const prefixOf = (id: string): string => `${sha256(id)}-`;
const numberIn = (name: string): number => Number(name.slice(-numberDigits - ending.length, -ending.length));
const ending = ".json";
const readsAtOnce = 16;

/**
 * Dead letters in files, which are never changed: what becomes of each is in marks beside them, numbered by letter. The last one counts,
 * and each number is given once, so that of several who would mark a letter one may. Letters are known by their ids: one that
 * comes again, after a start from an older checkpoint, was put back if it was before.
 *
 * @param read all dead letters; of several with one id the last counts
 */
export function markedLetters(place: MarkPlace, read: () => Promise<readonly DeadLetter[]>): StoredLetters {
  return {
    async list() {
      const newest = new Map((await place.names("")).map((name) => [name.slice(0, name.indexOf("-") + 1), name]));
      const letters = new Map((await read()).map((letter) => [letter.id, letter]));
      const listed: StoredLetter[] = [];
      await forEachOf([...letters.values()], readsAtOnce, async (letter) => {
        const mark = await markIn(place, newest.get(prefixOf(letter.id)));
        listed.push({ letter, putBack: mark?.putBack ?? null });
      });
      return listed.sort(byId);
    },
    async mark({ id }, before, next) {
      const last = (await place.names(prefixOf(id))).at(-1);
      const mark = await markIn(place, last);
      if (!isSame(mark?.putBack ?? null, before)) return false;
      const name = `${prefixOf(id)}${padded(last === undefined ? 0 : numberIn(last) + 1, numberDigits)}${ending}`;
      const made: Mark = { format: 1, id, putBack: next, by: randomUUID() };
      if (await place.create(name, toUtf8(`${JSON.stringify(made)}\n`))) return true;
      // An attempt at this very call, whose answer was lost, may have made it.
      return (await markIn(place, name))?.by === made.by;
    },
  };
}

const isSame = (a: PutBack | null, b: PutBack | null): boolean => a?.at === b?.at && a?.to === b?.to;

async function markIn(place: MarkPlace, name: string | undefined): Promise<Mark | null> {
  const bytes = name === undefined ? null : await place.read(name);
  if (bytes === null) return null;
  try {
    return JSON.parse(Buffer.from(bytes).toString("utf8")) as Mark;
  } catch (cause) {
    throw new StreamError(
      "corrupt",
      `${name}, which says whether a dead letter was put back, is no JSON: was it changed by hand? Remove it where nothing was put back`,
      { cause },
    );
  }
}
