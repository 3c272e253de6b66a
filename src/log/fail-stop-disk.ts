import { Fault } from '../base/faults.ts';
import type { Disk, DiskFile } from '../disk/disk.ts';

/**
 * A disk that tells of each failed sync, whoever asked for it and whatever becomes of the error: what the disk holds is unknown from
 * then on, and a second sync that succeeds would prove nothing. One that found no room is left to whoever asked: most files
 * are made anew and replace another, which is still there, and a log stops the broker by itself.
 */
export function failStopDisk(disk: Disk, onFailedSync: (fault: Fault) => void): Disk {
  const watched = async (sync: () => Promise<void>): Promise<void> => {
    try {
      await sync();
    } catch (error) {
      if (isFailedSync(error)) onFailedSync(error);
      throw error;
    }
  };
  const watchedFile = (file: DiskFile): DiskFile => ({
    read: (buffer, position) => file.read(buffer, position),
    write: (buffers, position) => file.write(buffers, position),
    sync: () => watched(() => file.sync()),
    truncate: (sizeBytes) => file.truncate(sizeBytes),
    size: () => file.size(),
    close: () => file.close(),
  });
  return {
    open: async (path, mode) => watchedFile(await disk.open(path, mode)),
    list: (path) => disk.list(path),
    size: (path) => disk.size(path),
    makeFolder: (path) => watched(() => disk.makeFolder(path)),
    rename: (from, to) => disk.rename(from, to),
    remove: (path) => disk.remove(path),
    removeFolder: (path) => disk.removeFolder(path),
    syncFolder: (path) => watched(() => disk.syncFolder(path)),
    lock: (path) => disk.lock(path),
    space: () => disk.space(),
  };
}

/** Not so what failed before the sync: a folder that could not be opened for it. */
function isFailedSync(error: unknown): error is Fault {
  if (!(error instanceof Fault) || error.fault === 'diskFull') return false;
  const { syscall } = (error.cause ?? {}) as NodeJS.ErrnoException;
  return syscall === 'fsync' || syscall === 'fdatasync';
}
