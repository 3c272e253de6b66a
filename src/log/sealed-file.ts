import { encode } from 'msgpackr';
import { Fault, isFault } from '../base/faults.ts';
import { decodeMessagePack } from '../base/message-pack.ts';
import type { Disk } from '../disk/disk.ts';
import { crc32c } from '../record/crc32c.ts';

/*
 * A small state file, replaced as a whole and never half:
 *
 *   0  4 bytes  'MLR1'
 *   4  uint32   CRC-32C of the rest
 *   8  …        MessagePack
 */
const MAGIC = Buffer.from('MLR1');
const HEADER_BYTES = 8;

/** Writes beside the file, syncs, renames over it. The caller syncs the folder (or lets the next such write do it). */
export async function writeSealed(disk: Disk, path: string, content: unknown): Promise<void> {
  await writeWhole(disk, path, seal(content));
}

export function seal(content: unknown): Buffer {
  const payload = encode(content);
  const bytes = Buffer.alloc(HEADER_BYTES + payload.length);
  MAGIC.copy(bytes);
  payload.copy(bytes, HEADER_BYTES);
  bytes.writeUInt32BE(crc32c(bytes.subarray(HEADER_BYTES)), 4);
  return bytes;
}

/** The last write that was begun of each file, by the disk that it is on: those that are under way. */
const underWay = new WeakMap<Disk, Map<string, Promise<void>>>();

/**
 * Replaces a file by one that is synced; after a crash there is the old one, the new one, or the new one under `.new`, which
 * the next write replaces. Writes of one file follow each other in the order of the calls: two at once would meet in that
 * name, and the older could come to stand in the end.
 */
export function writeWhole(disk: Disk, path: string, bytes: Buffer): Promise<void> {
  const writes = underWay.get(disk) ?? new Map<string, Promise<void>>();
  underWay.set(disk, writes);
  const before = writes.get(path);
  // The failure of the one before is told to its own caller.
  const replacing =
    before === undefined
      ? replaceWhole(disk, path, bytes)
      : before.catch(() => {}).then(() => replaceWhole(disk, path, bytes));
  writes.set(path, replacing);
  const end = (): void => {
    if (writes.get(path) === replacing) writes.delete(path);
  };
  replacing.then(end, end);
  return replacing;
}

async function replaceWhole(disk: Disk, path: string, bytes: Buffer): Promise<void> {
  const fresh = `${path}.new`;
  await writeSynced(disk, fresh, bytes);
  await disk.rename(fresh, path);
}

/** Makes a file anew and syncs it, where no start looks before it is renamed. */
export async function writeSynced(disk: Disk, path: string, bytes: Buffer): Promise<void> {
  await disk.remove(path);
  const file = await disk.open(path, 'create');
  try {
    await file.write([bytes], 0);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** As readSealed, of what can be made again from other files: one that the disk cannot read is no better than a damaged one. */
export async function readSealedCache(disk: Disk, path: string): ReturnType<typeof readSealed> {
  const bytes = await readCache(disk, path);
  return bytes === null ? 'missing' : unseal(bytes);
}

/** The content; 'missing' when there is no file, 'damaged' when it is not what was written. */
export async function readSealed(disk: Disk, path: string): Promise<{ content: unknown } | 'missing' | 'damaged'> {
  const bytes = await readWhole(disk, path);
  return bytes === null ? 'missing' : unseal(bytes);
}

export function unseal(bytes: Buffer): { content: unknown } | 'damaged' {
  if (bytes.length < HEADER_BYTES || !bytes.subarray(0, 4).equals(MAGIC)) return 'damaged';
  const payload = bytes.subarray(HEADER_BYTES);
  if (crc32c(payload) !== bytes.readUInt32BE(4)) return 'damaged';
  try {
    return { content: decodeMessagePack(payload) };
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    // Sealed by something else that has our magic: its content is not ours to read.
    return 'damaged';
  }
}

export async function readWhole(disk: Disk, path: string): Promise<Buffer | null> {
  if ((await disk.size(path)) === null) return null;
  const file = await disk.open(path, 'read');
  try {
    const bytes = Buffer.allocUnsafeSlow(await file.size());
    return bytes.subarray(0, await file.read(bytes, 0));
  } finally {
    await file.close();
  }
}

/** As readWhole, of what can be made again from other files: one that the disk cannot read is as if it were empty. */
export async function readCache(disk: Disk, path: string): Promise<Buffer | null> {
  try {
    return await readWhole(disk, path);
  } catch (error) {
    if (!isFault(error, 'diskError')) throw error;
    return Buffer.alloc(0);
  }
}
