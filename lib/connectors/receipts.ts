import type { StagedNames } from "../pipeline/staged-names.js";

/** An empty file that says: what was staged was shown. What its reader took away since is not missing. */
export const receiptEnding = ".shown";

/** More than checkpoints can be retained: each lists its own file, and its reader may have taken that away. */
const receiptsKept = 16_384;

/** Behind the task, whose the receipt is, stands what the file is called: its checkpoint's number, and the task again. */
const checkpointPattern = /-(\d{12})-\d+\.\d+\.\w+\.shown$/;

/**
 * C4: which receipts no checkpoint asks for any more. Of the sink's task all but the newest; of tasks that are no more those that are as
 * many checkpoints older than the newest one of the folder.
 *
 * @param task what receipts of the session's own task begin with
 */
export function oldReceipts(
  names: readonly string[],
  task: string,
  { isOfGone }: Pick<StagedNames, "isOfGone">,
): readonly string[] {
  const receipts = names.filter((name) => name.endsWith(receiptEnding));
  const own = receipts.filter((name) => name.startsWith(task)).sort();
  const gone = receipts.filter((name) => !name.startsWith(task) && isOfGone(name));
  const newest = receipts.reduce((most, name) => Math.max(most, checkpointOf(name) ?? 0), 0);
  const isOld = (name: string) => (checkpointOf(name) ?? newest) <= newest - receiptsKept;
  return [...own.slice(0, -receiptsKept), ...gone.filter(isOld)];
}

function checkpointOf(receipt: string): number | null {
  const digits = checkpointPattern.exec(receipt)?.[1];
  return digits === undefined ? null : Number(digits);
}
