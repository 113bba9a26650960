// A wire before a cloud, over which a process falls at one of its requests that write.
import type { IncomingMessage, ServerResponse } from "node:http";
import { openPort } from "../../../lib/local/cloud/port.js";
import { actionOf, answerWith, forward } from "../../fixtures/cli/gate.js";

/**
 * What becomes of the request at which the process is killed: it never comes; it takes effect, and its answer never comes; it is on
 * its way until somebody lets it arrive.
 */
export type Fall = "before" | "after" | "late";

export interface Trap {
  /** Whether the last of these writes is the one. */
  readonly isHere: (writes: readonly string[]) => boolean;
  readonly fall: Fall;
  /** Ends the process, or makes it stand still, at once. */
  readonly kill: () => void;
  /** What others ask for arrives from then on, as before; else nothing does. */
  readonly staysOpen?: boolean;
}

export interface Tripwire {
  readonly endpoint: string;
  /** Counts anew, and kills where the trap says; null: counts alone. */
  arm(trap: Trap | null): void;
  /** Writing requests since it was armed: as IAM calls them, and what they write. */
  readonly writes: readonly string[];
  /** Whether the process was killed. */
  hasFallen(): boolean;
  /** Lets the request arrive that was held back, and whatever comes from now on. Who still lives gets its answer. */
  letArrive(): Promise<void>;
  close(): Promise<void>;
}

interface Coming {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly body: Buffer;
}

export async function openTripwire(cloud: string): Promise<Tripwire> {
  let trap: Trap | null = null;
  let [fallen, closed] = [false, false];
  const writes: string[] = [];
  const held: Coming[] = [];
  const ask = ({ request, body }: Coming) => forward(cloud, request, body);
  const arrive = async (coming: Coming): Promise<void> => answerWith(coming.response, await ask(coming));
  const fall = async (coming: Coming, { fall: how, kill, staysOpen = false }: Trap): Promise<void> => {
    [fallen, closed] = [true, !staysOpen];
    if (how === "after") await ask(coming);
    if (how === "late") held.push(coming);
    kill();
  };
  const meet = async (coming: Coming): Promise<void> => {
    if (closed) return;
    if (!isWriting(coming.request)) return arrive(coming);
    writes.push(nameOf(coming));
    return trap?.isHere(writes) === true && !fallen ? fall(coming, trap) : arrive(coming);
  };
  const port = await openPort(0, (request, response) => {
    const chunks: Buffer[] = [];
    for (const stream of [request, response]) stream.on("error", () => undefined);
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    // Where the client is gone there is nobody to hear of a failure.
    request.on(
      "end",
      () => void meet({ request, response, body: Buffer.concat(chunks) }).catch(() => response.destroy()),
    );
  });
  return {
    endpoint: `http://127.0.0.1:${port.port}`,
    writes,
    arm: (next) => {
      trap = next;
      [fallen, closed] = [false, false];
      writes.length = 0;
    },
    hasFallen: () => fallen,
    letArrive: async () => {
      closed = false;
      for (const coming of held.splice(0)) await arrive(coming);
    },
    close: () => port.close(),
  };
}

const writingAction = /\.(Put|Update|Delete|Create|BatchWrite|TransactWrite)[A-Za-z]*$/;

function isWriting({ headers, method = "GET" }: IncomingMessage): boolean {
  const target = headers["x-amz-target"];
  return typeof target === "string" ? writingAction.test(target) : method !== "GET" && method !== "HEAD";
}

function nameOf({ request, body }: Coming): string {
  const action = actionOf(request);
  if (request.headers["x-amz-target"] === undefined)
    return `${action} ${new URL(request.url ?? "", "http://s3").pathname}`;
  const { TableName, StreamName, Item, Key } = JSON.parse(body.toString("utf8"));
  const { S: item = "" } = (Item ?? Key)?.sk ?? {};
  return `${action} ${TableName ?? StreamName} ${item}`.trimEnd();
}
