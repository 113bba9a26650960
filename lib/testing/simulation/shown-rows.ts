import { canonicalJson } from "../../model/canonical-json.js";
import type { TableItem } from "../../ports/tables.js";
import { deadOnes, gone } from "./oracle.js";
import { tables } from "./tally-pipeline.js";
import { targetTable } from "./targets.js";

/** By row of a target: which of its contents a checkpoint gives it. */
export type Places = ReadonlyMap<string, number>;

/**
 * What complete checkpoints have given to each row of each target, in the order of completion, and what was seen to be written there.
 * W1: what came later is newer, in whichever lineage.
 */
export class ShownRows {
  readonly #contents = new Map<string, string[]>();
  /** By row: which of its contents the table has. */
  readonly #shown = new Map<string, number>();
  /** Of rows that showed, at the last restore, what came after the checkpoint: what complete checkpoints have given them since. */
  readonly #again = new Map<string, Set<string>>();

  of(row: string): readonly string[] {
    return this.#contents.get(row) ?? [];
  }

  /** A complete checkpoint gives a row this content. @returns its place among all of the row */
  give(row: string, content: string): number {
    const contents = this.#contents.get(row) ?? [];
    this.#contents.set(row, contents);
    return contents.push(content) - 1;
  }

  /** These are what the rows have by the newest checkpoint. */
  given(places: Places): void {
    for (const [row, since] of this.#again) {
      const place = places.get(row);
      const content = place === undefined ? undefined : this.of(row)[place];
      if (content !== undefined) since.add(content);
    }
  }

  /** A generation goes on from a checkpoint that gave these. */
  backTo(places: Places): void {
    for (const [row, shown] of this.#shown)
      if (shown > (places.get(row) ?? -1)) this.#again.set(row, this.#again.get(row) ?? new Set());
  }

  /** W1: what a table shows of a key never goes back. */
  written(row: string, content: string, places: Places): "later" | "back" {
    const contents = this.of(row);
    const before = this.#shown.get(row) ?? -1;
    // A deletion looks like any other: it is the first one that it can be.
    const later = contents.indexOf(content, Math.max(before, 0));
    const now = later === -1 ? contents.lastIndexOf(content) : later;
    // After a restore the row may come to be what it was in the checkpoint that is gone on from, or before it.
    const isCurrent = contents[places.get(row) ?? -1] === content;
    const isBack = now < before && !isCurrent && this.#again.get(row)?.has(content) !== true;
    this.#shown.set(row, now);
    return isBack ? "back" : "later";
  }

  /** What the table was seen to show. */
  shown(row: string): string | undefined {
    return this.of(row)[this.#shown.get(row) ?? -1];
  }

  /**
   * When all is committed a row shows what the lineage has given it last, or what was given to it later: by a lineage that was left
   * since (W2), which may or may not have come to write it.
   *
   * @param place of the lineage's last; undefined: it has given nothing
   */
  mayShow(row: string, found: string, place: number | undefined): boolean {
    const contents = this.of(row);
    if (place === undefined) return found === gone || contents.includes(found);
    return contents.includes(found, place);
  }
}

/** A row as the oracle has it, but for which code made it. A deletion leaves a tombstone with the key (W4). */
export function contentOf(table: string, item: TableItem): string {
  if (item["~deleted"] === true) return gone;
  const { of } = targetTable(table);
  if (tables[of] === tables.dead) return canonicalJson(deadOnes(item));
  const { code, ...row } = item;
  return madeBy(canonicalJson(row), String(code));
}

/** Content of the rows that operators make. */
export const madeBy = (content: string, version: string): string => `${content} of ${version}`;
