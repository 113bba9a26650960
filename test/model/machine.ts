// What the checker needs to know of a machine: a small, exact copy of some rules of docs/PROTOCOL.md, whose every run is visited.

/** Something that may happen next. The label is a line of a counter-example. */
export interface Step<S> {
  readonly label: string;
  readonly next: S;
}

/** States are plain immutable data, and equal states are equal in all their entries, in the same order. */
export interface Machine<S extends object> {
  readonly initial: S;
  steps(state: S): readonly Step<S>[];
  /** What the promise of section 1 does not allow in this state; null: nothing. */
  violation(state: S): string | null;
  /** A state in which a run may end well. */
  isEnd(state: S): boolean;
  /** Whether each state must still be able to reach an end: no deadlock, no way of no return. */
  readonly mustEnd: boolean;
}

export interface Verdict {
  /** `unfinished`: nothing was found, and not everything was visited. */
  readonly kind: "holds" | "violated" | "unfinished";
  readonly states: number;
  readonly depth: number;
  readonly ends: number;
  /** What is wrong after the last step of the trace; empty where nothing is. */
  readonly violation: string;
  readonly trace: readonly string[];
}

/** The counter-example as it is to be read. */
export function told({ kind, states, depth, violation, trace }: Verdict): string {
  const steps = trace.map((label, index) => `${String(index + 1).padStart(4)}. ${label}`);
  return [
    `${kind}; ${states} states, depth ${depth}`,
    ...steps,
    ...(violation === "" ? [] : [`   => ${violation}`]),
  ].join("\n");
}
