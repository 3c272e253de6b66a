/**
 * 'read' and 'write' (which also reads) need the file to exist, 'create' needs it not to. 'writeThrough' is as 'write', and
 * what is written is durable when the write returns: half the cost of a write and a sync.
 */
export type OpenMode = 'read' | 'write' | 'create' | 'writeThrough';

/**
 * The file system as the broker sees it: one folder, paths relative to it with '/' between names. Handed in, so that a
 * simulation can lose, tear and fail what it wants. Every method rejects with a Fault: diskFull, readOnlyDisk or diskError.
 */
export interface Disk {
  /** Opens a file as the mode says. */
  open(path: string, mode: OpenMode): Promise<DiskFile>;
  /** The names in a folder, sorted; none when the folder does not exist. */
  list(path: string): Promise<string[]>;
  /** A file's size in bytes; null when it does not exist. */
  size(path: string): Promise<number | null>;
  /** Makes a folder and those above it, so that all of them survive a power cut; also those that exist, of a call that failed. */
  makeFolder(path: string): Promise<void>;
  /** Replaces `to` if it exists. Survives a power cut only after `syncFolder` of the folders concerned. */
  rename(from: string, to: string): Promise<void>;
  /** Removes a file; nothing happens when it does not exist. */
  remove(path: string): Promise<void>;
  /** Removes a folder with all in it; nothing happens when it does not exist. */
  removeFolder(path: string): Promise<void>;
  /** Makes the creation, renaming and removal of a folder's entries durable. */
  syncFolder(path: string): Promise<void>;
  /** Takes a lock that the operating system gives back when the process ends; null when another broker holds it. */
  lock(path: string): Promise<DiskLock | null>;
  /** Bytes that may still be written, and all bytes of the disk. */
  space(): Promise<{ freeBytes: number; totalBytes: number }>;
}

export interface DiskFile {
  /** Fills `buffer` from `position` on; returns the bytes read, fewer only at the file's end. */
  read(buffer: Buffer, position: number): Promise<number>;
  /** Writes every byte, whatever pieces the operating system takes them in. After a failure any part may be written. */
  write(buffers: readonly Buffer[], position: number): Promise<void>;
  /** Makes the file's bytes and size durable. After a failure nothing may be assumed of what was written before. */
  sync(): Promise<void>;
  truncate(sizeBytes: number): Promise<void>;
  size(): Promise<number>;
  close(): Promise<void>;
}

export interface DiskLock {
  /** Callable twice. */
  release(): Promise<void>;
}
