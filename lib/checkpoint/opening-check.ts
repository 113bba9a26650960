import type { CheckpointRef, Manifest } from "../model/checkpoints.js";
import { asStreamError } from "../model/errors.js";
import type { Head } from "../model/head.js";
import type { Plan } from "../pipeline/plan.js";
import { filesOf, type KnownState, keyTypesIn, knownStates } from "../state/known-state.js";
import { storedExchange } from "./exchange.js";
import { checkRestorable } from "./history.js";
import { closedRanges } from "./inherit.js";
import { checkFrames } from "./named-frames.js";
import { checkState, type OpeningContext, readToBefore, resolveStarts } from "./opening.js";
import { checkPrepared } from "./prepared.js";
import { readFurther } from "./retention.js";
import { readGenerationRecord, readManifest } from "./store.js";
import { watchedFrom } from "./watch.js";

/** What an opening would find. */
export interface RestoreCheck {
  /** What it would be refused for: what was wrong, where, what to do. */
  readonly problems: readonly string[];
  /** What is so, and need not be what somebody wants. */
  readonly notes: readonly string[];
}

/**
 * Whether a plan could go on from a checkpoint, without doing so: state and edges of operators (P2), output for its sinks (C2), frames
 * that are named (P1), the streams and positions of its sources (P1), and that the checkpoint is kept (G3). Unlike the opening it tells
 * all that it finds.
 *
 * @throws StreamError `corrupt`: the manifest is not what was written (P3); `transient`: a service does not answer
 */
export async function checkRestore(
  context: OpeningContext,
  head: Head,
  origin: CheckpointRef,
  dropped: readonly string[],
): Promise<RestoreCheck> {
  const { store, plan } = context;
  const problems: string[] = [];
  const gather = async (check: () => Promise<unknown>): Promise<void> => {
    await check().catch((error: unknown) => problems.push(problemOf(error)));
  };
  await gather(() => checkRestorable(store, head, origin));
  if (problems.length > 0) return { problems, notes: [] };
  const manifest = await readManifest(store, head.incarnation, origin);
  for (const operator of operatorsOf(manifest)) {
    const others = operatorsOf(manifest).filter((other) => other !== operator);
    await gather(async () => checkState(plan, manifest, [...dropped, ...others]));
  }
  await gather(() => checkPrepared(store, plan, manifest));
  await gather(() => checkFrames(storedExchange(store), manifest, dropped));
  await gather(() => checkSources(context, head, origin, manifest));
  return { problems, notes: notesOn(plan, manifest, dropped) };
}

/** What passes says nothing about the code. */
function problemOf(error: unknown): string {
  const cause = asStreamError(error);
  if (cause.kind === "invalid" || cause.kind === "corrupt") return cause.message;
  throw cause;
}

async function checkSources(context: OpeningContext, head: Head, origin: CheckpointRef, manifest: Manifest) {
  const previous = await readGenerationRecord(context.store, head);
  const readTo = (await watchedFrom(context.store, origin)) ?? readToBefore(previous, origin);
  await resolveStarts(context, previous, readFurther(manifest.shards, readTo));
}

function operatorsOf(manifest: Manifest): readonly string[] {
  const stored = manifest.tasks.flatMap(({ snapshot: { base, deltas } }) =>
    [...(base === null ? [] : [base]), ...deltas].flatMap(({ slices }) => slices.map(({ operator }) => operator)),
  );
  return [...new Set([...stored, ...closedRanges(manifest).map(({ edge }) => edge)])];
}

function noteOnState({ operator, stateVersion }: KnownState, manifest: Manifest): readonly string[] {
  const refs = manifest.tasks.map(({ snapshot }) => snapshot);
  const slices = refs.flatMap(filesOf).flatMap(({ slices: all }) => all.filter((slice) => slice.operator === operator));
  const [first] = slices;
  if (first === undefined) return [`operator "${operator}" has no state in the checkpoint: it starts empty`];
  const oldest = Math.min(...slices.map((slice) => slice.stateVersion));
  const types = keyTypesIn(refs, operator);
  return [
    ...(oldest < stateVersion
      ? [`the state of operator "${operator}" is migrated from version ${oldest} to ${stateVersion}`]
      : []),
    ...(types === null
      ? []
      : [
          `the state of operator "${operator}" is by keys of type ${types.join(" or ")}: that keyBy still gives such keys is known with the first record`,
        ]),
  ];
}

function notesOn(plan: Plan, manifest: Manifest, dropped: readonly string[]): readonly string[] {
  const known = Object.keys(manifest.shards);
  const wanted = [...plan.sources.keys()];
  const gone = known.filter((name) => !wanted.includes(name));
  const fresh = wanted.filter((name) => !known.includes(name));
  const left = operatorsOf(manifest).filter((operator) => dropped.includes(operator));
  const states = knownStates(plan).filter(({ operator }) => !dropped.includes(operator));
  return [
    ...gone.map((name) => `the source "${name}" of the checkpoint is not in the plan: nobody reads it on`),
    ...fresh.map((name) => `the source "${name}" is not in the checkpoint: it is read from its start`),
    ...left.map((operator) => `the state of operator "${operator}" is dropped`),
    ...states.flatMap((state) => noteOnState(state, manifest)),
  ];
}
