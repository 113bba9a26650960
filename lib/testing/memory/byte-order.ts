/** Compares strings by their UTF-8, as DynamoDB and S3 do: not the order of JavaScript's `<`, which goes by UTF-16. */
export const byteOrder = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));
