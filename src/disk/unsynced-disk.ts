import type { Disk, DiskFile } from './disk.ts';

/** A disk that never syncs: for a temporary broker, of which nothing has to survive. */
export function unsyncedDisk(disk: Disk): Disk {
  return {
    ...disk,
    open: async (path, mode) => withoutSync(await disk.open(path, mode === 'writeThrough' ? 'write' : mode)),
    syncFolder: async () => {},
  };
}

function withoutSync(file: DiskFile): DiskFile {
  return {
    read: (buffer, position) => file.read(buffer, position),
    write: (buffers, position) => file.write(buffers, position),
    sync: async () => {},
    truncate: (sizeBytes) => file.truncate(sizeBytes),
    size: () => file.size(),
    close: () => file.close(),
  };
}
