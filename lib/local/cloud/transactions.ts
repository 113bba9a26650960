import { createHash } from "node:crypto";
import { refusal } from "./answers.js";
import { type DynamoParts, entriesUnder, type Item, type Table, tableNamed, type Write } from "./dynamodb-store.js";
import { type Answer, type Fields, type Lock, refusalIn } from "./emulators.js";
import { shadowOf } from "./shadow.js";

const itemsPerTransaction = 100;
const bytesPerTransaction = 4 * 1024 * 1024;
const tokenLifeMs = 600_000;
const tokenPrefix = "transaction~";
const exceptions = "com.amazonaws.dynamodb.v20120810#";

/** Which plain operation does an action's work. A check is a deletion of which only the condition is asked. */
const operationOf = {
  Put: "PutItem",
  Update: "UpdateItem",
  Delete: "DeleteItem",
  ConditionCheck: "DeleteItem",
  Get: "GetItem",
};
type Kind = keyof typeof operationOf;

interface Step {
  readonly kind: Kind;
  readonly table: Table;
  /** Checked input of the plain operation. */
  readonly input: Fields;
  readonly key: string;
  readonly wantsItem: boolean;
}
interface Outcome {
  readonly answer: Answer;
  readonly writes: readonly Write[];
  readonly found: Item | undefined;
}

/** Idempotency tokens of transactions, kept for ten minutes as the service does; in the same database, in the same write. */
export interface Tokens {
  readonly parts: DynamoParts;
  readonly bornMs: Map<string, number>;
}

export async function openTokens(parts: DynamoParts): Promise<Tokens> {
  const bornMs = new Map<string, number>();
  for await (const [key, value] of entriesUnder(parts.store.db, tokenPrefix))
    bornMs.set(key, (value as { at: number }).at);
  return { parts, bornMs };
}

/**
 * TransactWriteItems: every step runs on a shadow of the store while the locks of all items are held, then one batch writes it all.
 *
 * @see https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
 */
export async function transactWrite(tokens: Tokens, input: Fields, nowMs: number): Promise<Answer> {
  const { store } = tokens.parts;
  const token = input.ClientRequestToken;
  if (typeof token !== "string") return writeAll(tokens.parts, input, []);
  const key = tokenPrefix + token;
  const release = await held(store.tableDb.lock, key);
  try {
    const digest = createHash("sha256").update(JSON.stringify(input.TransactItems)).digest("hex");
    const known = tokens.bornMs.has(key)
      ? ((await store.db.get(key)) as { digest: string; at: number } | undefined)
      : undefined;
    if (known !== undefined && nowMs - known.at < tokenLifeMs) return repeated(known.digest === digest);
    const answer = await writeAll(tokens.parts, input, [
      { type: "put", key, value: { digest, at: nowMs } },
      ...forgotten(tokens, nowMs),
    ]);
    if (answer.status === 200) tokens.bornMs.set(key, nowMs);
    return answer;
  } finally {
    release();
  }
}

const repeated = (same: boolean): Answer =>
  same
    ? { status: 200, body: {} }
    : refusal(`${exceptions}IdempotentParameterMismatchException`, "The token was used with other parameters.");

// Oldest first, for a Map keeps the order of insertion; a few per transaction keep the number bounded by ten minutes of work.
function forgotten(tokens: Tokens, nowMs: number): Write[] {
  const gone: Write[] = [];
  for (const [key, at] of tokens.bornMs) {
    if (nowMs - at < tokenLifeMs || gone.length === itemsPerTransaction) break;
    gone.push({ type: "del", key });
    tokens.bornMs.delete(key);
  }
  return gone;
}

async function writeAll(parts: DynamoParts, input: Fields, also: readonly Write[]): Promise<Answer> {
  const steps = await stepsOf(parts, input.TransactItems, ["Put", "Update", "Delete", "ConditionCheck"]);
  if (!Array.isArray(steps)) return steps;
  return holding(parts, steps, async () => {
    const outcomes = await Promise.all(steps.map((step) => outcomeOf(parts, step)));
    if (outcomes.some(({ answer }) => answer.status !== 200)) return cancelled(steps, outcomes);
    await parts.store.db.batch([...outcomes.flatMap(({ writes }) => writes), ...also]);
    return { status: 200, body: {} };
  });
}

/**
 * TransactGetItems: all items as they were at one moment.
 *
 * @see https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactGetItems.html
 */
export async function transactGet(parts: DynamoParts, input: Fields): Promise<Answer> {
  const steps = await stepsOf(parts, input.TransactItems, ["Get"]);
  if (!Array.isArray(steps)) return steps;
  return holding(parts, steps, async () => {
    const outcomes = await Promise.all(steps.map((step) => outcomeOf(parts, step)));
    if (outcomes.some(({ answer }) => answer.status !== 200)) return cancelled(steps, outcomes);
    const responses = outcomes.map(({ answer }) => (answer.body?.Item === undefined ? {} : { Item: answer.body.Item }));
    return { status: 200, body: { Responses: responses } };
  });
}

