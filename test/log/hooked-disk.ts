import type { Disk, DiskFile } from '../../src/disk/disk.ts';

export interface DiskCall {
  readonly name: 'open' | 'read' | 'write' | 'sync' | 'truncate' | 'close' | Exclude<keyof Disk, 'open'>;
  /** Of the file or folder concerned; for a rename the new one. */
  readonly path: string;
  /** Of what is read; 0 for other calls. */
  readonly position: number;
  readonly bytes: number;
  /** For a write: puts the first bytes of it into the file, as a disk that then fails may have. */
  writePart(bytes: number): Promise<void>;
}

/** Sees each call before it is made: returns what `proceed` does, waits before it, or throws instead. */
export type Hook = (call: DiskCall, proceed: () => Promise<unknown>) => Promise<unknown>;

/** A disk on which `hook` decides what becomes of each call. */
export function hookedDisk(disk: Disk, hook: Hook): Disk {
  const anyCall = { position: 0, bytes: 0, writePart: async (): Promise<void> => {} };
  function through<T>(
    name: DiskCall['name'],
    path: string,
    proceed: () => Promise<T>,
    more: Partial<DiskCall> = {},
  ): Promise<T> {
    return hook({ ...anyCall, name, path, ...more }, proceed) as Promise<T>;
  }
  function hooked(path: string, file: DiskFile): DiskFile {
    return {
      read: (buffer, position) =>
        through('read', path, () => file.read(buffer, position), { position, bytes: buffer.length }),
      write: (buffers, position) =>
        through('write', path, () => file.write(buffers, position), {
          writePart: (bytes) => file.write([Buffer.concat(buffers).subarray(0, bytes)], position),
        }),
      sync: () => through('sync', path, () => file.sync()),
      truncate: (sizeBytes) => through('truncate', path, () => file.truncate(sizeBytes)),
      size: () => through('size', path, () => file.size()),
      close: () => through('close', path, () => file.close()),
    };
  }
  return {
    open: (path, mode) => through('open', path, async () => hooked(path, await disk.open(path, mode))),
    list: (path) => through('list', path, () => disk.list(path)),
    size: (path) => through('size', path, () => disk.size(path)),
    makeFolder: (path) => through('makeFolder', path, () => disk.makeFolder(path)),
    rename: (from, to) => through('rename', to, () => disk.rename(from, to)),
    remove: (path) => through('remove', path, () => disk.remove(path)),
    removeFolder: (path) => through('removeFolder', path, () => disk.removeFolder(path)),
    syncFolder: (path) => through('syncFolder', path, () => disk.syncFolder(path)),
    lock: (path) => through('lock', path, () => disk.lock(path)),
    space: () => through('space', '', () => disk.space()),
  };
}

export function isLogFile(path: string): boolean {
  return path.endsWith('.log');
}

/** Holds calls back until they are let go. */
export class Gate {
  #closed: { opened: Promise<void>; open: () => void } | null = null;
  /** Calls that came while the gate was closed. */
  arrived = 0;

  close(): void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#closed = { opened: promise, open: resolve };
    this.arrived = 0;
  }

  open(): void {
    this.#closed?.open();
    this.#closed = null;
  }

  async pass(): Promise<void> {
    if (this.#closed === null) return;
    this.arrived += 1;
    await this.#closed.opened;
  }
}

/** Syncs nothing: for tests in which the power stays on, since most of their time would go there. */
export function unsyncedDisk(disk: Disk): Disk {
  return hookedDisk(disk, async ({ name }, proceed) => {
    if (name !== 'sync' && name !== 'syncFolder') return proceed();
  });
}
