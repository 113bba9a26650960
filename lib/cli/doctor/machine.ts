import type { ServiceLook } from "../../connectors/service-look.js";
import { formatMillis } from "../../model/duration.js";
import { type Finding, ok, problem, warning } from "./findings.js";

const least = [20, 19] as const;

/** The version of Node that runs this, such as "20.20.1". */
export function nodeFinding(version: string): Finding {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const isEnough = major > least[0] || (major === least[0] && minor >= least[1]);
  const found = `Node ${version}`;
  return isEnough ? ok("node", found) : problem("node", found, `install Node ${least.join(".")} or later`);
}

/** A difference that people notice in ages and lags. */
const noticeableMillis = 5_000;
/** AWS refuses signatures that are older. The SDK then signs by the service's clock. */
const refusedMillis = 300_000;

/**
 * What the clocks of this machine and of the service say.
 *
 * @param around this machine's clock before the call and after it
 */
export function clockFinding(
  { serverNow }: Pick<ServiceLook, "serverNow">,
  around: readonly [before: number, after: number],
): Finding {
  if (serverNow === null)
    return warning("clock", "the service did not say its time", "compare this machine's clock with another one");
  const ahead = aheadMillis(serverNow, around);
  const found =
    ahead === 0
      ? "as the service's, to a second"
      : `${formatMillis(Math.abs(ahead))} ${ahead > 0 ? "ahead of" : "behind"} the service's`;
  const size = Math.abs(ahead);
  if (size <= noticeableMillis) return ok("clock", found);
  const advice = "set this machine's clock, by NTP for example";
  return size > refusedMillis
    ? problem("clock", found, `${advice}: signatures may be refused`)
    : warning("clock", found, `${advice}: ages and lags that commands say are wrong by that`);
}

/** How far this clock must be ahead of the other one at least, to be where it was; negative: behind. */
function aheadMillis(serverNow: number, [before, after]: readonly [before: number, after: number]): number {
  const [earliest, latest] = [serverNow, serverNow + 999];
  if (before > latest) return before - latest;
  return after < earliest ? after - earliest : 0;
}
