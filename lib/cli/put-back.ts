import { awsClients } from "../connectors/clients.js";
import { kinesisLog } from "../connectors/kinesis-log.js";
import { kinesisStreams } from "../connectors/kinesis-streams.js";
import type { PutBack, StoredLetter, StoredLetters } from "../connectors/stored-letters.js";
import { asStreamError, StreamError } from "../model/errors.js";
import type { Plan } from "../pipeline/plan.js";
import { isFile } from "../pipeline/source.js";
import type { Log } from "../ports/log.js";
import type { Streams } from "../ports/streams.js";
import { userRecordsOf } from "../runtime/aggregates.js";
import type { Target } from "./environment.js";

/** What is put into which stream. */
export interface Planned {
  readonly stored: StoredLetter;
  readonly stream: string;
  readonly partitionKey: string;
  readonly data: Uint8Array;
}

export interface PutBackOptions {
  /** For records that the stream no longer has. */
  readonly partitionKey: string | null;
  /** Also those of which it is not known whether they came. */
  readonly again: boolean;
}

/** @throws StreamError `invalid`: there is no such dead letter; it was put back; it is no record of a stream, or its key is not known */
export async function planPutBack(
  { plan, target }: { readonly plan: Plan; readonly target: Target },
  letters: readonly StoredLetter[],
  ids: readonly string[],
  options: PutBackOptions,
): Promise<readonly Planned[]> {
  const log = kinesisLog(target.clients.kinesis);
  const planned: Planned[] = [];
  for (const id of new Set(ids)) {
    const stored = letters.find(({ letter }) => letter.id === id);
    if (stored === undefined) throw new StreamError("invalid", `there is no dead letter "${id}"`);
    checkOpen(stored, options);
    const stream = streamOf(plan, target, stored);
    planned.push({ stored, stream, ...(await recordOf(log, stream, stored, options)) });
  }
  return planned;
}

function checkOpen({ letter, putBack }: StoredLetter, { again }: PutBackOptions): void {
  if (putBack === null || (putBack.to === null && again)) return;
  const why =
    putBack.to === null
      ? `was to be put back at ${putBack.at}, and whether it came is not known: look for it, or give --again`
      : `was put back at ${putBack.at}, as ${putBack.to}`;
  throw new StreamError("invalid", `"${letter.id}" ${why}`);
}

function streamOf(plan: Plan, target: Target, { letter }: StoredLetter): string {
  const source = plan.sources.get(letter.source);
  if (source !== undefined && !isFile(source)) return target.bindings.stream(source.config.stream);
  const what = source === undefined ? "the pipeline has no source of that name" : "it is a file";
  throw new StreamError(
    "invalid",
    `"${letter.id}" is of the source "${letter.source}", and ${what}: nothing to put it into`,
  );
}

async function recordOf(
  log: Log,
  stream: string,
  { letter }: StoredLetter,
  options: PutBackOptions,
): Promise<Pick<Planned, "partitionKey" | "data">> {
  const data = Buffer.from(letter.data, "base64");
  const original = await originalOf(log, stream, letter);
  if (original !== null) {
    if (data.equals(original.data)) return { partitionKey: original.partitionKey, data };
    throw new StreamError(
      "invalid",
      `"${letter.id}" was put aside behind an exchange: what it has is the value that was sent, no record of the stream "${stream}", and what came before the exchange counts already. Mend it by hand`,
    );
  }
  if (options.partitionKey !== null) return { partitionKey: options.partitionKey, data };
  throw new StreamError(
    "invalid",
    `the stream "${stream}" no longer has the record of "${letter.id}", which has its partition key: give that with --partition-key`,
  );
}

/** So many reads for one record: one may find nothing although there is something. */
const readsMax = 10;

async function originalOf(log: Log, stream: string, letter: StoredLetter["letter"]) {
  const { sequenceNumber, subSequenceNumber } = letter;
  const start = await log.cursor(stream, letter.shard, { kind: "at", sequenceNumber }).catch(unlessGone);
  let cursor = start?.kind === "cursor" ? start.cursor : null;
  for (let read = 1; cursor !== null && read <= readsMax; read++) {
    const found = await log.read(stream, cursor, 1);
    if (found.kind !== "records") break;
    const [record] = found.records;
    if (record !== undefined) {
      if (record.sequenceNumber !== sequenceNumber) return null;
      if (subSequenceNumber === null) return record;
      return userRecordsOf(record.data)?.find(({ sub }) => sub === subSequenceNumber) ?? null;
    }
    cursor = found.next;
  }
  return null;
}

/** A shard that is gone, or a number that it never had. */
function unlessGone(error: unknown): null {
  if (error instanceof StreamError && error.kind === "invalid") return null;
  throw error;
}

/**
 * Each is marked before, so that a command that dies in between puts none twice: it says then that it is not known. Sent once: an answer
 * that is lost is not asked for again.
 *
 * @throws StreamError what the first one that could not be put failed with; those before are put, and marked
 */
export async function putBack(
  letters: StoredLetters,
  target: Target,
  planned: readonly Planned[],
): Promise<readonly StoredLetter[]> {
  const clients = awsClients({ attempts: 1, ...(target.local ? { credentials: keysHere() } : {}) });
  try {
    const done: StoredLetter[] = [];
    for (const one of planned) done.push(await putOne(letters, kinesisStreams(clients.kinesis), one));
    return done;
  } finally {
    clients.destroy();
  }
}

const keysHere = () => ({
  accessKeyId: process.env.AWS_ACCESS_KEY_ID ?? "",
  secretAccessKey: process.env.AWS_SECRET_ACCESS_KEY ?? "",
});

async function putOne(letters: StoredLetters, streams: Streams, one: Planned): Promise<StoredLetter> {
  const { stored, stream, partitionKey, data } = one;
  const { letter } = stored;
  const begun: PutBack = { at: new Date().toISOString(), to: null };
  if (!(await letters.mark(letter, stored.putBack, begun)))
    throw new StreamError("fenced", `somebody else puts "${letter.id}" back, or has`);
  const answer = await streams.put(stream, [{ partitionKey, data }]).catch((error: unknown) => {
    const { kind, message } = asStreamError(error);
    if (kind !== "ambiguous") return { refused: `${message}`, kind };
    throw new StreamError("transient", `whether "${letter.id}" came is not known: ${message}. It is marked so`);
  });
  const [first] = "refused" in answer ? [] : answer;
  if (first?.kind === "put") {
    const done = { at: begun.at, to: `${first.shardId}/${first.sequenceNumber}` };
    await letters.mark(letter, begun, done);
    return { letter, putBack: done };
  }
  await letters.mark(letter, begun, null);
  const why = "refused" in answer ? answer.refused : first?.kind === "refused" ? first.why : "no answer for it";
  throw new StreamError("transient", `"${letter.id}" was not put into "${stream}": ${why}`);
}
