import { asStreamError, type ErrorKind } from "../../model/errors.js";
import { exitCodes } from "../exit-codes.js";

/** What one check has found. */
export interface Finding {
  /** Such as "clock" or `source "flights"`. */
  readonly check: string;
  readonly level: "ok" | "warning" | "problem";
  readonly found: string;
  /** What to do; null where nothing need be done. */
  readonly remedy: string | null;
  /** Of a problem: what the command exits for. */
  readonly kind: ErrorKind | null;
}

export const ok = (check: string, found: string): Finding => ({ check, level: "ok", found, remedy: null, kind: null });

export const warning = (check: string, found: string, remedy: string): Finding => ({
  check,
  level: "warning",
  found,
  remedy,
  kind: null,
});

export const problem = (check: string, found: string, remedy: string): Finding => ({
  check,
  level: "problem",
  found,
  remedy,
  kind: "invalid",
});

/** Of what a call has failed with: our errors say in their message what to do. */
export function failure(check: string, error: unknown): Finding {
  const { kind, message } = asStreamError(error);
  return { check, level: "problem", found: message, remedy: remedyFor(kind, message), kind };
}

function remedyFor(kind: ErrorKind, message: string): string | null {
  if (kind === "transient" || kind === "ambiguous") return "see that the endpoint answers, and ask again";
  const action = actionIn(message);
  return action === null ? null : `allow ${action} to the identity that calls`;
}

/** The action that AWS says was refused. */
export const actionIn = (message: string): string | null =>
  /not authorized to perform: ([\w-]+:\w+)/.exec(message)?.[1] ?? null;

export const isDenied = (error: unknown): boolean => asStreamError(error).message.includes("access denied;");
export const isAbsent = (error: unknown): boolean => asStreamError(error).message.includes("does not exist");

/** What does not answer comes before what is wrong: it may be wrong for that reason. */
export function exitCodeOf(findings: readonly Finding[]): number {
  const codes = findings.flatMap(({ kind }) => (kind === null ? [] : [exitCodes[kind]]));
  return codes.includes(exitCodes.transient) ? exitCodes.transient : Math.max(0, ...codes);
}

export function findingText({ check, level, found, remedy }: Finding): string {
  const advice = remedy === null || found.includes(remedy) ? "" : `\n         -> ${remedy}`;
  return `${level.padEnd(8)} ${check}: ${found}${advice}\n`;
}
