import type { Json } from "../model/canonical-json.js";
import { StreamError } from "../model/errors.js";
import { checkName, frozenJson, isPlainObject, kindOf, refuse } from "./checks.js";
import type { DeadLetter } from "./dead-letter.js";
import type { LetterReader, OutsideStep, SinkResources, TargetKind } from "./sink.js";

/** What the three kinds of sink have in common: {@link idempotent}, {@link twoPhase}, {@link writeAheadLog}. */
export interface SinkDescription {
  /** What it is, such as "postgres": part of the plan, and of messages. */
  readonly kind: string;
  /** Plain data that says more: part of the plan, so no secrets. */
  readonly config?: Json;
  /**
   * The logical name of what is written to, which `bindings` of an environment may bind to another. Output that is prepared keeps
   * the physical name, and goes there though the binding changes (C2): so it is stored, and must hold no secret. Where none is
   * given the target is called as the kind. One of a table, stream or file can be redirected (W2): `open` then gets another name.
   */
  readonly target?: { readonly kind: TargetKind; readonly name: string };
}

/** What a sink gets when it is opened for a target. */
export interface TargetResources extends SinkResources {
  /** Its physical name. */
  readonly target: string;
  /** Aborted when the session ends: what is under way then has lost (N4). For `fetch` and the like. */
  readonly signal: AbortSignal;
}

/** What every opened target may have. */
export interface OpenTarget<in Row> {
  /** Looks at the target when a session starts, before any row. @throws StreamError `invalid` where it cannot be written to */
  readonly check?: () => Promise<void>;
  /** Looks at a row when it comes, so that it fails, or is put aside, with its record, and not when it is written. Synchronous. @throws StreamError `invalid` */
  readonly validate?: (row: Row) => void;
  /** Where `deadLetters` go to such a sink: all that were shown, each once or more, for `tidemark quarantine`, which then puts them back too. */
  readonly letters?: () => Promise<readonly DeadLetter[]>;
  /** Gives back what was opened. Called once, when the session ends, also where it failed; it has some seconds. */
  readonly close?: () => Promise<void>;
}

const targetKinds: readonly unknown[] & readonly string[] = [
  "table",
  "file",
  "bucket",
  "stream",
  "database",
] satisfies TargetKind[];

/** Plan and name of a described sink, for programs without types too. @throws StreamError `invalid` */
export function checkDescription(
  maker: string,
  given: SinkDescription & { readonly open: unknown },
): {
  readonly kind: string;
  readonly config: Json;
  readonly redirectable: boolean;
} {
  if (!isPlainObject(given)) refuse(`${maker}()`, `must be given an object, not ${kindOf(given)}`);
  const kind = checkName(`${maker}()`, '"kind"', given.kind);
  const where = `${maker}() "${kind}"`;
  if (typeof given.open !== "function") refuse(`${where}: open`, `must be a function, not ${kindOf(given.open)}`);
  const config = frozenJson(`${where}: config`, given.config ?? {});
  if (given.target === undefined) return { kind, config, redirectable: false };
  const { kind: of, name } = given.target;
  if (!targetKinds.includes(of)) refuse(`${where}: target`, `its kind must be ${targetKinds.join(", ")}`);
  if (typeof name !== "string" || name === "")
    refuse(`${where}: target`, "its name must be a string that is not empty");
  if (!isPlainObject(config)) refuse(`${where}: config`, `must be an object, not ${kindOf(config)}`);
  // W2: in a bucket or database the sink alone knows what would bear another name.
  const redirectable = of !== "bucket" && of !== "database";
  return { kind, config: frozenJson(`${where}: config`, { ...config, target: { kind: of, name } }), redirectable };
}

/** Calls of one step, at most: some twelve seconds. What fails longer fails the session, and the next one tries again. */
const attemptsMax = 8;
const firstPauseMillis = 100;

/** The targets that a sink writes to in one session: its own, and those that older output names. */
export class OpenTargets<O extends OpenTarget<never>> {
  readonly target: string;
  readonly #kind: string;
  readonly #resources: SinkResources;
  readonly #open: (resources: TargetResources) => O;
  readonly #opened = new Map<string, O>();
  readonly #underWay = new Set<Promise<unknown>>();
  readonly #end = new AbortController();

  constructor(resources: SinkResources, { kind, target }: SinkDescription, open: (resources: TargetResources) => O) {
    this.target = target === undefined ? kind : resources.bind(target.kind, target.name);
    this.#kind = kind;
    this.#resources = resources;
    this.#open = open;
  }

  at(target: string): O {
    const before = this.#opened.get(target);
    if (before !== undefined) return before;
    const opened = this.#open({ ...this.#resources, target, signal: this.#end.signal });
    this.#opened.set(target, opened);
    return opened;
  }

  /** A step that may be repeated, and is while it fails for a reason that may pass. */
  async repeat<T>(
    target: string,
    step: OutsideStep,
    call: (outside: O) => Promise<T> | undefined,
  ): Promise<T | undefined> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.once(target, step, call);
      } catch (error) {
        const again = error instanceof StreamError && (error.kind === "transient" || error.kind === "ambiguous");
        if (!again || attempt === attemptsMax) throw error;
      }
      await this.#resources.clock.sleep(firstPauseMillis * 2 ** (attempt - 1), this.#end.signal);
    }
  }

  async once<T>(
    target: string,
    step: OutsideStep,
    call: (outside: O) => Promise<T> | undefined,
  ): Promise<T | undefined> {
    if (this.#end.signal.aborted) throw new StreamError("fenced", `${this.#kind}: ${step}: the session has ended (N4)`);
    const answer = this.#send(step, async () => call(this.at(target)));
    this.#underWay.add(answer);
    try {
      return await answer;
    } catch (error) {
      throw this.#failure(step, target, error);
    } finally {
      this.#underWay.delete(answer);
    }
  }

  async close(): Promise<void> {
    this.#end.abort();
    await Promise.allSettled(this.#underWay);
    const closings = [...this.#opened.values()].map((opened) => this.#send("close", async () => opened.close?.()));
    for (const closed of await Promise.allSettled(closings)) if (closed.status === "rejected") throw closed.reason;
  }

  #send<T>(step: OutsideStep, call: () => Promise<T>): Promise<T> {
    const { send } = this.#resources;
    return send === undefined ? call() : send(step, call);
  }

  /** What is thrown that is no error of ours is the outside's, and may pass. */
  #failure(step: string, target: string, error: unknown): StreamError {
    const kind = error instanceof StreamError ? error.kind : "transient";
    const message = error instanceof Error ? error.message : String(error);
    const where = target === this.#kind ? target : `${this.#kind} "${target}"`;
    return new StreamError(kind, `${where}: ${step}: ${message}`, { cause: error });
  }
}

/** A described sink, opened for its dead letters alone. */
export function letterReader<O extends OpenTarget<never>>(
  resources: SinkResources,
  sink: SinkDescription & { readonly open: (resources: TargetResources) => O },
): LetterReader {
  const targets = new OpenTargets(resources, sink, sink.open);
  return {
    list: async () => (await targets.repeat(targets.target, "letters", (outside) => outside.letters?.())) ?? null,
    close: () => targets.close(),
  };
}
