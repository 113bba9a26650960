// What the pages for operations say, against what is deployed.
import { readFileSync } from "node:fs";
import { type Stack, Validations } from "aws-cdk-lib";
import type { Template } from "aws-cdk-lib/assertions";
import { beforeAll, describe, expect, it } from "vitest";
import { sinkGrants } from "../../cdk/sink-grants.js";
import { codeIn, tablesOf } from "../docs/markdown.js";
import { addExample, newStack, repository, templateOf } from "./synthesis.js";

const page = (path: string) => ({ path, text: readFileSync(`${repository}${path}`, "utf8") });
const tableOf = (path: string, ...head: readonly string[]) => {
  const found = tablesOf(page(path)).filter((table) => head.every((name, index) => table.head[index] === name));
  if (found.length !== 1) throw new Error(`${found.length} tables ${head.join(" | ")} in ${path}`);
  return found[0]?.rows ?? [];
};
const codes = (cell = ""): readonly string[] => [...cell.matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? "");

let template: Template;
let stack: Stack;
beforeAll(() => {
  stack = newStack();
  addExample(stack);
  template = templateOf(stack);
}, 120_000);

/** From its description, which leads there. */
const alarmsOf = (of: Template): readonly string[] =>
  Object.values(of.findResources("AWS::CloudWatch::Alarm")).map(
    ({ Properties }) => /docs\/OPERATIONS\.md: (\w+)$/.exec(String(Properties.AlarmDescription))?.[1] ?? "unnamed",
  );

describe("docs/OPERATIONS.md", () => {
  const { text } = page("docs/OPERATIONS.md");
  const sections = text.split(/^## /m).slice(1);
  const sectionOf = (alarm: string) => sections.find((section) => section.startsWith(`${alarm}\n`)) ?? "";

  it("has a section for every alarm that is deployed, which says what it means and what to do", () => {
    const alarms = alarmsOf(template);
    expect(alarms).toHaveLength(6);
    for (const alarm of alarms) {
      expect(sectionOf(alarm), alarm).toContain("**It means:**");
      expect(sectionOf(alarm), alarm).toContain("**Do:**");
    }
  });

  it("has no section for an alarm that is not", () => {
    const described = sections
      .filter((section) => section.includes("**It means:**"))
      .map((section) => section.split("\n")[0]);
    expect(described.sort()).toEqual([...alarmsOf(template)].sort());
  });

  it("names every metric that alarms and dashboard look at", () => {
    const named = new Set(tableOf("docs/OPERATIONS.md", "metric", "unit").map((row) => codeIn(row[0]) ?? ""));
    const [dashboard = {}] = Object.values(template.findResources("AWS::CloudWatch::Dashboard"));
    const body = JSON.stringify(dashboard);
    const watched = Object.values(template.findResources("AWS::CloudWatch::Alarm"))
      .filter(({ Properties }) => Properties.Namespace === "tidemark")
      .map(({ Properties }) => String(Properties.MetricName));
    for (const metric of watched) expect(named).toContain(metric);
    for (const metric of named) expect(body).toContain(metric);
  });

  it("names alarms that there are in the table of failure modes", () => {
    const alarms = new Set(alarmsOf(template));
    const names = tableOf("docs/OPERATIONS.md", "what happens", "alarm").flatMap(
      (row) => row[1]?.match(/\b[A-Z]\w+/g) ?? [],
    );
    expect(names.length).toBeGreaterThan(5);
    for (const name of names) expect(alarms).toContain(name);
  });
});

describe("docs/security.md", () => {
  it("says the actions of every kind of sink", () => {
    const rows = tableOf("docs/security.md", "kind of sink", "on", "actions").map((row) => [
      codeIn(row[0]),
      codes(row[2]),
    ]);
    const granted = Object.entries(sinkGrants).flatMap(([kind, { actions, objectActions }]) => [
      [kind, actions],
      ...Object.values(objectActions ?? {}).map((some) => [kind, some]),
    ]);
    expect(rows).toEqual(granted);
  });

  it("says why each rule of cdk-nag is acknowledged", () => {
    const said = new Set(tableOf("docs/security.md", "rule", "why").map((row) => codeIn(row[0]) ?? ""));
    const key = Validations.ACKNOWLEDGED_RULES_METADATA_KEY;
    const acknowledged = stack.node
      .findAll()
      .flatMap(({ node }) =>
        node.metadata.filter(({ type }) => type === key).flatMap(({ data }) => Object.keys(data as object)),
      );
    const rules = new Set(acknowledged.map((id) => /AwsSolutions-\w+/.exec(id)?.[0] ?? id));
    expect([...said].sort()).toEqual([...rules].sort());
  });
});

describe("docs/deploy.md", () => {
  it("names every option of the construct", () => {
    const membersIn = (path: string, name: string) => {
      const [, body = ""] = new RegExp(`interface ${name} [^{]*\\{(.*?)^\\}`, "ms").exec(page(path).text) ?? [];
      return [...body.matchAll(/^ {2}readonly (\w+)\??:/gm)].map((match) => match[1] ?? "");
    };
    const members = [
      ...membersIn("cdk/bindings.ts", "TidemarkBindings"),
      ...membersIn("cdk/pipeline.ts", "TidemarkPipelineProps"),
    ];
    expect(members.length).toBeGreaterThan(15);
    const said = tableOf("docs/deploy.md", "option", "default", "what").flatMap((row) => codes(row[0]));
    expect([...said].sort()).toEqual([...members].sort());
  });
});
