import { type Answer, emptyAnswer, xmlAnswer } from "./answer.js";
import { readDocument } from "./body.js";
import type { S3Request } from "./request.js";
import { S3Error } from "./s3-error.js";
import type { Store } from "./store.js";
import {
  childOf,
  childrenOf,
  element,
  leaf,
  malformed,
  parseXml,
  textOf,
  type XmlElement,
  xmlDocument,
} from "./xml.js";

// https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketLifecycleConfiguration.html
const rulesMax = 1_000;
const idCharactersMax = 255;
const actions = [
  "Expiration",
  "Transition",
  "NoncurrentVersionExpiration",
  "NoncurrentVersionTransition",
  "AbortIncompleteMultipartUpload",
];

/** Rules are kept and told, and nothing is done by them: no object expires here. */
export async function putBucketLifecycle(store: Store, request: S3Request): Promise<Answer> {
  const root = parseXml(await readDocument(request), "LifecycleConfiguration");
  const rules = childrenOf(root, "Rule");
  if (rules.length === 0 || rules.length > rulesMax) throw malformed();
  const named = rules.map(withId);
  if (new Set(named.map((rule) => textOf(rule, "ID"))).size < named.length)
    throw new S3Error("InvalidArgument", "Rule ID must be unique. Found same ID for more than one rule");
  for (const rule of named) checkRule(rule);
  store.bucket(request.bucket).commit({ kind: "lifecycle", rules: named.map(rendered).join("") });
  return emptyAnswer(200);
}

export function getBucketLifecycle(store: Store, request: S3Request): Answer {
  const { lifecycle } = store.bucket(request.bucket);
  if (lifecycle === null)
    throw new S3Error("NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist", {
      BucketName: request.bucket,
    });
  return xmlAnswer(xmlDocument("LifecycleConfiguration", lifecycle));
}

export function deleteBucketLifecycle(store: Store, request: S3Request): Answer {
  store.bucket(request.bucket).commit({ kind: "lifecycle", rules: null });
  return emptyAnswer(204);
}

/** The service makes up an ID where there is none. */
function withId(rule: XmlElement, index: number): XmlElement {
  if ((childOf(rule, "ID")?.text ?? "") !== "") return rule;
  const others = rule.children.filter(({ name }) => name !== "ID");
  return { ...rule, children: [{ name: "ID", children: [], text: `rule-${index + 1}` }, ...others] };
}

function checkRule(rule: XmlElement): void {
  if (!["Enabled", "Disabled"].includes(textOf(rule, "Status"))) throw malformed();
  if ((childOf(rule, "Filter") === null) === (childOf(rule, "Prefix") === null)) throw malformed();
  if (textOf(rule, "ID").length > idCharactersMax)
    throw new S3Error("InvalidArgument", "ID length should not exceed allowed limit of 255");
  if (!rule.children.some(({ name }) => actions.includes(name)))
    throw new S3Error("InvalidRequest", "At least one action needs to be specified in a rule");
}

const rendered = ({ name, children, text }: XmlElement): string =>
  children.length === 0 ? leaf(name, text) : element(name, ...children.map(rendered));
