import type { Disk } from '../disk/disk.ts';

/** A segment's files; the log last, since caches without it would be looked at by no one. */
const ENDINGS = ['index', 'timeindex', 'producers', 'sums', 'log'];

const LOG_FILE = /^(\d{20})\.log$/;

/** What a segment's files are called, without an ending: its base offset in 20 digits, so that names sort as offsets do. */
export function segmentName(baseOffset: number): string {
  return String(baseOffset).padStart(20, '0');
}

/** The base offset of the segment of which a file of this name is the log; null when it is another file. */
export function baseOffsetOf(name: string): number | null {
  const digits = LOG_FILE.exec(name)?.[1];
  return digits === undefined ? null : Number(digits);
}

const CACHE_FILE = /^(\d{20})\.(?:index|timeindex|producers|sums)$/;

/** The base offsets of segments of which other files than the log are among these. */
export function basesOfCaches(names: readonly string[]): number[] {
  return names.flatMap((name) => CACHE_FILE.exec(name)?.[1] ?? []).map(Number);
}

/** Removes a segment's files; `path` is without their endings. */
export async function removeFiles(disk: Disk, path: string): Promise<void> {
  for (const ending of ENDINGS) await disk.remove(`${path}.${ending}`);
}
