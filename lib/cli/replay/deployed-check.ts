import type { RestoreCheck } from "../../checkpoint/opening-check.js";
import { type CheckpointStore, readDesired } from "../../checkpoint/store.js";
import { suffixesVariable } from "../../compose.js";
import { askFunction, describeFunction, taskFunctionOf } from "../../connectors/deployed-functions.js";
import type { CheckpointRef } from "../../model/checkpoints.js";
import { StreamError } from "../../model/errors.js";
import type { Code, Head } from "../../model/head.js";
import type { Plan } from "../../pipeline/plan.js";
import type { SinkModes } from "../../pipeline/sink-modes.js";
import type { ReplayCall, ReplayQuestion } from "../../runtime/replay-check.js";
import type { OpenedStore } from "../checkpoints.js";
import { sinkTargets } from "../dev/resources.js";
import { checkPossibleBy } from "./possible.js";

/** The code that is deployed, which can be asked: with its own plan, rights, network and variables. */
export interface DeployedCode {
  /** The version of the function of tasks. */
  readonly version: string;
  /** That its role may write to, as the construct says it; null: nobody says. */
  readonly redirectSuffixes: readonly string[] | null;
  /** @throws StreamError `invalid`: it may not be invoked; `transient`: it could not tell */
  ask(question: ReplayQuestion): Promise<RestoreCheck>;
}

/**
 * @param code of a deployment that was before; undefined: what is deployed
 * @returns null: it runs on this machine, or nobody says which functions there are
 * @throws StreamError `invalid`: the functions cannot be looked at
 */
export async function deployedCode(opened: OpenedStore, code: Code | undefined): Promise<DeployedCode | null> {
  const { store, target } = opened;
  const supervisor = process.env.TIDEMARK_SUPERVISOR_FUNCTION;
  if (target.local || supervisor === undefined) return null;
  const version = (code ?? (await readDesired(store))?.value.code)?.functionVersion;
  if (version === undefined) return null;
  const { lambda } = target.clients;
  const described = await describeFunction(lambda, supervisor);
  const name = taskFunctionOf(described);
  const suffixes = described.variables[suffixesVariable];
  return {
    version,
    redirectSuffixes: suffixes === undefined ? null : (JSON.parse(suffixes) as readonly string[]),
    async ask(ask) {
      const call: ReplayCall = { pipeline: store.pipeline, ask };
      return (await askFunction(lambda, { name, version }, call)) as RestoreCheck;
    },
  };
}

/** G3, P1, P2, C2, as `checkPossible` has them, of the code that is to run. Answers with notes. */
export function checkByDeployed(
  deployed: DeployedCode,
  store: CheckpointStore,
  head: Head,
  { from: origin, dropped }: { readonly from: CheckpointRef; readonly dropped: readonly string[] },
): Promise<readonly string[]> {
  const check = (from: CheckpointRef) => deployed.ask({ about: "restore", from, dropped });
  return checkPossibleBy(check, store, head, origin);
}

/** W2: of the targets, from where they are written. @throws StreamError `invalid`: they are absent, unfit, or refused */
export async function lookByDeployed(deployed: DeployedCode, pipeline: string, sinks: SinkModes): Promise<void> {
  const { problems } = await deployed.ask({ about: "targets", sinks });
  if (problems.length === 0) return;
  const version = `version ${deployed.version} of its functions`;
  throw new StreamError(
    "invalid",
    `pipeline "${pipeline}": ${version} cannot write where it would have to:\n${problems.map((one) => `  ${one}`).join("\n")}\nWhat runs goes on`,
  );
}

/**
 * W2: whether the functions may write to the targets of redirects that are asked for. Their role is that of the last deployment, whichever
 * version of the code is to run.
 *
 * @throws StreamError `invalid`, with what to deploy
 */
export function checkGranted({ target }: OpenedStore, plan: Plan, modes: SinkModes, deployed: DeployedCode): void {
  const { redirectSuffixes } = deployed;
  if (redirectSuffixes === null) return;
  // What has its rights from elsewhere, as a database has, is asked instead.
  const missing = sinkTargets(target, plan, modes).flatMap(({ sink, name }) => {
    const mode = modes[sink];
    return mode?.kind !== "redirect" || redirectSuffixes.includes(mode.suffix) ? [] : [{ sink, name, mode }];
  });
  if (missing.length === 0) return;
  const all = [...new Set([...redirectSuffixes, ...missing.map(({ mode }) => mode.suffix)])];
  const lines = missing.map(({ sink, name, mode }) => `  sink "${sink}": "${name}", by the suffix "${mode.suffix}"`);
  throw new StreamError(
    "invalid",
    `pipeline "${plan.graph.name}": its functions may not write to what the redirect names:\n${lines.join("\n")}\nNothing was changed. Deploy with redirectSuffixes: ${JSON.stringify(all)} in the properties of its TidemarkPipeline, which stops nothing that runs, and ask again (W2)`,
  );
}
