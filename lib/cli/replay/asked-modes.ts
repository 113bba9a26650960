import { StreamError } from "../../model/errors.js";
import type { SinkMode } from "../../model/head.js";
import type { Plan } from "../../pipeline/plan.js";
import {
  allowedModes,
  checkModes,
  checkSuffix,
  type ReplayMode,
  replayModes,
  type SinkModes,
  whyNot,
} from "../../pipeline/sink-modes.js";

/**
 * What `--sinks` says: a mode for all sinks, or `SINK=MODE` for one.
 *
 * @param given in any order; one that names its sink goes before one that does not
 * @returns `unsaid`: sinks of which nothing is said
 * @throws StreamError `invalid`: no such mode or sink, or one that the sink does not allow
 */
export function askedModes(
  plan: Plan,
  given: readonly string[],
): { readonly modes: SinkModes; readonly unsaid: readonly string[] } {
  const names = [...plan.sinks.keys()];
  const named = new Map<string, SinkMode>();
  let others: SinkMode | null = null;
  for (const text of given) {
    const [, sink = null, mode = text] = /^([^=]+)=(.*)$/.exec(text) ?? [];
    if (sink !== null && named.has(sink)) throw new StreamError("invalid", `--sinks says two things of "${sink}"`);
    if (sink !== null) named.set(sink, parsedMode(mode));
    else if (others === null) others = parsedMode(mode);
    else throw new StreamError("invalid", `--sinks says two things of all sinks; write SINK=MODE for one`);
  }
  const rest = others;
  const unsaid = names.filter((name) => !named.has(name) && rest === null);
  const of = (name: string) => named.get(name) ?? rest;
  const modes = Object.fromEntries([...new Set([...named.keys(), ...names])].flatMap((name) => pair(name, of(name))));
  checkModes(plan.graph.name, plan.sinks, modes);
  return { modes, unsaid };
}

const pair = (name: string, mode: SinkMode | null): readonly (readonly [string, SinkMode])[] =>
  mode === null ? [] : [[name, mode]];

function parsedMode(text: string): SinkMode {
  if (text === "dry-run" || text === "overwrite" || text === "normal") return { kind: text };
  const suffix = /^redirect:(.+)$/.exec(text)?.[1];
  if (suffix !== undefined) return { kind: "redirect", suffix: checkSuffix(suffix) };
  throw new StreamError(
    "invalid",
    `"${text}" is nothing that can become of output; write redirect:SUFFIX, dry-run, overwrite or normal, or SINK=… of one sink`,
  );
}

/** As it is asked for. */
export const modeText = (mode: SinkMode): string => (mode.kind === "redirect" ? `redirect:${mode.suffix}` : mode.kind);

/** What a sink allows. */
interface SinkChoice {
  readonly sink: string;
  readonly kind: string;
  readonly allows: readonly string[];
  /** Of what it does not allow. */
  readonly because: Readonly<Record<string, string>>;
}

const choicesOf = (plan: Plan, offered: readonly ReplayMode[]): readonly SinkChoice[] =>
  [...plan.sinks].map(([sink, one]) => ({
    sink,
    kind: one.kind,
    allows: allowedModes(one).filter((mode) => offered.includes(mode)),
    because: Object.fromEntries(
      offered.flatMap((mode) => {
        const why = whyNot(one, mode);
        return why === null ? [] : [[mode, why] as const];
      }),
    ),
  }));

const meanings: Readonly<Record<ReplayMode, string>> = {
  redirect: "  redirect:SUFFIX  it goes to other targets, which bear the suffix, and what is there stays as it is",
  "dry-run": "  dry-run          rows are looked at and counted, and written nowhere",
  overwrite: "  overwrite        a key that is written again has the new row; one that is not keeps what it has",
};

/** What the modes are, and what each sink allows of them. */
export function choicesText(plan: Plan, checkpoint: string, offered: readonly ReplayMode[] = replayModes): string {
  const choices = choicesOf(plan, offered);
  const width = Math.max(...choices.map(({ sink }) => sink.length));
  const lines = choices.flatMap(({ sink, kind, allows, because }) => [
    `  ${sink.padEnd(width)}  ${kind}: ${allows.join(", ")}`,
    ...Object.entries(because).map(([mode, why]) => `  ${" ".repeat(width)}  not ${mode}: ${why}`),
  ]);
  return `records after checkpoint ${checkpoint} are read again; say with --sinks what becomes of output, of all sinks or of one (SINK=…):
${offered.map((mode) => meanings[mode]).join("\n")}
(and normal, where a redirect or a dry run is to end: to its own target again)
the sinks of "${plan.graph.name}" allow:
${lines.join("\n")}`;
}
