import fs from 'node:fs';
import path from 'node:path';
import { Fault } from '../base/faults.ts';
import type { Disk, DiskFile, OpenMode } from './disk.ts';
import { lockFile } from './file-lock.ts';

/** More buffers in one call are refused by the operating system (IOV_MAX on Linux and macOS). */
const WRITE_BUFFERS_MAX = 1024;

const { O_RDWR, O_DSYNC } = fs.constants;

/** Elsewhere the flag is missing, or, as on macOS, does not reach through the drive's own cache. */
const WRITES_THROUGH = process.platform === 'linux';

const OPEN_FLAGS: Record<OpenMode, string | number> = {
  read: 'r',
  write: 'r+',
  create: 'wx+',
  writeThrough: WRITES_THROUGH ? O_RDWR | O_DSYNC : 'r+',
};

function syncingEachWrite(file: DiskFile): DiskFile {
  return {
    read: (buffer, position) => file.read(buffer, position),
    write: async (buffers, position) => {
      await file.write(buffers, position);
      await file.sync();
    },
    sync: () => file.sync(),
    truncate: (sizeBytes) => file.truncate(sizeBytes),
    size: () => file.size(),
    close: () => file.close(),
  };
}

/** A folder of the machine's file system. The folder itself is made when something is first made in it. */
export function realDisk(folder: string): Disk {
  // Absolute, so that a later change of the working folder moves nothing.
  const root = path.resolve(folder);
  const at = (relative: string): string => path.join(root, relative);

  async function syncFolder(relative: string): Promise<void> {
    // Windows cannot sync a folder; there the promise of durability is not given (design: development only).
    if (process.platform === 'win32') return;
    const handle = await attempt(fs.promises.open(at(relative), 'r'), at(relative));
    try {
      await attempt(handle.sync(), at(relative));
    } finally {
      await handle.close();
    }
  }

  return {
    async open(relative, mode) {
      const opened = at(relative);
      const file = new RealFile(await call(opened, (done) => fs.open(opened, OPEN_FLAGS[mode], 0o640, done)), opened);
      return mode === 'writeThrough' && !WRITES_THROUGH ? syncingEachWrite(file) : file;
    },
    async list(relative) {
      const names = await unlessMissing(fs.promises.readdir(at(relative)), at(relative));
      return (names ?? []).sort();
    },
    async size(relative) {
      return (await unlessMissing(fs.promises.stat(at(relative)), at(relative)))?.size ?? null;
    },
    async makeFolder(relative) {
      const made = at(relative);
      const first = await makeFolders(made);
      // Each entry lies in the folder above it. One that was there may be from a process that was killed before it synced it.
      const known = made === root ? path.dirname(root) : root;
      const top = first === undefined || known.length < first.length ? known : path.dirname(first);
      for (let folder = path.dirname(made); ; folder = path.dirname(folder)) {
        // The folder above the root may be one that may not be opened; an administrator made the root then.
        if (folder.length >= root.length || first !== undefined) await syncFolder(path.relative(root, folder));
        else await syncFolder(path.relative(root, folder)).catch(() => {});
        if (folder.length <= top.length) return;
      }
    },
    async rename(from, to) {
      await attempt(fs.promises.rename(at(from), at(to)), at(from));
    },
    async remove(relative) {
      await unlessMissing(fs.promises.unlink(at(relative)), at(relative));
    },
    async removeFolder(relative) {
      await attempt(fs.promises.rm(at(relative), { recursive: true, force: true }), at(relative));
    },
    syncFolder,
    lock: (relative) => lockFile(at(relative)),
    async space() {
      const { bavail, blocks, bsize } = await attempt(fs.promises.statfs(root), root);
      return { freeBytes: bavail * bsize, totalBytes: blocks * bsize };
    },
  };
}

/**
 * Makes a folder with all that are missing above it; resolves to the topmost that was made. Not by Node's `recursive`: where
 * nothing can be made and the system says that the folder above is missing, as in /proc, that tries again for ever.
 */
async function makeFolders(folder: string): Promise<string | undefined> {
  if (await isFolder(folder)) return;
  const above = path.dirname(folder);
  const first = above === folder ? undefined : await makeFolders(above);
  try {
    await fs.promises.mkdir(folder, 0o750);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') throw new Fault('readOnlyDisk', { detail: message, cause: error });
    // Another process may have been faster. What still is no folder is a link that leads nowhere.
    if (code !== 'EEXIST') throw diskFault(error as NodeJS.ErrnoException, folder);
    if (!(await isFolder(folder))) throw new Fault('notAFolder', { detail: folder, cause: error });
  }
  return first ?? folder;
}

