// The embedded metric format of CloudWatch, as its specification has it:
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
import { z } from "zod";

const units = [
  ...["Seconds", "Microseconds", "Milliseconds", "Percent", "Count", "None"],
  ...["Bytes", "Kilobytes", "Megabytes", "Gigabytes", "Terabytes"],
  ...["Bits", "Kilobits", "Megabits", "Gigabits", "Terabits"],
];
const unit = z.string().refine((name) => units.includes(name) || units.includes(name.replace(/\/Second$/, "")), {
  message: "no unit of CloudWatch",
});

const definition = z.strictObject({
  Name: z.string().min(1).max(1024),
  Unit: unit.optional(),
  StorageResolution: z.literal([1, 60]).optional(),
});
const directive = z.strictObject({
  Namespace: z
    .string()
    .min(1)
    .max(1024)
    .regex(/^[\w.\-/#]+$/),
  Dimensions: z.array(z.array(z.string().min(1).max(250)).max(30)).min(1),
  Metrics: z.array(definition).min(1).max(100),
});
const metadata = z.strictObject({
  Timestamp: z.int().min(Date.UTC(2000)).max(Date.UTC(2100)),
  CloudWatchMetrics: z.array(directive).min(1),
});

/** A value outside is rejected by PutMetricData. */
const valueMax = 2 ** 360;
const value = z.number().min(-valueMax).max(valueMax);
const values = z.union([value, z.array(value).max(100)]);
const dimensionValue = z.string().min(1).max(1024).trim().min(1);

const documentBytesMax = 256 * 1024;

/** What is wrong with a line of the log as a document with metrics; nothing of one that has none. */
export function metricProblems(text: string): readonly string[] {
  const line = JSON.parse(text) as Readonly<Record<string, unknown>>;
  if (!("_aws" in line)) return [];
  const found = metadata.safeParse(line._aws);
  if (!found.success) return found.error.issues.map(({ path, message }) => `_aws.${path.join(".")}: ${message}`);
  const all = found.data.CloudWatchMetrics;
  const size = Buffer.byteLength(text);
  return [
    ...(size > documentBytesMax ? [`${size} bytes`] : []),
    ...all.flatMap(({ Metrics }) => Metrics.flatMap(({ Name }) => targetProblems(line, Name, values))),
    ...all.flatMap(({ Dimensions }) => Dimensions.flat().flatMap((name) => targetProblems(line, name, dimensionValue))),
    ...all.flatMap(({ Metrics }) => repeated(Metrics.map(({ Name }) => Name)).map((name) => `${name}: named twice`)),
  ];
}

/** What is named must be a member of the root. */
function targetProblems(line: Readonly<Record<string, unknown>>, name: string, of: z.ZodType): readonly string[] {
  if (!Object.hasOwn(line, name)) return [`${name}: no member of the document`];
  return of.safeParse(line[name]).success ? [] : [`${name}: ${JSON.stringify(line[name])} is no value of it`];
}

const repeated = (names: readonly string[]): readonly string[] =>
  names.filter((name, index) => names.indexOf(name) !== index);
