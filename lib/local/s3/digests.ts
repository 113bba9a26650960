import { type ChecksumAlgorithm, type RunningChecksum, startChecksum } from "./checksums.js";

export interface DigestsWanted {
  /** The checksum of S3 to compute, or null. */
  readonly checksum: ChecksumAlgorithm | null;
  /** Whether the SHA-256 that signs a body is to be held against it. */
  readonly signed: boolean;
}

export interface FinishedDigests {
  readonly size: number;
  readonly md5: Buffer;
  readonly sha256: Buffer | null;
  readonly checksum: Buffer | null;
}

/** The digests of a body that passes through. */
export class Digests {
  readonly #md5 = startChecksum("md5");
  readonly #sha256: RunningChecksum | null;
  readonly #checksum: RunningChecksum | null;
  #size = 0;

  constructor(wanted: DigestsWanted) {
    this.#sha256 = wanted.signed ? startChecksum("sha256") : null;
    this.#checksum = wanted.checksum ? startChecksum(wanted.checksum) : null;
  }

  async *through(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const chunk of source) {
      this.#size += chunk.length;
      this.#md5.update(chunk);
      this.#sha256?.update(chunk);
      this.#checksum?.update(chunk);
      yield chunk;
    }
  }

  /** Once, when the body is through. */
  finish(): FinishedDigests {
    return {
      size: this.#size,
      md5: this.#md5.finish(),
      sha256: this.#sha256?.finish() ?? null,
      checksum: this.#checksum?.finish() ?? null,
    };
  }
}
