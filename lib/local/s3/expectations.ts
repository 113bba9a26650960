import { type ChecksumAlgorithm, checksumAlgorithm, checksumAlgorithms, checksumHeader } from "./checksums.js";
import type { FinishedDigests } from "./digests.js";
import type { S3Request } from "./request.js";
import { S3Error } from "./s3-error.js";

/** The largest object of one PUT, and the largest part. */
const putBytesMax = 5 * 1024 ** 3;

/** Refuses a body whose length is too large or not told at all, before any of it is read. */
export function checkLength(headers: S3Request["headers"]): void {
  const length = headers["x-amz-decoded-content-length"] ?? headers["content-length"];
  if (length === undefined && headers["transfer-encoding"] !== undefined) {
    throw new S3Error("NotImplemented", "A header you provided implies functionality that is not implemented", {
      Header: "Transfer-Encoding",
    });
  }
  if (Number(length) > putBytesMax) {
    throw new S3Error("EntityTooLarge", "Your proposed upload exceeds the maximum allowed size", {
      ProposedSize: String(length),
      MaxSizeAllowed: String(putBytesMax),
    });
  }
}

/** The algorithm of the checksum that comes with the body, in a header or a trailer, or that the request asks for. */
export function requestedAlgorithm(headers: S3Request["headers"]): ChecksumAlgorithm | null {
  const given = checksumAlgorithms.filter((algorithm) => headers[checksumHeader(algorithm)] !== undefined);
  if (given.length > 1) {
    throw new S3Error(
      "InvalidRequest",
      "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.",
    );
  }
  const trailer = headers["x-amz-trailer"]?.trim().toLowerCase();
  return (
    given[0] ??
    checksumAlgorithms.find((algorithm) => trailer === checksumHeader(algorithm)) ??
    checksumAlgorithm(headers["x-amz-sdk-checksum-algorithm"] ?? headers["x-amz-checksum-algorithm"])
  );
}

/** Whether the body is signed by its SHA-256 in hex. */
export function isBodySigned(headers: S3Request["headers"]): boolean {
  return /^[0-9a-fA-F]{64}$/.test(headers["x-amz-content-sha256"] ?? "");
}

/** Holds a body against all that the request says of it, in headers and trailers. */
export function verifyBody(
  headers: S3Request["headers"],
  trailers: ReadonlyMap<string, string>,
  algorithm: ChecksumAlgorithm | null,
  found: FinishedDigests,
): void {
  const decoded = headers["x-amz-decoded-content-length"];
  if (decoded !== undefined && Number(decoded) !== found.size) {
    throw new S3Error(
      "IncompleteBody",
      "You did not provide the number of bytes specified by the Content-Length header",
    );
  }
  verifyMd5(headers["content-md5"], found.md5);
  if (found.sha256 && found.sha256.toString("hex") !== headers["x-amz-content-sha256"]?.toLowerCase()) {
    throw new S3Error(
      "XAmzContentSHA256Mismatch",
      "The provided 'x-amz-content-sha256' header does not match what was computed.",
    );
  }
  if (algorithm && found.checksum) verifyChecksum(headers, trailers, algorithm, found.checksum);
}

function verifyMd5(given: string | undefined, found: Buffer): void {
  if (given === undefined) return;
  const expected = Buffer.from(given, "base64");
  if (expected.length !== found.length) {
    throw new S3Error("InvalidDigest", "The Content-MD5 you specified was invalid.", { "Content-MD5": given });
  }
  if (!expected.equals(found)) {
    throw new S3Error("BadDigest", "The Content-MD5 you specified did not match what we received.", {
      ExpectedDigest: given,
      CalculatedDigest: found.toString("base64"),
    });
  }
}

function verifyChecksum(
  headers: S3Request["headers"],
  trailers: ReadonlyMap<string, string>,
  algorithm: ChecksumAlgorithm,
  found: Buffer,
): void {
  const name = checksumHeader(algorithm);
  const given = headers[name] ?? trailers.get(name);
  if (given === undefined) return;
  if (Buffer.from(given, "base64").length !== found.length) {
    throw new S3Error("InvalidRequest", `Value for ${name} header is invalid.`);
  }
  if (given !== found.toString("base64")) {
    throw new S3Error(
      "BadDigest",
      `The ${algorithm.toUpperCase()} you specified did not match the calculated checksum.`,
    );
  }
}
