import { randomBytes } from "node:crypto";
import type { Command } from "commander";
import { answerSavepoint, isAnswered } from "../checkpoint/savepoints.js";
import { readDesired, readHead } from "../checkpoint/store.js";
import { awsWorld } from "../compose.js";
import { formatMillis } from "../model/duration.js";
import { StreamError } from "../model/errors.js";
import type { Desired, Head, Savepoint } from "../model/head.js";
import { duration } from "./arguments.js";
import type { OpenedStore, StoreFlags } from "./checkpoints.js";
import { endWithNotice, pause } from "./interrupt.js";

/** Of commands that ask for something and wait until it is so. */
export interface AskingFlags extends StoreFlags {
  readonly json: boolean;
  readonly dryRun: boolean;
  readonly timeout: number;
}

const defaultTimeoutMillis = 5 * 60_000;

/** The options of {@link AskingFlags}. */
export const askingOptions = (command: Command): Command =>
  storeOptions(command)
    .option("--dry-run", "say what would be done, and change nothing", false)
    .option("--timeout <duration>", "how long to wait (default: 5m)", duration(), defaultTimeoutMillis)
    .option("--json", "print one JSON object", false);

export const storeOptions = (command: Command): Command =>
  command
    .option("--data <folder>", "where the embedded cloud keeps its data (default: .tidemark/cloud of the project)")
    .option("--aws", "work on the account that the SDK finds", false);

/** Of a request: another one's is never the same. */
export const drawId = (): string => randomBytes(6).toString("hex");

/** A name by the time, such as "stop-20260301T123456Z". */
export const nameByTime = (what: "savepoint" | "stop"): string =>
  `${what}-${new Date().toISOString().replaceAll(/[-:]|\.\d+/g, "")}`;

const lookMillis = 500;

type Look<T> = (head: Head | null, desired: Desired | null) => Promise<T | null>;

/**
 * Looks until what was asked for is so; meanwhile says on standard error how the pipeline stands. A Ctrl-C ends the process, and not
 * what was asked for.
 *
 * @param look null: not yet
 * @throws StreamError `transient`: it was not within the time-out; it is still asked for
 */
export async function waitFor<T>(
  opened: OpenedStore,
  asked: { readonly what: string; readonly timeout: number },
  look: Look<T>,
): Promise<T> {
  const waitNoMore = endWithNotice(
    `tidemark: pipeline "${opened.store.pipeline}": ${asked.what} is waited for no more; it stays asked for`,
  );
  try {
    return await lookUntil(opened, asked, look);
  } finally {
    waitNoMore();
  }
}

async function lookUntil<T>(
  { store }: OpenedStore,
  asked: { readonly what: string; readonly timeout: number },
  look: Look<T>,
): Promise<T> {
  const end = performance.now() + asked.timeout;
  const say = sayOnce();
  const lookOnce = async () => {
    // Only what a head says is decided on: read after what is desired, it is no older.
    const desired = (await readDesired(store))?.value ?? null;
    const head = (await readHead(store))?.value ?? null;
    return { found: await look(head, desired), standing: standingOf(head) };
  };
  for (;;) {
    const isOver = performance.now() >= end;
    const { found, standing } = await lookOnce().catch((error: unknown) => {
      // An endpoint that does not answer for a moment is no reason to stop waiting.
      if (isOver || !(error instanceof StreamError) || error.kind !== "transient") throw error;
      return { found: null, standing: error.message };
    });
    if (found !== null) return found;
    say(standing);
    if (isOver)
      throw new StreamError(
        "transient",
        `pipeline "${store.pipeline}": ${asked.what} was not within ${formatMillis(asked.timeout)}; it stays asked for. The pipeline is ${standing}. Run the command again to wait on; where nothing moves, see that it is deployed and its supervisor is called each minute, or that "tidemark dev" runs ("tidemark status" says more)`,
      );
    await pause(lookMillis, null);
  }
}

function sayOnce(): (text: string) => void {
  let said = "";
  return (text) => {
    if (text !== said) process.stderr.write(`waiting: ${text}\n`);
    said = text;
  };
}

/** In a few words. */
export function standingOf(head: Head | null): string {
  if (head === null) return "not started yet";
  const { status, generation, pending, completed } = head;
  const last = completed === null ? "no checkpoint yet" : `last checkpoint ${completed.checkpointId}`;
  const under = pending === null ? "" : `, checkpoint ${pending.checkpointId} under way`;
  return `${status} (generation ${generation}, ${last}${under})`;
}

/**
 * Calls the supervisor at once, where its function can be called, so that nobody waits for its schedule. On this machine the schedule
 * is a second, and no function has a name there.
 */
export async function callSupervisor({ target, store }: OpenedStore): Promise<void> {
  if (target.local) return;
  const supervisor = process.env.TIDEMARK_SUPERVISOR_FUNCTION ?? target.environment.functions.supervisor;
  const functions = { ...target.environment.functions, supervisor };
  const world = awsWorld({ ...target.environment, functions }, target.clients);
  // Its schedule calls it within a minute all the same.
  await world.functions.callSupervisor({ pipeline: store.pipeline, report: null }).catch(() => undefined);
}

/**
 * The savepoint that a request has made.
 *
 * @throws StreamError `invalid`: it cannot be, was taken back, or deleted since
 */
export async function awaitSavepoint(
  opened: OpenedStore,
  wish: { readonly id: string; readonly name: string },
  timeout: number,
): Promise<{ readonly savepoint: Savepoint; readonly head: Head }> {
  const { store } = opened;
  return waitFor(opened, { what: `the savepoint "${wish.name}"`, timeout }, async (head, desired) => {
    if (head === null) return null;
    const savepoint = head.savepoints.find(({ requestId }) => requestId === wish.id);
    if (savepoint !== undefined) return { savepoint, head };
    const gone = whyGone(head, desired, wish);
    if (gone !== null)
      throw new StreamError("invalid", `pipeline "${store.pipeline}": savepoint "${wish.name}": ${gone}`);
    // A pipeline that rests has nobody who would answer it at once.
    await answerSavepoint(store);
    return null;
  });
}

function whyGone(head: Head, desired: Desired | null, wish: { readonly id: string }): string | null {
  const { asked } = head;
  if (asked?.requestId === wish.id && asked.ended?.kind === "failed") return asked.ended.message;
  if (isAnswered(head, wish.id)) return "it was made, and deleted since";
  return desired?.savepoint?.id === wish.id ? null : "it was taken back before it was there";
}
