import { createRequire } from 'node:module';

/**
 * CRC-32C (Castagnoli), as Kafka's record batches carry it.
 *
 * Two ways, for what a call into native code costs: below about 250 bytes tables in JavaScript are faster (0.2 us for 150 bytes
 * against 0.4), above it the processor's own instruction is (0.4 us for 1 KiB against 1.1, 11 us for 64 KiB against 66).
 * The native library takes 14 ms to load, so it is loaded by the first batch that needs it and not at start.
 *
 * `crcBefore`: of the bytes that come before these, when all together are meant. `start` and `end`: of the part that is meant,
 * which lies in `bytes`.
 */
export function crc32c(bytes: Buffer, crcBefore = 0, start = 0, end = bytes.length): number {
  if (end - start < NATIVE_BYTES_MIN) return crc32cByTable(bytes, crcBefore, start, end);
  native ??= loadNative();
  return native(bytes.subarray(start, end), crcBefore);
}

const NATIVE_BYTES_MIN = 256;

let native: ((bytes: Buffer, crcBefore: number) => number) | undefined;

function loadNative(): (bytes: Buffer, crcBefore: number) => number {
  const library: typeof import('@node-rs/crc32') = createRequire(import.meta.url)('@node-rs/crc32');
  return (bytes, crcBefore) => library.crc32c(bytes, crcBefore);
}

/** The polynomial 0x1EDC6F41 with its bits reversed, as a checksum that shifts right needs it. */
const POLYNOMIAL = 0x82f63b78;

/**
 * Four tables of 256 entries, end to end. Table k advances a byte by k further bytes, so that four bytes take four independent
 * lookups and no chain of four. Eight would be fewer steps, of a loop that V8 finds too large to take what stays the same out of.
 */
const tables = new Int32Array(4 * 256);
for (let byte = 0; byte < 256; byte++) {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
  tables[byte] = crc;
}
for (let at = 256; at < tables.length; at++) {
  const crc = tables[at - 256]!;
  tables[at] = (crc >>> 8) ^ tables[crc & 0xff]!;
}

export function crc32cByTable(bytes: Buffer, crcBefore = 0, start = 0, end = bytes.length): number {
  let crc = ~crcBefore;
  let at = start;
  for (const last = end - 3; at < last; at += 4) {
    crc ^= bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
    crc =
      tables[0x300 | (crc & 0xff)]! ^
      tables[0x200 | ((crc >>> 8) & 0xff)]! ^
      tables[0x100 | ((crc >>> 16) & 0xff)]! ^
      tables[crc >>> 24]!;
  }
  for (; at < end; at++) crc = tables[(crc ^ bytes[at]!) & 0xff]! ^ (crc >>> 8);
  return ~crc >>> 0;
}
