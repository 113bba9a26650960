import { compareKeys, firstWhere } from "./key-order.js";

export interface ListQuery {
  readonly prefix: string;
  /** "" for none. */
  readonly delimiter: string;
  /** Only what comes after this key or common prefix; "" for all. */
  readonly after: string;
  /** Keys and common prefixes together. */
  readonly max: number;
}

export type Listed = { readonly kind: "key" | "prefix"; readonly name: string };

export interface ListPage {
  readonly items: readonly Listed[];
  readonly truncated: boolean;
}

/** The common prefix that `key` rolls up to, or null where the delimiter does not come after the prefix. */
function commonPrefix(key: string, query: ListQuery): string | null {
  if (query.delimiter === "") return null;
  const cut = key.indexOf(query.delimiter, query.prefix.length);
  return cut < 0 ? null : key.slice(0, cut + query.delimiter.length);
}

/** Where the listing starts: behind `after`, and behind all that rolled up into it where it was a common prefix. */
function startOf(keys: readonly string[], query: ListQuery): number {
  const { after, prefix } = query;
  const first = firstWhere(keys, (key) => compareKeys(key, prefix) >= 0);
  if (after === "") return first;
  const behind = firstWhere(keys, (key) => compareKeys(key, after) > 0, first);
  if (!after.startsWith(prefix) || commonPrefix(after, query) !== after) return behind;
  return firstWhere(keys, (key) => !key.startsWith(after), behind);
}

/** One page of a listing over keys in the order of {@link compareKeys}. Cost: the page, and a binary search for each common prefix. */
export function listKeys(keys: readonly string[], query: ListQuery): ListPage {
  const items: Listed[] = [];
  let at = startOf(keys, query);
  for (let key = keys[at]; key?.startsWith(query.prefix); key = keys[at]) {
    if (items.length >= query.max) return { items, truncated: query.max > 0 };
    const common = commonPrefix(key, query);
    items.push(common === null ? { kind: "key", name: key } : { kind: "prefix", name: common });
    at = common === null ? at + 1 : firstWhere(keys, (other) => !other.startsWith(common), at);
  }
  return { items, truncated: false };
}
