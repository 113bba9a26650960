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
    const next = screen.isTTY ? statusLine(event).slice(0, Math.max(20, screen.columns() - 1)) : statusLine(event);
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
  if (status.status === "starting") return status.status;
  const reading = status.behindMillis > 0 ? `behind ${formatMillis(status.behindMillis)}` : "reading";
  const parts = [
    status.status === "suspended" ? "asleep" : status.status,
    `generation ${status.generation}${status.tasks > 1 ? ` (${status.tasks} tasks)` : ""}`,
    status.checkpoint === null ? "no checkpoint yet" : `checkpoint ${status.checkpoint}`,
    `${status.records.toLocaleString("en-US")} records`,
    status.idle ? "up to date" : reading,
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
      return hopeless.has(event.kind) || killed.test(event.message)
        ? null
        : `generation ${event.generation} failed (${event.kind}), and is restarted: ${event.message}`;
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

const hopeless: ReadonlySet<string> = new Set(["invalid", "corrupt"]);
/** As Lambda words it. */
const killed = /signal: killed/;
