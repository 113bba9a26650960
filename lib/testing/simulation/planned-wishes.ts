import type { Random } from "../seeded/random.js";
import { type Person, wish } from "./person.js";

/** Start it; then, while things go wrong, whatever occurs to people. */
export function planWishes(person: Person, random: Random): void {
  const { scheduler } = person.setup.stage;
  const { chaosMillis, wishes, firstWishMillis, releases } = person.setup.profile;
  scheduler.after(firstWishMillis, () => wish(person, "start"));
  for (let i = 0; i < wishes; i++) {
    const at = firstWishMillis + random.int(chaosMillis - firstWishMillis);
    const drawn = random.pick(["restart", "stop", "deploy", "restore"] as const);
    const kind = drawn === "deploy" && releases > 0 ? "release" : drawn;
    scheduler.after(at, () => wish(person, kind));
    const again = Math.min(chaosMillis, at + random.between(100, 20_000));
    if (kind === "stop") scheduler.after(again, () => wish(person, "start"));
  }
}

/** Savepoints are made at any time; later some are gone back to, and some are deleted. */
export function planSavepoints(person: Person, random: Random): void {
  const { scheduler } = person.setup.stage;
  const { chaosMillis, savepoints, firstWishMillis } = person.setup.profile;
  for (let i = 0; i < savepoints; i++) {
    const at = firstWishMillis + random.int(chaosMillis - firstWishMillis);
    scheduler.after(at, () => wish(person, "savepoint"));
    const then = random.pick(["restore-savepoint", "restore-savepoint", "delete-savepoint", null] as const);
    const later = Math.min(chaosMillis, at + random.between(100, 40_000));
    if (then !== null) scheduler.after(later, () => wish(person, then));
  }
}

/** Replays, and forks of what runs. */
export function planReplays(person: Person, random: Random): void {
  const { scheduler } = person.setup.stage;
  const { chaosMillis, replays, firstWishMillis } = person.setup.profile;
  for (let i = 0; i < replays; i++) {
    const at = firstWishMillis + random.int(chaosMillis - firstWishMillis);
    const kind = random.pick(["replay", "replay", "fork"] as const);
    scheduler.after(at, () => wish(person, kind));
  }
}

/** P4: code is deployed, and takes effect by itself. */
export function planReleases(person: Person, random: Random): void {
  const { scheduler } = person.setup.stage;
  const { chaosMillis, releases } = person.setup.profile;
  for (let i = 0; i < releases; i++) scheduler.after(random.int(chaosMillis), () => wish(person, "release"));
}
