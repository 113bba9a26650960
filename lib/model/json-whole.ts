import { type RowMaker, rowMaker } from "./json-rows.js";
import { JsonScan } from "./json-scan.js";
import { jsonOfLine, mayNamePrototype, parsedWithoutPrototype } from "./json-text.js";
import type { LineDecoder } from "./lines.js";

/** Records of more members are left to JSON.parse. */
const membersMax = 8;
/** Lines of another form until that one is learnt: more each time, so that records of many forms cost little. */
const patienceMax = 65_536;
const patienceAtFirst = 1;
const patienceFactor = 8;

/** One line of the known form makes up for so many others: the form of most lines stays. */
const othersForgiven = 4;

/** The form of a record: what is known of the next one, if it is like the last. */
interface Form {
  readonly scan: JsonScan;
  readonly rowOf: RowMaker;
}

/**
 * Lines of JSON as JSON.parse reads them. Most records are flat objects like the one before: where a line has just its members,
 * in their order, the values are read one by one, in less time than JSON.parse takes. Any other line goes there.
 */
export function wholeLines(): LineDecoder<unknown> {
  let form: Form | null = null;
  let loaded = 0;
  let blocks = 0;
  let others = 0;
  let patience = patienceAtFirst;

  const learn = (value: unknown): void => {
    others += 1;
    if (others < patience) return;
    others = 0;
    patience = Math.min(patience * patienceFactor, patienceMax);
    form = formOf(value);
    loaded = 0;
  };

  return {
    block(text) {
      if (mayNamePrototype(text)) return (from, to) => jsonOfLine(text.slice(from, to), parsedWithoutPrototype);
      const block = ++blocks;
      return (from, to) => {
        if (form !== null) {
          // Nobody says that one block is read to its end before the next one is begun.
          if (loaded !== block) form.scan.source.load(text);
          loaded = block;
          if (form.scan.read(from, to)) {
            others = Math.max(0, others - othersForgiven);
            return form.rowOf(form.scan.values);
          }
        }
        const value = jsonOfLine(text.slice(from, to), JSON.parse);
        learn(value);
        return value;
      };
    },
  };
}

/** JSON.parse puts names that look like indexes first: where one stands in the text is not known then. */
const isIndex = /^\d/;

function formOf(value: unknown): Form | null {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return null;
  const names = Object.keys(value);
  if (names.length === 0 || names.length > membersMax || names.some((name) => isIndex.test(name))) return null;
  return { scan: new JsonScan(names, JSON.parse, "just these, in order"), rowOf: rowMaker(names) };
}