/** False when nothing is there. @throws Fault notAFolder when something else is */
async function isFolder(place: string): Promise<boolean> {
  try {
    if ((await fs.promises.stat(place)).isDirectory()) return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return false;
    if (code !== 'ENOTDIR') throw diskFault(error as NodeJS.ErrnoException, place);
  }
  throw new Fault('notAFolder', { detail: place });
}

class RealFile implements DiskFile {
  readonly #descriptor: number;
  /** Where it was when it was opened. */
  readonly #path: string;

  constructor(descriptor: number, openedAt: string) {
    this.#descriptor = descriptor;
    this.#path = openedAt;
  }

  async read(buffer: Buffer, position: number): Promise<number> {
    let done = 0;
    while (done < buffer.length) {
      const count = await this.#call<number>(
        (callback) => fs.read(this.#descriptor, buffer, done, buffer.length - done, position + done, callback),
        position + done,
      );
      if (count === 0) break;
      done += count;
    }
    return done;
  }

  async write(buffers: readonly Buffer[], position: number): Promise<void> {
    let rest = buffers;
    let at = position;
    while (rest.length > 0) {
      const piece = rest.slice(0, WRITE_BUFFERS_MAX);
      const count = await this.#call<number>(
        (callback) =>
          piece.length === 1
            ? fs.write(this.#descriptor, piece[0]!, 0, piece[0]!.length, at, callback)
            : fs.writev(this.#descriptor, piece, at, callback),
        at,
      );
      at += count;
      rest = withoutFirst(rest, count);
    }
  }

  sync(): Promise<void> {
    return this.#call((callback) => fs.fdatasync(this.#descriptor, callback));
  }

  truncate(sizeBytes: number): Promise<void> {
    return this.#call((callback) => fs.ftruncate(this.#descriptor, sizeBytes, callback));
  }

  async size(): Promise<number> {
    const stats = await this.#call<fs.Stats>((callback) => fs.fstat(this.#descriptor, callback));
    return stats.size;
  }

  close(): Promise<void> {
    return this.#call((callback) => fs.close(this.#descriptor, callback));
  }

  #call<T = void>(start: Start<T>, position: number | null = null): Promise<T> {
    return call(this.#path, start, position);
  }
}

function withoutFirst(buffers: readonly Buffer[], bytes: number): readonly Buffer[] {
  let left = bytes;
  let whole = 0;
  while (whole < buffers.length && left >= buffers[whole]!.length) left -= buffers[whole++]!.length;
  if (left === 0) return whole === buffers.length ? [] : buffers.slice(whole);
  return [buffers[whole]!.subarray(left), ...buffers.slice(whole + 1)];
}

type Start<T> = (callback: (error: NodeJS.ErrnoException | null, value?: T) => void) => void;

// Node's callbacks instead of FileHandle: half the cost per call, and these are the hot path.
function call<T = void>(place: string, start: Start<T>, position: number | null = null): Promise<T> {
  return new Promise((resolve, reject) => {
    start((error, value) => (error === null ? resolve(value as T) : reject(diskFault(error, place, position))));
  });
}

async function attempt<T>(operation: Promise<T>, place: string): Promise<T> {
  try {
    return await operation;
  } catch (error) {
    throw diskFault(error as NodeJS.ErrnoException, place);
  }
}

async function unlessMissing<T>(operation: Promise<T>, place: string): Promise<T | null> {
  try {
    return await operation;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw diskFault(error as NodeJS.ErrnoException, place);
  }
}

/** `place`: of the file or folder. Of what is open Node names only what was done with it. */
function diskFault(error: NodeJS.ErrnoException, place: string, position: number | null = null): Fault {
  const named = error.path === undefined ? `${error.message} '${place}'` : error.message;
  const facts = { detail: position === null ? named : `${named} at byte ${position}`, cause: error };
  switch (error.code) {
    case 'ENOSPC':
    case 'EDQUOT':
      return new Fault('diskFull', facts);
    case 'EROFS':
    case 'EACCES':
    case 'EPERM':
      return new Fault('readOnlyDisk', facts);
    default:
      return new Fault('diskError', facts);
  }
}
