import { fingerprint } from "./fingerprint.js";
import type { Machine, Verdict } from "./machine.js";

/** More states than this are not held in memory; the search says that it is unfinished. */
export const statesMax = 4_000_000;

/** What is known of the states that were visited, by number: the first one is 0. */
class Visited {
  readonly #numbers = new Map<number, number>();
  readonly #parents: number[] = [];
  readonly #labels: string[] = [];
  readonly #ends: number[] = [];

  get count(): number {
    return this.#parents.length;
  }

  get ends(): readonly number[] {
    return this.#ends;
  }

  numberOf(state: object): number | undefined {
    return this.#numbers.get(fingerprint(state));
  }

  add(state: object, parent: number, label: string): number {
    const number = this.count;
    this.#numbers.set(fingerprint(state), number);
    this.#parents.push(parent);
    this.#labels.push(label);
    return number;
  }

  markEnd(number: number): void {
    this.#ends.push(number);
  }

  /** The shortest way to a state. */
  trace(number: number): readonly string[] {
    const labels: string[] = [];
    for (let at = number; at > 0; at = this.#parents[at] ?? 0) labels.unshift(this.#labels[at] ?? "");
    return labels;
  }
}

/** The steps between states, by their numbers. */
class Moves {
  #pairs = new Int32Array(1 << 16);
  #count = 0;

  push(from: number, to: number): void {
    if (2 * this.#count + 2 > this.#pairs.length) {
      const grown = new Int32Array(2 * this.#pairs.length);
      grown.set(this.#pairs);
      this.#pairs = grown;
    }
    this.#pairs[2 * this.#count] = from;
    this.#pairs[2 * this.#count + 1] = to;
    this.#count += 1;
  }

  /** One for each state from which one of the goals can be reached, else zero. */
  reaching(states: number, goals: readonly number[]): Uint8Array {
    const { first, next } = this.#byTarget(states);
    const good = new Uint8Array(states);
    const waiting = [...goals];
    for (const goal of goals) good[goal] = 1;
    for (let at = waiting.pop(); at !== undefined; at = waiting.pop()) {
      for (let move = first[at] ?? -1; move !== -1; move = next[move] ?? -1) {
        const from = this.#pairs[2 * move] ?? 0;
        if (good[from] === 1) continue;
        good[from] = 1;
        waiting.push(from);
      }
    }
    return good;
  }

  /** The moves to a state as a chain: its first, and for each move the next one with the same target. */
  #byTarget(states: number): { readonly first: Int32Array; readonly next: Int32Array } {
    const first = new Int32Array(states).fill(-1);
    const next = new Int32Array(this.#count);
    for (let move = 0; move < this.#count; move++) {
      const to = this.#pairs[2 * move + 1] ?? 0;
      next[move] = first[to] ?? -1;
      first[to] = move;
    }
    return { first, next };
  }
}

/** Visits every state, nearest first: the first violation found has the shortest trace. Then, backwards, whether each can still end. */
export function search<S extends object>(machine: Machine<S>, limit = statesMax): Verdict {
  const visited = new Visited();
  const moves = new Moves();
  const stuck: number[] = [];
  let depth = 0;
  const verdict = (kind: Verdict["kind"], violation = "", at = 0): Verdict => {
    const trace = violation === "" ? [] : visited.trace(at);
    return { kind, states: visited.count, depth, ends: visited.ends.length, violation, trace };
  };
  let level = [{ number: visited.add(machine.initial, 0, ""), state: machine.initial }];
  for (; level.length > 0; depth++) {
    const below: typeof level = [];
    for (const { number, state } of level) {
      const violation = machine.violation(state);
      if (violation !== null) return verdict("violated", violation, number);
      if (machine.isEnd(state)) visited.markEnd(number);
      const steps = machine.steps(state);
      if (steps.length === 0) stuck.push(number);
      for (const { label, next } of steps) {
        const old = visited.numberOf(next);
        const to = old ?? visited.add(next, number, label);
        if (old === undefined) below.push({ number: to, state: next });
        if (machine.mustEnd) moves.push(number, to);
      }
      if (visited.count > limit) return verdict("unfinished");
    }
    level = below;
  }
  if (!machine.mustEnd) return verdict("holds");
  const good = moves.reaching(visited.count, visited.ends);
  const deadlock = stuck.find((number) => good[number] === 0);
  if (deadlock !== undefined) return verdict("violated", "deadlock: nothing can happen, and this is no end", deadlock);
  const lost = good.indexOf(0);
  return lost === -1 ? verdict("holds") : verdict("violated", "from here no run ends well, whatever happens", lost);
}

/** For what is too large to visit whole: random runs, each checked at every step. The same seed walks the same ways. */
export function walk<S extends object>(machine: Machine<S>, runs: number, seed = 1): Verdict {
  const random = randomFrom(seed);
  let states = 0;
  let depth = 0;
  let ends = 0;
  for (let run = 0; run < runs; run++) {
    const trace: string[] = [];
    let hasEnded = false;
    for (let state: S | null = machine.initial; state !== null; ) {
      const violation = machine.violation(state);
      if (violation !== null) return { kind: "violated", states, depth: trace.length, ends, violation, trace };
      hasEnded ||= machine.isEnd(state);
      const steps = machine.steps(state);
      const step = steps[Math.floor(random() * steps.length)];
      if (step !== undefined) trace.push(step.label);
      state = step?.next ?? null;
    }
    states += trace.length;
    depth = Math.max(depth, trace.length);
    if (hasEnded) ends += 1;
    else if (machine.mustEnd) return { kind: "violated", states, depth, ends, violation: "it never ended", trace };
  }
  return { kind: "unfinished", states, depth, ends, violation: "", trace: [] };
}

/** mulberry32. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
