/** Offsets from `start` up to and without `endNext`. */
export interface OffsetRange {
  readonly start: number;
  readonly endNext: number;
}

/*
 * What is finished beyond a committed offset, as the text of a commit's metadata:
 *
 *   mw1 : <committed offset, base 36> : <bits, base64url>
 *
 * The bits are lengths of runs of offsets that follow each other without a gap: unfinished ones from the committed offset on,
 * then finished ones, unfinished ones, and so on. A length n is an Elias gamma code: as many zeros as n has binary digits after
 * its first, then n in binary. So a thousand finished behind one that is slow take two bytes, and every other one finished takes
 * one bit for each. The last byte is filled with zeros, which are no code.
 */
const PREFIX = 'mw1';
/** A number of more binary digits is no safe integer. */
const LENGTH_BITS_MAX = 53;

/**
 * The metadata that says which offsets beyond `committedNext` are finished: as many of the ranges, which are in order, as fit in
 * `charactersMax`; the empty text when there are none.
 */
export function encodeFinished(committedNext: number, ranges: Iterable<OffsetRange>, charactersMax: number): string {
  const head = `${PREFIX}:${committedNext.toString(36)}:`;
  const bitsMax = Math.floor(((charactersMax - head.length) * 3) / 4) * 8;
  let bits = '';
  let at = committedNext;
  for (const { start, endNext } of ranges) {
    const pair = gamma(start - at) + gamma(endNext - start);
    if (bits.length + pair.length > bitsMax) break;
    bits += pair;
    at = endNext;
  }
  return bits === '' ? '' : head + bytesOf(bits).toString('base64url');
}

/**
 * The ranges that a commit's metadata remembers, in order. None when it was written by another program, or for another offset:
 * somebody may have moved the group and left the metadata.
 */
export function decodeFinished(committedNext: number, metadata: string | null): OffsetRange[] {
  const found = /^mw1:([0-9a-z]{1,11}):([\w-]+)$/.exec(metadata ?? '');
  if (found === null || Number.parseInt(found[1]!, 36) !== committedNext) return [];
  const bits = Array.from(Buffer.from(found[2]!, 'base64url'), (byte) => byte.toString(2).padStart(8, '0')).join('');
  const ranges: OffsetRange[] = [];
  let offset = committedNext;
  let start: number | null = null;
  for (let at = 0; ; ) {
    const zeros = bits.indexOf('1', at) - at;
    if (zeros < 0 || zeros >= LENGTH_BITS_MAX || at + 2 * zeros + 1 > bits.length) return ranges;
    offset += Number.parseInt(bits.slice(at + zeros, at + 2 * zeros + 1), 2);
    if (!Number.isSafeInteger(offset)) return ranges;
    if (start === null) start = offset;
    else {
      ranges.push({ start, endNext: offset });
      start = null;
    }
    at += 2 * zeros + 1;
  }
}

function gamma(length: number): string {
  const binary = length.toString(2);
  return '0'.repeat(binary.length - 1) + binary;
}

function bytesOf(bits: string): Buffer {
  const bytes = Buffer.alloc(Math.ceil(bits.length / 8));
  for (let at = 0; at < bytes.length; at++) {
    bytes[at] = Number.parseInt(bits.slice(at * 8, at * 8 + 8).padEnd(8, '0'), 2);
  }
  return bytes;
}
