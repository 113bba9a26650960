import type { Head } from "../model/head.js";
import { millis } from "../model/ids.js";
import type { Decider, Decision } from "./decide.js";
import type { Facts } from "./facts.js";
import { failureOf, openingLimit } from "./limits.js";
import { sameRef } from "./transitions.js";

/**
 * N3: a pipeline that sleeps holds no session and invokes nothing. It stops as it is, for all that it read is committed; it wakes at
 * its time, or when a look at its shards has found something.
 */
export function decideAsleep(facts: Facts, head: Head, me: Decider): Decision {
  const { now, desired, completed, look } = facts;
  if (desired?.state === "stopped") return { kind: "settle", status: "stopped" };
  // P4: it is opened by code of the version in `desired` alone, which therefore is the one that looks.
  if (desired?.state !== "running" || desired.code.functionVersion !== me.functionVersion || head.completed === null)
    return { kind: "nothing", until: null };
  const wakeAt = completed?.wakeAt ?? null;
  if (wakeAt !== null && wakeAt <= now) return wake(facts, head);
  if (look === null || !sameRef(look.checkpoint, head.completed)) return { kind: "look", checkpoint: head.completed };
  switch (look.found.kind) {
    case "news":
      return wake(facts, head);
    case "lost":
      return { kind: "fail", failure: { ...failureOf(head, look.found.message, now), kind: "invalid" } };
    case "quiet":
      return { kind: "nothing", until: wakeAt === null ? null : millis(wakeAt) };
  }
}

function wake(facts: Facts, head: Head): Decision {
  const limit = openingLimit(head, facts.now);
  if (limit !== null) return { kind: "fail", failure: failureOf(head, limit, facts.now) };
  return { kind: "open", reason: "wake", origin: head.completed, failure: null };
}
