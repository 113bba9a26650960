// When a process is made to stand still, and when it may go on.
import { setTimeout as sleep } from "node:timers/promises";
import { type Stage, until } from "./stage.js";
import { someWords } from "./words.js";

/** What the session is doing: records flow; a checkpoint is cut, uploaded and acked; one is complete, and its rows are written. */
export type Stopping = "reading" | "cutting" | "committing";
/** How far its successors are: their generation is open; they take records; they have completed a checkpoint. */
export type Waking = "opened" | "flowing" | "completed";

/** Of the choices of a test: SEED repeats them. */
export const seed = Number(process.env.SEED ?? Math.floor(performance.timeOrigin) % 1_000_000);

const lookMillis = 5;
const delayMillisMax = 30;
const noticeMillisMax = 20_000;

/** Stops the session that holds the lease until its successors are where they should be. Returns its request. */
export async function makeZombie(
  stage: Stage,
  at: { readonly stopping: Stopping; readonly waking: Waking },
  random: () => number,
): Promise<string> {
  const held = await reach(stage, at.stopping, random);
  process.kill(held.pid, "SIGSTOP");
  const { generation } = await stage.head();
  const isGivenUp = async () => (await stage.head()).generation > generation;
  // Nobody hears of an end: only a checkpoint that it does not ack tells of it.
  await until(stage, `generation ${generation} is given up`, noticeMillisMax, isGivenUp);
  await until(stage, `generation ${generation + 1} is ${at.waking}`, noticeMillisMax, () =>
    isReached(stage, at.waking),
  );
  process.kill(held.pid, "SIGCONT");
  await until(stage, `the zombie ${held.pid} ends`, noticeMillisMax, () =>
    stage.ended().some(({ requestId }) => requestId === held.requestId),
  );
  return held.requestId;
}

type Held = { readonly pid: number; readonly requestId: string };

async function reach(stage: Stage, stopping: Stopping, random: () => number): Promise<Held> {
  for (;;) {
    await isAt(stage, stopping);
    await sleep(random() * delayMillisMax);
    const held = await stage.holder();
    if (held !== null) return held;
  }
}

async function isAt(stage: Stage, stopping: Stopping): Promise<void> {
  const before = (await stage.head()).completed?.checkpointId;
  await until(stage, `a session is ${stopping}`, noticeMillisMax, async () => {
    for (let looks = 0; looks < 20; looks++) {
      if (await isStopping(stage, stopping, before)) return true;
      await sleep(lookMillis);
    }
    return false;
  });
}

async function isStopping(stage: Stage, stopping: Stopping, before: number | undefined): Promise<boolean> {
  const { head, progress } = await stage.engine.look();
  if (stopping === "reading") return head?.pending === null && progress?.idleSince === null;
  if (stopping === "cutting") return head?.pending !== null;
  return head?.completed !== null && head?.completed.checkpointId !== before;
}

async function isReached(stage: Stage, waking: Waking): Promise<boolean> {
  if (waking === "opened") return true;
  const { generation, completed } = await stage.head();
  if (waking === "completed") return completed?.generation === generation;
  const told = new RegExp(`^{"event":"flowing","generation":${generation},`);
  return stage.events.some((event) => event.kind === "log" && told.test(event.line));
}

const pageMillis = 100;
const pageSize = 40;
const wordsFed = 400;

/** Puts records all the while. Returns what ends it, and says up to which number. */
export function startFeeding(stage: Stage, first = 0): () => Promise<number> {
  let ending = false;
  let from = first;
  const feeding = (async () => {
    for (; !ending; from += pageSize) {
      await stage.input.put(someWords(from, pageSize, wordsFed));
      await sleep(pageMillis);
    }
  })();
  // Whoever ends it hears of its failure.
  feeding.catch(() => undefined);
  return async () => {
    ending = true;
    await feeding;
    return from;
  };
}
