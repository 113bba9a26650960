import { resolve } from "node:path";
import type { BindingNames } from "../../compose.js";
import type { Plan } from "../../pipeline/plan.js";
import { filePath } from "../../pipeline/source.js";

/** The bindings with a whole path for every file of the plan: the functions run in another folder than the command. */
export function wholePaths(plan: Plan, names: BindingNames, from: string): BindingNames {
  const sources = [...plan.sources.values()].map((source) => filePath(source.config.stream));
  const sinks = [...plan.sinks.values()].map((sink) => (sink.kind === "file" ? folderOf(sink.config) : null));
  const logical = [...sources, ...sinks].filter((name) => name !== null);
  const whole = logical.map((name) => [name, resolve(from, names.files?.[name] ?? name)] as const);
  return { ...names, files: { ...names.files, ...Object.fromEntries(whole) } };
}

const folderOf = (config: unknown): string | null => {
  const folder = (config as { readonly folder?: unknown } | null)?.folder;
  return typeof folder === "string" ? folder : null;
};
