/**
 * Child processes as a sandbox sees them. A provider starts them.
 * @module
 */

/** What a child is started with. */
export interface ChildSpec {
  /** Arguments after the program, which is the runtime that runs us. */
  readonly args: readonly string[];
  /** Bytes of data after which the system refuses more; null for no such wall. */
  readonly dataBytesMax: number | null;
  /** Whether to put the operating system's jail around it: no files, no network, no processes. */
  readonly jail: boolean;
  /** Files and folders which it finds in the jail where they are outside, and cannot write. */
  readonly reads?: readonly string[];
}

/** A child: two pipes, and its end. */
export interface Child {
  readonly pid: number;
  /** What it writes. Read slowly, it is written slowly. */
  readonly output: ReadableStream<Uint8Array>;
  /** Writes all of `bytes`, and needs them no longer then; rejects with `EIO` when it is gone. */
  write(bytes: Uint8Array): Promise<void>;
  /** Ends it and all that it started, at once. Never throws. */
  kill(): void;
  /** Resolves when it is over, with the end of its error stream, made harmless. */
  readonly ended: Promise<{ readonly code: number; readonly errors: string }>;
  /** What it uses now, all threads together; null where the system does not tell. */
  usage(): { readonly cpuMs: number; readonly residentBytes: number } | null;
}

/** Starts children. */
export interface Children {
  /** Starts one with an empty environment, in a process group of its own, in an empty folder. */
  start(spec: ChildSpec): Child;
  /** Whether the system has a jail to put around a child; a sentence says what is missing. */
  jail(): Promise<{ readonly works: boolean; readonly why: string }>;
}
