export interface FileInfo {
  /** In bytes. */
  readonly size: number;
  /** The same as long as it is the same file, whatever it is called: not that of a copy. */
  readonly identity: string;
}

/**
 * Files of a machine, as a reader has them.
 *
 * @throws StreamError `invalid`: the path cannot be a file's, or may not be read; `transient`: anything else
 */
export interface FileReads {
  /** null: there is no such file. */
  stat(path: string): Promise<FileInfo | null>;
  /** null: there is no such file. `range` is [offset, length], cut off at the end. The bytes belong to the caller. */
  read(path: string, range?: readonly [offset: number, length: number]): Promise<Uint8Array | null>;
  /** Names of the files in a folder, in byte order; not those of folders in it. None where there is no such folder. */
  list(folder: string): Promise<readonly string[]>;
}

/**
 * What a writer does to files. What was written is read at once, but is certain to outlive a crash of the machine only after
 * `sync` or `move` has answered.
 *
 * @throws StreamError `invalid`: the path cannot be a file's, or may not be written; `transient`: anything else
 */
export interface FileWrites {
  /** At that offset, so that repeating it is harmless. Makes the file and its folders; a gap before the offset is filled with zeros. */
  write(path: string, offset: number, bytes: Uint8Array): Promise<void>;
  /** The file as it is now, and its name, outlive a crash. */
  sync(path: string): Promise<void>;
  /** At once and durably: no reader sees neither or half of it. Replaces what is called `to`, and makes its folders. Its bytes need a `sync` before. */
  move(from: string, to: string): Promise<"moved" | "absent">;
  /** An absent one is no error. */
  remove(path: string): Promise<void>;
}

export type Files = FileReads & FileWrites;
