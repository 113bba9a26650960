import { formatMillis } from "../../model/duration.js";
import type { DevEvent, DevListener } from "./events.js";

/** Every event as a line of JSON. */
export function jsonOutput(write: (text: string) => void): DevListener {
  return (event) => write(`${JSON.stringify(event)}\n`);
}

export interface Screen {
  readonly isTTY: boolean;
  columns(): number;
  write(text: string): void;
}

/** Off a terminal, a status line is printed this often at most. */
const quietMillis = 5_000;

/** One live status line; what happens stands above it. */
export function liveOutput(screen: Screen, now: () => number): DevListener {
  let line = "";
  let printedAt = Number.NEGATIVE_INFINITY;
  const clear = () => screen.isTTY && line !== "" && screen.write("\r\u001b[K");
  const say = (text: string) => {
    clear();
    screen.write(`${text}\n`);
    if (screen.isTTY) screen.write(line);
  };
  return (event) => {
    if (event.event === "end") {
      clear();
      line = "";
    }
    if (event.event !== "status") {
      const text = describe(event);
      if (text !== null) say(text);
      return;
    }
    const next = statusLine(event).slice(0, Math.max(20, screen.columns() - 1));
    if (next === line) return;
    clear();
    line = next;
    if (screen.isTTY) screen.write(line);
    else if (now() - printedAt >= quietMillis) {
      printedAt = now();
      screen.write(`${line}\n`);
    }
  };
}

type StatusEvent = Extract<DevEvent, { readonly event: "status" }>;

export function statusLine(status: StatusEvent): string {
  const parts = [
    status.status,
    `generation ${status.generation}`,
    status.checkpoint === null ? "no checkpoint yet" : `checkpoint ${status.checkpoint}`,
    `${status.records.toLocaleString("en-US")} records`,
    status.idle ? "up to date" : `behind ${formatMillis(status.behindMillis)}`,
  ];
  return (status.restarts > 0 ? [...parts, `restarts ${status.restarts}`] : parts).join(" · ");
}

function describe(event: Exclude<DevEvent, StatusEvent>): string | null {
  switch (event.event) {
    case "ready":
      return [`${event.pipeline} runs on ${event.endpoint}`, ...event.made.map((name) => `  made ${name}`)].join("\n");
    case "session":
      return event.state === "killed" ? `an operator process (pid ${event.pid ?? "?"}) was killed` : null;
    case "failure":
      // What was killed has been told; what no restart can help is the command's own error.
      return restartless.has(event.kind)
        ? null
        : `generation ${event.generation} failed (${event.kind}): ${event.message}`;
    case "waiting":
      return `${event.endpoint} has not answered for ${formatMillis(event.millis)}; still trying`;
    case "recovered":
      return `recovered in ${event.seconds.toFixed(2)} s (generation ${event.generation})`;
    case "log":
      return event.line.startsWith('{"event"') ? null : `[${event.function}] ${event.line}`;
    case "end":
      return event.status === "failed" ? null : `${event.status}: all input that was read is committed`;
  }
}

const restartless: ReadonlySet<string> = new Set(["died", "invalid", "corrupt"]);
