import { writeInt32, writeInt64 } from '../record/big-endian.ts';
import type { Checksum } from './checksum.ts';

/*
 * One round of the journal: what any number of logs appended, made durable by one write. It begins at a multiple of
 * JOURNAL_BLOCK_BYTES and is padded to one, so that no block is written twice in a file's generation.
 *
 *    0  4 bytes  'MLJ1'
 *    4  uint32   bytes of the round, without the padding
 *    8  uint64   XXH64 of all that follows, without the padding
 *   16  uint64   the file's generation: raised each time the file is used again
 *   24  uint64   the round's number, one more than the one before it, in whichever file that lies
 *   32  uint32   number of entries
 *   36  …        entries
 *
 * An entry:
 *
 *    0  uint16   bytes of the log's folder
 *    2  …        the folder, relative to the data folder
 *       uint64   the segment, by its base offset
 *       uint64   position in the segment's file
 *       uint64   the offset after the last record
 *       uint32   bytes of batches
 *       …        record batches, end to end
 *
 * Behind the last entry, for each of them in turn; rounds of earlier versions end before it:
 *
 *       uint64   an offset from which on all batches have the leader epoch of the entry's first one
 */
export const JOURNAL_BLOCK_BYTES = 4096;
export const ROUND_HEADER_BYTES = 36;
/** Of the round, with no entries, at the start of a file that was not used yet. Generations begin at 1. */
export const UNUSED_GENERATION = 0;
const ENTRY_FIXED_BYTES = 30;
const EPOCH_START_BYTES = 8;
const MAGIC = 0x4d4c4a31;

/** Where batches lie in a log. */
export interface JournalPlace {
  readonly folder: string;
  readonly segmentBase: number;
  readonly position: number;
  readonly nextOffset: number;
}

export interface JournalEntry extends Omit<JournalPlace, 'folder'> {
  readonly folder: Buffer;
  /** An offset from which on all have the leader epoch of the first batch, also those that are in the segment's file alone. */
  readonly epochStart: number;
  readonly batches: readonly Buffer[];
  readonly bytes: number;
}

/** An entry as it was found: its batches lie at `start` of the round. */
export interface FoundEntry extends JournalPlace {
  /** Null in a round of an earlier version. */
  readonly epochStart: number | null;
  readonly start: number;
  readonly bytes: number;
}

export interface RoundHeader {
  readonly bytes: number;
  readonly checksum: bigint;
  readonly generation: number;
  readonly number: number;
}

export function padded(bytes: number): number {
  return Math.ceil(bytes / JOURNAL_BLOCK_BYTES) * JOURNAL_BLOCK_BYTES;
}

/** The most that an entry adds to a round. */
export function entryBytes({ folder, bytes }: { folder: Buffer; bytes: number }): number {
  return ENTRY_FIXED_BYTES + EPOCH_START_BYTES + folder.length + bytes;
}

/** Writes a round to the start of `target`, which has room for it; it is none before it is sealed. */
export function encodeRound(target: Buffer, entries: readonly JournalEntry[]): void {
  let at = ROUND_HEADER_BYTES;
  for (const { folder, segmentBase, position, nextOffset, batches, bytes } of entries) {
    target.writeUInt16BE(folder.length, at);
    target.set(folder, at + 2);
    at += 2 + folder.length;
    writeInt64(target, at, segmentBase);
    writeInt64(target, at + 8, position);
    writeInt64(target, at + 16, nextOffset);
    writeInt32(target, at + 24, bytes);
    at += 28;
    for (const batch of batches) {
      target.set(batch, at);
      at += batch.length;
    }
  }
  for (const { epochStart } of entries) {
    writeInt64(target, at, epochStart);
    at += EPOCH_START_BYTES;
  }
  target.writeUInt32BE(MAGIC, 0);
  target.writeUInt32BE(at, 4);
  target.writeUInt32BE(entries.length, 32);
  target.fill(0, at, padded(at));
}

/** Says of an encoded round which one it is. */
export function sealRound(target: Buffer, checksum: Checksum, generation: number, number: number): void {
  target.writeBigUInt64BE(BigInt(generation), 16);
  target.writeBigUInt64BE(BigInt(number), 24);
  target.writeBigUInt64BE(checksum(target.subarray(16, target.readUInt32BE(4))), 8);
}

/** Null when no round begins here. */
export function decodeHeader(bytes: Buffer): RoundHeader | null {
  return bytes.length < ROUND_HEADER_BYTES || bytes.readUInt32BE(0) !== MAGIC ? null : readHeader(bytes);
}

/** What a header says, whether it is one or not. */
export function readHeader(bytes: Buffer): RoundHeader {
  return {
    bytes: bytes.readUInt32BE(4),
    checksum: bytes.readBigUInt64BE(8),
    generation: Number(bytes.readBigUInt64BE(16)),
    number: Number(bytes.readBigUInt64BE(24)),
  };
}

/** The entries of a whole round whose checksum holds. Null when they lead out of it: then no version that we know wrote it. */
export function decodeEntries(round: Buffer): FoundEntry[] | null {
  const entries: Omit<FoundEntry, 'epochStart'>[] = [];
  let at = ROUND_HEADER_BYTES;
  for (let left = round.readUInt32BE(32); left > 0; left -= 1) {
    if (at + ENTRY_FIXED_BYTES > round.length) return null;
    const folderEnd = at + 2 + round.readUInt16BE(at);
    const start = folderEnd + ENTRY_FIXED_BYTES - 2;
    if (start > round.length) return null;
    const folder = round.toString('utf8', at + 2, folderEnd);
    const [segmentBase, position, nextOffset] = [0, 8, 16].map((i) => Number(round.readBigUInt64BE(folderEnd + i)));
    const bytes = round.readUInt32BE(folderEnd + 24);
    if (bytes > round.length - start || ![segmentBase, position, nextOffset].every(Number.isSafeInteger)) return null;
    entries.push({ folder, segmentBase: segmentBase!, position: position!, nextOffset: nextOffset!, start, bytes });
    at = start + bytes;
  }
  const isEarlier = at === round.length;
  if (!isEarlier && at + entries.length * EPOCH_START_BYTES !== round.length) return null;
  return entries.map((entry, i) => {
    const epochStart = isEarlier ? null : Number(round.readBigUInt64BE(at + i * EPOCH_START_BYTES));
    return { ...entry, epochStart };
  });
}
