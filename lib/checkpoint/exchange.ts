import { gunzipSync } from "node:zlib";
import { asStreamError, invariant, StreamError } from "../model/errors.js";
import type { FrameSlice, Lane, Note } from "../model/frames.js";
import { sha256 } from "../model/sha256.js";
import type { Exchange, Frame, Sender, Sent } from "../ports/exchange.js";
import { loadBodyRange, storeBody } from "./bodies.js";
import { decodeDocument, encodeDocument } from "./documents.js";
import { frameKey, newsName, newsPrefix, noteName, notePrefix } from "./names.js";
import { repeat } from "./repeat.js";
import type { CheckpointStore } from "./store.js";

/** A slice before compression: a frame is closed long before, but one record may be as large. */
export const sliceBytesMax = 64 * 1024 * 1024;

/** How far the lanes of a task are (E5). */
interface News {
  readonly format: 1;
  readonly sent: Sent;
}

const noteMembers = ["n", "epoch", "session", "records", "body", "slices"] as const;

/**
 * The exchange over blobs and registers: bytes in the bucket, or in the note where they are few; a note is a fact (E1, R6).
 *
 * @example
 * const exchange = storedExchange(store);
 * await exchange.put(lane, { n: 1, epoch, session, ...writer.take() });
 * const [note] = await exchange.notes(lane, 1, 10);
 */
export function storedExchange(store: CheckpointStore): Exchange {
  /** Whose notes were read here: for messages. */
  const lanes = new WeakMap<Note, Lane>();
  /** Versions of the items that were written here. */
  const versions = new Map<string, number>();
  return {
    put: (lane, frame) => putFrame(store, lane, frame),
    async notes(lane, from, limit) {
      const found = await listNotes(store, lane, from, limit);
      for (const note of found) lanes.set(note, lane);
      return found;
    },
    async tell(sender, sent) {
      const name = newsName(sender);
      versions.set(name, await tellNews(store, name, sent, versions.get(name) ?? null));
    },
    news: (from) => listNews(store, from),
    read: (note, slice) => readSlice(store, note, slice, place(lanes.get(note), note.n)),
  };
}

async function putFrame(store: CheckpointStore, lane: Lane, frame: Frame): Promise<void> {
  const { bytes, ...announced } = frame;
  checkFrame(lane, frame);
  const key = frameKey(store.pipeline, lane, frame.n, frame.session);
  const body = bytes === null ? null : await repeat(store.clock, () => storeBody(store.blobs, key, bytes));
  const text = encodeDocument<Note>({ format: 1, ...announced, body });
  const at = { group: store.pipeline, name: noteName(lane, frame.n) };
  const made = await repeat(store.clock, () => store.registers.swap(at, null, text));
  // R5: an answer that was lost is repeated with the same bytes, and meets its own note.
  if (made.kind === "swapped" || made.current?.body === text) return;
  throw new StreamError(
    "bug",
    `${place(lane, frame.n)}: another frame has that name (E1); two sessions have sent, or one sent otherwise when it was repeated`,
  );
}

/** What is said of the frame and what is in it must agree before the bytes leave. */
function checkFrame(lane: Lane, { n, records, bytes, slices }: Frame): void {
  const listed = slices.reduce((sum, slice) => sum + slice.records, 0);
  const isEmpty = bytes === null && slices.length === 0 && records === 0;
  const isFull = bytes !== null && slices.length > 0 && records > 0 && slices.every((slice) => slice.records > 0);
  invariant(
    n >= 1 && listed === records && (isEmpty || isFull),
    `${place(lane, n)}: its index is not that of its bytes`,
  );
}

/** E1: notes come in order, so behind a gap is nothing that one may know of yet. */
async function listNotes(store: CheckpointStore, lane: Lane, from: number, limit: number): Promise<readonly Note[]> {
  const page = { from: noteName(lane, from), limit };
  const found = await repeat(store.clock, () => store.registers.list(store.pipeline, notePrefix(lane), page));
  const notes: Note[] = [];
  for (const { name, register } of found) {
    const n = from + notes.length;
    if (name !== noteName(lane, n)) break;
    const note = decodeDocument<Note>(register.body, `${store.pipeline}: ${name}`, noteMembers);
    if (note.n !== n) throw new StreamError("corrupt", `${store.pipeline}: ${name} says that it is frame ${note.n}`);
    notes.push(note);
  }
  return notes;
}

/**
 * E5: by compare-and-set, so that what is written late, and says less, changes nothing.
 *
 * @param known the version that was there last, as far as is known
 * @returns the version that is there now
 */
async function tellNews(store: CheckpointStore, name: string, sent: Sent, known: number | null): Promise<number> {
  const at = { group: store.pipeline, name };
  const text = encodeDocument<News>({ format: 1, sent });
  for (let version = known; ; ) {
    const expected = version;
    const made = await repeat(store.clock, () => store.registers.swap(at, expected, text));
    if (made.kind === "swapped") return (expected ?? 0) + 1;
    // R5: it may be its own, of which the answer was lost.
    if (made.current !== null && isCovered(sent, decodeNews(store, name, made.current.body)))
      return made.current.version;
    version = made.current?.version ?? null;
  }
}

const isCovered = (sent: Sent, by: Sent): boolean => Object.entries(sent).every(([edge, n]) => (by[edge] ?? 0) >= n);

async function listNews(store: CheckpointStore, from: Omit<Sender, "producer">): Promise<ReadonlyMap<number, Sent>> {
  const prefix = newsPrefix(from);
  const found = await repeat(store.clock, () => store.registers.list(store.pipeline, prefix));
  return new Map(
    found.map(({ name, register }) => [Number(name.slice(prefix.length)), decodeNews(store, name, register.body)]),
  );
}

const decodeNews = (store: CheckpointStore, name: string, body: string): Sent =>
  decodeDocument<News>(body, `${store.pipeline}: ${name}`, ["sent"]).sent;

async function readSlice(store: CheckpointStore, note: Note, slice: FrameSlice, where: string): Promise<Uint8Array> {
  const { body } = note;
  if (body === null) throw new StreamError("bug", `${where} has no records, and no slice`);
  try {
    const bytes = await repeat(store.clock, () => loadBodyRange(store.blobs, body, [slice.offset, slice.length]));
    checkBytes(bytes, slice);
    return slice.codec === "cbor" ? bytes : gunzipSync(bytes, { maxOutputLength: sliceBytesMax });
  } catch (cause) {
    const { kind, message } = asStreamError(cause);
    if (kind === "transient" || kind === "ambiguous" || kind === "fenced" || kind === "invalid") throw cause;
    const [first, last] = slice.keyGroups;
    const why = `${where}, key groups ${first} to ${last}: ${message}`;
    throw new StreamError("corrupt", `${why}; bring the frame back from a backup, or restore another checkpoint`, {
      cause,
    });
  }
}

/** P3: of the bytes as they are stored, before anything of them is used. */
function checkBytes(bytes: Uint8Array, slice: FrameSlice): void {
  const found = sha256(bytes);
  if (found === slice.sha256) return;
  const sizes = `${bytes.length} bytes with SHA-256 ${found}, expected ${slice.length} with ${slice.sha256}`;
  throw new StreamError("corrupt", sizes);
}

const place = (lane: Lane | undefined, n: number): string =>
  lane === undefined
    ? `frame ${n}`
    : `edge "${lane.edge}", producer ${lane.producer} of generation ${lane.generation}, frame ${n}`;
