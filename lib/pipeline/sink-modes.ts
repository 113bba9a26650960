import { StreamError } from "../model/errors.js";
import type { SinkMode } from "../model/head.js";
import type { Sink, SinkResources, TargetKind } from "./sink.js";

// W2: what becomes of output where an older checkpoint is gone back to. The modes are kept in the generation's record. This is the one
// place that says what a redirected target is called, and which sink allows what.

/** By sink. One that is not named is as it was, at first normal. */
export type SinkModes = Readonly<Record<string, SinkMode>>;

/** Those that somebody may ask for, when an older checkpoint is gone back to. */
export const replayModes = ["redirect", "dry-run", "overwrite"] as const;
export type ReplayMode = (typeof replayModes)[number];

const normal: SinkMode = { kind: "normal" };

export const modeOf = (modes: SinkModes, sink: string): SinkMode =>
  Object.hasOwn(modes, sink) ? (modes[sink] ?? normal) : normal;

/** Why a sink cannot be in a mode; null where it can. */
export function whyNot(sink: Sink<never>, mode: SinkMode["kind"]): string | null {
  if (mode === "normal" || mode === "dry-run") return null;
  if (mode === "redirect")
    return sink.redirectable === true
      ? null
      : "it names no target that could be another: nothing can be put behind a name";
  switch (sink.delivery) {
    case "held":
    case "eager":
      return null;
    case "two-phase":
      return "what it has shown stays beside what the replay shows: its readers would see both";
    case "log":
      return "its rows are applied, not replaced: those of before stay, or count twice";
  }
}

/** The modes that a sink allows, of those that somebody may ask for. */
export const allowedModes = (sink: Sink<never>): readonly ReplayMode[] =>
  replayModes.filter((mode) => whyNot(sink, mode) === null);

/** Behind a name it must be a part of a table's, a stream's, a file's and a database table's. */
const suffixForm = /^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$/;

/** @throws StreamError `invalid` */
export function checkSuffix(suffix: string): string {
  if (suffixForm.test(suffix)) return suffix;
  throw new StreamError(
    "invalid",
    `"${suffix}" is no suffix for a redirect: write 1 to 32 letters, digits, "_" and "-", a letter or digit first, such as "v2"`,
  );
}

/** @throws StreamError `invalid`: a sink that the pipeline has not, or that does not allow its mode */
export function checkModes(pipeline: string, sinks: ReadonlyMap<string, Sink<never>>, modes: SinkModes): void {
  for (const [name, mode] of Object.entries(modes)) {
    const sink = sinks.get(name);
    if (sink === undefined)
      throw new StreamError(
        "invalid",
        `pipeline "${pipeline}" has no sink "${name}"; it has: ${[...sinks.keys()].join(", ")}`,
      );
    const why = whyNot(sink, mode.kind);
    if (why === null) continue;
    throw new StreamError(
      "invalid",
      `pipeline "${pipeline}": the sink "${name}" (${sink.kind}) does not allow ${mode.kind}: ${why}. It allows: ${allowedModes(sink).join(", ")} (W2)`,
    );
  }
}

/**
 * The physical name of a redirected target: `airports-v2` of a table or stream, `out/airports-v2` of a folder, `flights-v2.csv` of a
 * file. A bucket and a database stay: there the sink puts the suffix behind what it names within, with {@link redirectedPrefix} or
 * {@link redirectedTable}.
 */
export function redirectedName(kind: TargetKind, name: string, suffix: string): string {
  switch (kind) {
    case "table":
    case "stream":
      return `${name}-${suffix}`;
    case "file": {
      const [, ending = ""] = /[^/\\](\.[^./\\]+)$/.exec(name) ?? [];
      return `${name.slice(0, name.length - ending.length)}-${suffix}${ending}`;
    }
    case "bucket":
    case "database":
      return name;
  }
}

/** Of keys in a bucket: `flights-v2/` of `flights/`; of the whole bucket `_v2/`, which readers of it pass over. */
export const redirectedPrefix = (prefix: string, suffix: string): string =>
  prefix === "" ? `_${suffix}/` : `${prefix.replace(/\/$/, "")}-${suffix}/`;

/** Of a table in a database, also with its schema: `orders_v2`. */
export const redirectedTable = (table: string, suffix: string): string => `${table}_${suffix}`;

/** What a sink in this mode is opened with. */
export function resourcesIn(mode: SinkMode, resources: SinkResources): SinkResources {
  if (mode.kind !== "redirect") return resources;
  const { suffix } = mode;
  const { bind } = resources;
  return { ...resources, suffix, bind: (kind, logical) => redirectedName(kind, bind(kind, logical), suffix) };
}
