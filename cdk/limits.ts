import { Annotations, type Duration } from "aws-cdk-lib";
import type { Construct } from "constructs";
import { StreamError } from "#lib/model/errors.js";
import type { PlanFacts } from "./plan-facts.js";

/** Room for sessions beside those of the tasks and their successors: a generation that ends while the next begins. */
const concurrencyMargin = 4;

export const taskCount = ({ stages }: PlanFacts): number => stages.reduce((sum, { tasks }) => sum + tasks, 0);

/** A session and its successor may run at the same time. */
export const concurrencyFor = (tasks: number): number => 2 * tasks + concurrencyMargin;

/** Tasks that cannot all run wait for each other for ever. @throws StreamError `invalid` */
export function checkConcurrency(scope: Construct, facts: PlanFacts, reserved: number): void {
  const tasks = taskCount(facts);
  if (!Number.isInteger(reserved) || reserved < tasks) {
    throw new StreamError(
      "invalid",
      `${scope.node.path}: pipeline "${facts.name}" has ${tasks} tasks (${stagesOf(facts)}), and reservedConcurrency is ${reserved}; reserve ${concurrencyFor(tasks)}, or plan fewer tasks`,
    );
  }
  if (reserved >= 2 * tasks) return;
  Annotations.of(scope).addWarningV2(
    "tidemark:concurrency",
    `reservedConcurrency is ${reserved} for ${tasks} tasks: where sessions hand over at the same time, some invocations are throttled and come later; ${concurrencyFor(tasks)} is enough`,
  );
}

const stagesOf = ({ stages }: PlanFacts): string => stages.map(({ name, tasks }) => `${name} ${tasks}`).join(", ");

/** Lambda's own. */
const timeoutMax = 15 * 60_000;

/** N1: every session within twice its reserve ends at the next checkpoint, so that a shorter life would be all handing over. @throws StreamError `invalid` */
export function checkTimeout(scope: Construct, facts: PlanFacts, timeout: Duration): void {
  const { sessionReserve: reserve } = facts;
  const millis = timeout.toMilliseconds();
  if (millis > 2 * reserve && millis <= timeoutMax) return;
  throw new StreamError(
    "invalid",
    `${scope.node.path}: pipeline "${facts.name}": taskTimeout is ${timeout.toHumanString()}; it must be more than twice session.reserve (${reserve} ms), and at most 15 minutes`,
  );
}

/** @throws StreamError `invalid` where the user's variables would hide those of the construct */
export function checkedVariables(
  scope: Construct,
  variables: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  const taken = Object.keys(variables).find((name) => name.startsWith("TIDEMARK_"));
  if (taken === undefined) return variables;
  throw new StreamError(
    "invalid",
    `${scope.node.path}: environmentVariables.${taken}: names that begin with TIDEMARK_ are the construct's; choose another`,
  );
}
