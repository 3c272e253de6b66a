import type { ReadRecord } from '../read-record.ts';
import { type ReplayFilter, refuse } from './replay-options.ts';

/** The filter as a function. @throws Fault invalidArgument. */
export function filterOf<K, V>(filter: ReplayFilter): (record: ReadRecord<K, V>) => boolean {
  const { key, keyLike, headers = {} } = filter;
  if (key !== undefined && keyLike !== undefined) refuse('filter by key or keyLike, not both');
  const exact = key === undefined ? null : Buffer.from(key);
  const wanted = Object.entries(headers);
  return (record) => {
    const { keyBytes } = record;
    if (exact !== null && (keyBytes === null || !exact.equals(keyBytes))) return false;
    if (keyLike !== undefined && (keyBytes === null || !isLike(keyBytes.toString('utf8'), keyLike))) return false;
    return wanted.every(([name, pattern]) =>
      record.headers.some((header) => header.key === name && isLike(header.value?.toString('utf8') ?? '', pattern)),
    );
  };
}

/**
 * Whether a text is like a pattern, in which `*` stands for any characters and `?` for one. At a mismatch only the last star takes
 * one character more, so the time is bounded by the product of the lengths, whatever the pattern.
 */
export function isLike(text: string, pattern: string): boolean {
  let at = 0;
  let patternAt = 0;
  let starAt = -1;
  let starEnd = 0;
  while (at < text.length) {
    const wanted = pattern[patternAt];
    if (wanted === '*') {
      starAt = patternAt++;
      starEnd = at;
    } else if (wanted === '?' || wanted === text[at]) {
      patternAt++;
      at++;
    } else if (starAt >= 0) {
      patternAt = starAt + 1;
      at = ++starEnd;
    } else return false;
  }
  while (pattern[patternAt] === '*') patternAt++;
  return patternAt === pattern.length;
}