async function outcomeOf({ emulator, store }: DynamoParts, step: Step): Promise<Outcome> {
  const shadow = shadowOf(store);
  const answer = await emulator.perform(operationOf[step.kind], step.input, shadow.store);
  return { answer, writes: step.kind === "ConditionCheck" ? [] : shadow.writes, found: shadow.found() };
}

async function stepsOf(parts: DynamoParts, items: unknown, kinds: readonly Kind[]): Promise<Step[] | Answer> {
  if (!Array.isArray(items) || items.length === 0 || items.length > itemsPerTransaction) {
    return invalid(`Member must have length less than or equal to ${itemsPerTransaction} and at least 1`);
  }
  const steps: Step[] = [];
  for (const item of items) {
    const step = await stepOf(parts, item as Fields, kinds);
    if ("status" in step) return step;
    steps.push(step);
  }
  if (new Set(steps.map(nameOf)).size < steps.length) {
    return invalid("Transaction request cannot include multiple operations on one item");
  }
  const written = steps.flatMap(({ input }) => (input.Item === undefined ? [] : [input.Item as Item]));
  const bytes = written.reduce((sum, item) => sum + parts.emulator.database.itemSize(item), 0);
  return bytes > bytesPerTransaction ? invalid("The transaction is larger than 4 MB") : steps;
}

async function stepOf({ emulator, store }: DynamoParts, item: Fields, kinds: readonly Kind[]): Promise<Step | Answer> {
  const [kind, ...others] = kinds.filter((known) => item[known] !== undefined);
  if (kind === undefined || others.length > 0) {
    return invalid(`TransactItems can only contain one of ${kinds.join(", ")} in each element`);
  }
  const given = item[kind] as Fields;
  const wantsItem = given.ReturnValuesOnConditionCheckFailure === "ALL_OLD";
  if (kind === "ConditionCheck" && given.ConditionExpression === undefined) {
    return invalid("The ConditionExpression of a ConditionCheck must not be null");
  }
  const input = emulator.check(operationOf[kind], { ...given }, store);
  const table = await tableNamed(store, String(input.TableName));
  if (table === undefined) return refusal(`${exceptions}ResourceNotFoundException`, "Requested resource not found");
  const { database } = emulator;
  const keyed = (input.Item ?? input.Key) as Item;
  const wrong = kind === "Put" ? database.validateItem(keyed, table) : database.validateKey(keyed, table);
  if (wrong) return refusalIn(wrong) ?? invalid(wrong.message);
  return { kind, table, input, key: database.createKey(keyed, table), wantsItem };
}

const invalid = (message: string): Answer => refusal("com.amazon.coral.validate#ValidationException", message);
const nameOf = (step: Step): string => `${step.table.TableName}/${step.key}`;

// In sorted order, so that no two transactions wait for each other.
async function holding(parts: DynamoParts, steps: readonly Step[], work: () => Promise<Answer>): Promise<Answer> {
  const releases: (() => void)[] = [];
  try {
    for (const step of steps.toSorted((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1))) {
      releases.push(await held(parts.store.getItemDb(step.table.TableName).lock, step.key));
    }
    return await work();
  } finally {
    for (const release of releases) release();
  }
}

function held(lock: Lock, key: string): Promise<() => void> {
  return new Promise((resolve) => {
    lock(key, (release) => resolve(release(() => undefined)));
  });
}

function cancelled(steps: readonly Step[], outcomes: readonly Outcome[]): Answer {
  const reasons = outcomes.map(({ answer, found }, index) => {
    if (answer.status === 200) return { Code: "None" };
    const item = steps[index]?.wantsItem && found !== undefined ? { Item: found } : {};
    return { Code: codeOf(answer), Message: answer.body?.message ?? answer.body?.Message, ...item };
  });
  const codes = reasons.map(({ Code }) => Code).join(", ");
  const message = `Transaction cancelled, please refer cancellation reasons for specific reasons [${codes}]`;
  return refusal(`${exceptions}TransactionCanceledException`, message, {
    Message: message,
    CancellationReasons: reasons,
  });
}

// "…#ConditionalCheckFailedException" is "ConditionalCheckFailed" among the reasons, "…#ValidationException" is "ValidationError".
function codeOf(answer: Answer): string {
  const name = String(answer.body?.__type).split("#").at(-1) ?? "";
  return name === "ValidationException" ? "ValidationError" : name.replace(/Exception$/, "");
}
