import { type Millis, millis } from "../../model/ids.js";
import type { Plan } from "../../pipeline/plan.js";
import { fileStream, isFile, type Source } from "../../pipeline/source.js";

/** However long a pipeline's interval is: a test of a few records is to see several checkpoints. */
const intervalMillisMax = 10_000;

/** The length of a run's input: with a crash for every interval or so there are checkpoints between them. */
export const inputMillis = (plan: Plan, crashes: number): number => (2 + crashes) * intervalOf(plan);

const intervalOf = (plan: Plan): Millis => millis(Math.min(plan.settings.interval, intervalMillisMax));

/**
 * The same pipeline over input that ends: every stream is read from its beginning until `end`, under a name of its own, so that
 * two sources of one stream get what is meant for each.
 */
export function boundedPlan(plan: Plan, end: Millis, crashes: number): Plan {
  const { settings } = plan;
  const { timeout, restart } = settings;
  const attempts = crashes === 0 ? restart.attempts : restartAttemptsMax;
  return {
    ...plan,
    settings: { ...settings, interval: intervalOf(plan), timeout, restart: { ...restart, attempts } },
    sources: new Map([...plan.sources].map(([name, source]) => [name, boundedSource(name, source, end)])),
  };
}

/** A crash that a test asks for does not count against the pipeline. */
export const restartAttemptsMax = 10;

/** Files end by themselves. */
function boundedSource(name: string, source: Source<unknown>, end: Millis): Source<unknown> {
  const { config } = source;
  if (isFile(source)) return { ...source, config: { ...config, stream: fileStream(name) } };
  return { ...source, config: { ...config, stream: name, start: "horizon", end } };
}
