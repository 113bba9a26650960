import { S3Error } from "./s3-error.js";

const escapes: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };

/** Text for XML. Control characters become references: a parser would refuse them, or read a carriage return as a newline. */
export function escapeXml(text: string): string {
  return text.replace(/[&<>"\p{Cc}]/gu, (char) => escapes[char] ?? `&#x${char.charCodeAt(0).toString(16)};`);
}

/** `<name>text</name>`, the text escaped. */
export function leaf(name: string, text: string | number | boolean): string {
  return `<${name}>${escapeXml(String(text))}</${name}>`;
}

/** `<name>…</name>` around elements that are made already. */
export function element(name: string, ...children: readonly string[]): string {
  return `<${name}>${children.join("")}</${name}>`;
}

/** A whole document in the namespace of S3. */
export function xmlDocument(name: string, ...children: readonly string[]): string {
  return `<?xml version="1.0" encoding="UTF-8"?>\n<${name} xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${children.join("")}</${name}>`;
}

/** An element of a request. Names are without their namespace prefix. */
export interface XmlElement {
  readonly name: string;
  readonly children: readonly XmlElement[];
  /** The text of its own, as it stands: spaces at the ends of a key are part of the key. */
  readonly text: string;
}

/** The child of this name, or null. Throws MalformedXML where there are several. */
export function childOf(parent: XmlElement, name: string): XmlElement | null {
  const found = parent.children.filter((child) => child.name === name);
  if (found.length > 1) throw malformed();
  return found[0] ?? null;
}

/** The text of a child that must be there. */
export function textOf(parent: XmlElement, name: string): string {
  const child = childOf(parent, name);
  if (!child) throw malformed();
  return child.text;
}

export function childrenOf(parent: XmlElement, name: string): readonly XmlElement[] {
  return parent.children.filter((child) => child.name === name);
}

export function malformed(): S3Error {
  return new S3Error(
    "MalformedXML",
    "The XML you provided was not well-formed or did not validate against our published schema",
  );
}

// One token: a comment or processing instruction (ignored), a CDATA section, a tag, or text. A document type matches none of them.
const token =
  /<!--[\s\S]*?-->|<\?[\s\S]*?\?>|<!\[CDATA\[([\s\S]*?)\]\]>|<(\/?)([A-Za-z_][\w.:-]*)((?:\s+[\w.:-]+\s*=\s*(?:"[^"<]*"|'[^'<]*'))*)\s*(\/?)>|([^<]+)/y;

interface OpenElement {
  readonly name: string;
  readonly children: XmlElement[];
  text: string;
}

/** Parses a request body whose root has the given name. Throws MalformedXML. */
export function parseXml(text: string, root: string): XmlElement {
  const source = text.replace(/^\ufeff/, "").replace(/\r\n?/g, "\n");
  const document: OpenElement = { name: "", children: [], text: "" };
  const stack: OpenElement[] = [document];
  token.lastIndex = 0;
  while (token.lastIndex < source.length) {
    const match = token.exec(source);
    if (!match) throw malformed();
    takeToken(stack, match);
  }
  const [only] = document.children;
  if (stack.length !== 1 || !only || document.children.length > 1 || only.name !== root) throw malformed();
  if (document.text.trim() !== "") throw malformed();
  return only;
}

function takeToken(stack: OpenElement[], match: RegExpExecArray): void {
  const [, cdata, closing, name, , selfClosing, text] = match;
  const top = stack[stack.length - 1];
  if (!top) throw malformed();
  if (text !== undefined) top.text += decodeEntities(text);
  else if (cdata !== undefined) top.text += cdata;
  else if (name !== undefined)
    takeTag(stack, top, { name: localName(name), isClosing: closing === "/", isEmpty: selfClosing === "/" });
}

function takeTag(
  stack: OpenElement[],
  top: OpenElement,
  tag: { readonly name: string; readonly isClosing: boolean; readonly isEmpty: boolean },
): void {
  if (tag.isClosing) {
    if (tag.isEmpty || stack.length < 2 || top.name !== tag.name) throw malformed();
    stack.pop();
    return;
  }
  const opened: OpenElement = { name: tag.name, children: [], text: "" };
  top.children.push(opened);
  if (!tag.isEmpty) stack.push(opened);
}

function localName(name: string): string {
  return name.slice(name.lastIndexOf(":") + 1);
}

const entities: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

function decodeEntities(text: string): string {
  if (!text.includes("&")) return text;
  return text.replace(/&([^;&]*)(;?)/g, (_, name: string, end: string) => {
    const known = end === ";" ? (entities[name] ?? characterOf(name)) : null;
    if (known === null) throw malformed();
    return known;
  });
}

function characterOf(reference: string): string | null {
  const match = /^#(?:x([0-9a-fA-F]{1,6})|([0-9]{1,7}))$/.exec(reference);
  if (!match) return null;
  const code = match[1] === undefined ? Number(match[2]) : Number.parseInt(match[1], 16);
  return code <= 0x10ffff && (code < 0xd800 || code > 0xdfff) ? String.fromCodePoint(code) : null;
}
