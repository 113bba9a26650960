import type { Tags } from "./object.js";
import { S3Error } from "./s3-error.js";
import { childOf, childrenOf, element, leaf, malformed, parseXml, textOf, xmlDocument } from "./xml.js";

const tagsMax = 10;
const nameCharactersMax = 128;
const valueCharactersMax = 256;

function checkTags(tags: Tags): Tags {
  if (tags.length > tagsMax) throw new S3Error("InvalidTag", "Object tags cannot be greater than 10");
  const names = new Set(tags.map(([name]) => name));
  if (names.size < tags.length) {
    throw new S3Error("InvalidTag", "Cannot provide multiple Tags with the same key");
  }
  for (const [name, value] of tags) {
    if (name === "" || name.length > nameCharactersMax)
      throw new S3Error("InvalidTag", "The TagKey you have provided is invalid");
    if (value.length > valueCharactersMax) throw new S3Error("InvalidTag", "The TagValue you have provided is invalid");
  }
  return tags;
}

/** The tags of an `x-amz-tagging` header: `name=value&…`, percent-encoded. */
export function tagsOfHeader(header: string | undefined): Tags {
  return checkTags([...new URLSearchParams(header ?? "")]);
}

export function tagsOfXml(document: string): Tags {
  const set = childOf(parseXml(document, "Tagging"), "TagSet");
  if (!set) throw malformed();
  return checkTags(childrenOf(set, "Tag").map((tag) => [textOf(tag, "Key"), textOf(tag, "Value")] as const));
}

export function tagsXml(tags: Tags): string {
  const set = tags.map(([name, value]) => element("Tag", leaf("Key", name), leaf("Value", value)));
  return xmlDocument("Tagging", element("TagSet", ...set));
}
