import { Fault } from '../base/faults.ts';
import { BLOCK_BYTES_MAX, COPY_BYTES_MIN, copyLiterals, copyRepetition, RepetitionFinder } from './repetition.ts';
import { xxh32, xxh32InSteps } from './xxh32.ts';

/*
 * One LZ4 frame. All numbers are little-endian.
 *
 *   magic            uint32  0x184D2204
 *   flags            bits 6-7 version (1), 5 blocks are independent, 4 block checksums, 3 content size, 2 content checksum, 0 dictionary
 *   block size       bits 4-6: 4 to 7 stand for at most 64 KiB, 256 KiB, 1 MiB, 4 MiB
 *   content size     uint64, if flagged
 *   header checksum  second byte of the XXH32 of all since the flags
 *   blocks           size uint32, the top bit set where the bytes are stored as they are; the bytes; their XXH32, if flagged
 *   end              uint32  0
 *   content checksum XXH32 of what comes out, if flagged
 *
 * A compressed block is a run of sequences:
 *   token            upper four bits: number of literals; lower four: bytes to copy, less 4. 15 is continued by bytes that add up,
 *                    until one below 255
 *   literals
 *   distance         uint16, then the rest of the copy's size. The last sequence ends with its literals.
 *
 * Java's clients read independent blocks only, so that is what is written; linked ones, which copy from the blocks before, are
 * read as well.
 */

const FRAME_MAGIC = 0x184d2204;
const flag = {
  version: 0xc0,
  version1: 0x40,
  independent: 0x20,
  blockChecksum: 0x10,
  contentSize: 0x08,
  contentChecksum: 0x04,
  reserved: 0x02,
  dictionary: 0x01,
};
const STORED = 0x80000000;
const SIZE_64_KIB = 4 << 4;
/** Each byte that continues a copy's size stands for 255. */
const EXPANSION_MAX = 255;
/** Linked blocks copy from no further back. */
const DISTANCE_MAX = 65_535;

/**
 * Independent blocks of 64 KiB without checksums, as Java's clients write: the batch has a CRC of its own. Each step is one
 * block and gives the bytes that went into it.
 */
export function* compressLz4(bytes: Buffer): Generator<number, Buffer> {
  const blocks = Math.ceil(bytes.length / BLOCK_BYTES_MAX);
  const out = Buffer.allocUnsafe(7 + bytes.length + blocks * 4 + 4 + BLOCK_SLACK_BYTES);
  out.writeUInt32LE(FRAME_MAGIC, 0);
  out[4] = flag.version1 | flag.independent;
  out[5] = SIZE_64_KIB;
  out[6] = headerChecksum(out, 4, 6);
  const finder = new RepetitionFinder(Math.min(bytes.length, BLOCK_BYTES_MAX));
  let end = 7;
  for (let start = 0; start < bytes.length; start += BLOCK_BYTES_MAX) {
    const blockEnd = Math.min(start + BLOCK_BYTES_MAX, bytes.length);
    const written = writeBlock(bytes, start, blockEnd, out, end + 4, finder) - end - 4;
    if (written < blockEnd - start) {
      out.writeUInt32LE(written, end);
      end += 4 + written;
    } else {
      out.writeUInt32LE((STORED | (blockEnd - start)) >>> 0, end);
      end += 4 + bytes.copy(out, end + 4, start, blockEnd);
    }
    yield blockEnd - start;
  }
  out.writeUInt32LE(0, end);
  return out.subarray(0, end + 4);
}

/** How far a block that does not shrink may run on before it is stored instead: a byte for each 255 literals, and some. */
const BLOCK_SLACK_BYTES = Math.ceil(BLOCK_BYTES_MAX / 255) + 16;

function writeBlock(
  bytes: Buffer,
  start: number,
  end: number,
  out: Buffer,
  outStart: number,
  finder: RepetitionFinder,
): number {
  let at = outStart;
  const literalsStart = finder.find(bytes, start, end, (literalsStart, copyStart, copyBytes, distance) => {
    const tokenAt = at;
    at = writeLiterals(bytes, literalsStart, copyStart, out, at);
    out[at++] = distance & 0xff;
    out[at++] = distance >>> 8;
    const size = copyBytes - COPY_BYTES_MIN;
    out[tokenAt]! |= Math.min(size, 15);
    at = writeSizeRest(out, at, size);
  });
  return writeLiterals(bytes, literalsStart, end, out, at);
}

/** Writes the token, its lower half 0, and the literals. */
function writeLiterals(bytes: Buffer, start: number, end: number, out: Buffer, outStart: number): number {
  const size = end - start;
  out[outStart] = Math.min(size, 15) << 4;
  const at = writeSizeRest(out, outStart + 1, size);
  copyLiterals(bytes, start, size, out, at);
  return at + size;
}

function writeSizeRest(out: Buffer, outStart: number, size: number): number {
  if (size < 15) return outStart;
  let at = outStart;
  let rest = size - 15;
  for (; rest >= 255; rest -= 255) out[at++] = 255;
  out[at++] = rest;
  return at;
}

interface Frame {
  independent: boolean;
  blockChecksum: boolean;
  contentChecksum: boolean;
  /** Null where the frame does not say. */
  contentSize: number | null;
  blockBytesMax: number;
  blocksStart: number;
}

/**
 * Each step gives the bytes that came out of it, or what it is worth: a block, a piece of the checksum. Memory grows with what comes out, up to the cap.
 * @throws Fault invalidBatch.
 */
export function* decompressLz4(bytes: Buffer, bytesMax: number): Generator<number, Buffer> {
  const frame = readFrame(bytes);
  const contentBytes = frame.contentSize ?? 0;
  if (contentBytes > bytesMax) throw pastLimit(bytesMax);
  if (contentBytes > bytes.length * EXPANSION_MAX) throw malformed(frame.blocksStart);
  let out: Buffer = Buffer.allocUnsafe(contentBytes);
  let outEnd = 0;
  let at = frame.blocksStart;
  for (let head = readUInt32(bytes, at); head !== 0; head = readUInt32(bytes, at)) {
    at += 4;
    const isStored = head >= STORED;
    const size = isStored ? head - STORED : head;
    if (size > bytes.length - at || size > frame.blockBytesMax) throw malformed(at);
    const growthMax = isStored ? size : Math.min(frame.blockBytesMax, size * EXPANSION_MAX);
    const outLimit = Math.min(outEnd + growthMax, bytesMax);
    if (outLimit > out.length) out = yield* grown(out, outEnd, outLimit);
    const blockStart = outEnd;
    if (isStored) {
      if (size > outLimit - outEnd) throw pastLimit(outLimit);
      outEnd += bytes.copy(out, outEnd, at, at + size);
    } else {
      const windowStart = frame.independent ? outEnd : Math.max(0, outEnd - DISTANCE_MAX);
      outEnd = readBlock(bytes, at, at + size, out, outEnd, outLimit, windowStart);
    }
    at += size;
    if (frame.blockChecksum) {
      if (readUInt32(bytes, at) !== xxh32(bytes, at - size, at)) throw malformed(at);
      at += 4;
    }
    yield outEnd - blockStart;
  }
  const content = out.subarray(0, outEnd);
  yield* endFrame(bytes, at + 4, frame, content);
  return content;
}

function readFrame(bytes: Buffer): Frame {
  if (readUInt32(bytes, 0) !== FRAME_MAGIC) throw malformed(0);
  if (bytes.length < 7) throw malformed(4);
  const flags = bytes[4]!;
  const sizeCode = (bytes[5]! >>> 4) & 7;
  if ((flags & flag.version) !== flag.version1 || (flags & (flag.reserved | flag.dictionary)) !== 0 || sizeCode < 4) {
    throw malformed(4);
  }
  const hasContentSize = (flags & flag.contentSize) !== 0;
  const headerEnd = hasContentSize ? 14 : 6;
  if (bytes.length <= headerEnd || bytes[headerEnd] !== headerChecksum(bytes, 4, headerEnd)) throw malformed(headerEnd);
  return {
    independent: (flags & flag.independent) !== 0,
    blockChecksum: (flags & flag.blockChecksum) !== 0,
    contentChecksum: (flags & flag.contentChecksum) !== 0,
    contentSize: hasContentSize ? bytes.readUInt32LE(6) + bytes.readUInt32LE(10) * 2 ** 32 : null,
    blockBytesMax: 2 ** (8 + 2 * sizeCode),
    blocksStart: headerEnd + 1,
  };
}

function headerChecksum(bytes: Buffer, start: number, end: number): number {
  return (xxh32(bytes, start, end) >>> 8) & 0xff;
}

function* endFrame(bytes: Buffer, start: number, frame: Frame, content: Buffer): Generator<number, void> {
  let at = start;
  if (frame.contentSize !== null && frame.contentSize !== content.length) {
    throw invalid(`its lz4 data holds ${content.length} bytes, expected ${frame.contentSize}`);
  }
  if (frame.contentChecksum) {
    if (readUInt32(bytes, at) !== (yield* xxh32InSteps(content, 0, content.length))) throw malformed(at);
    at += 4;
  }
  if (at !== bytes.length) throw invalid(`its lz4 data is followed by ${bytes.length - at} bytes`);
}

/** A buffer with room up to `end` that holds the first `filled` bytes of `out`. */
function* grown(out: Buffer, filled: number, end: number): Generator<number, Buffer> {
  const larger = Buffer.allocUnsafe(Math.max(end, out.length * 2));
  for (let at = 0; at < filled; at += COPY_STEP_BYTES) {
    out.copy(larger, at, at, Math.min(at + COPY_STEP_BYTES, filled));
    // To copy is so much faster than to decode that a small part of it counts.
    yield COPY_STEP_BYTES / 4;
  }
  return larger;
}

const COPY_STEP_BYTES = 1024 * 1024;

/** Decodes bytes [start, end) to `outStart`, never past `outLimit`, copying from no earlier than `windowStart`; returns where it ends. */
function readBlock(
  bytes: Buffer,
  start: number,
  end: number,
  out: Buffer,
  outStart: number,
  outLimit: number,
  windowStart: number,
): number {
  let at = start;
  let outAt = outStart;
  while (at < end) {
    const token = bytes[at++]!;
    let size = token >>> 4;
    if (size === 15) {
      let byte = 255;
      for (; byte === 255 && at < end; size += byte) byte = bytes[at++]!;
      if (byte === 255) throw malformed(at);
    }
    if (size > end - at) throw malformed(at);
    if (size > outLimit - outAt) throw pastLimit(outLimit);
    copyLiterals(bytes, at, size, out, outAt);
    at += size;
    outAt += size;
    if (at === end) return outAt;

    if (at + 2 > end) throw malformed(at);
    const distance = bytes[at]! | (bytes[at + 1]! << 8);
    at += 2;
    size = token & 15;
    if (size === 15) {
      let byte = 255;
      for (; byte === 255 && at < end; size += byte) byte = bytes[at++]!;
      if (byte === 255) throw malformed(at);
    }
    size += COPY_BYTES_MIN;
    if (distance === 0 || distance > outAt - windowStart) throw malformed(at);
    if (size > outLimit - outAt) throw pastLimit(outLimit);
    copyRepetition(out, outAt, size, distance);
    outAt += size;
  }
  throw malformed(end);
}

function readUInt32(bytes: Buffer, at: number): number {
  if (at + 4 > bytes.length) throw malformed(at);
  return bytes.readUInt32LE(at);
}

function malformed(at: number): Fault {
  return invalid(`its lz4 data is malformed or cut off at byte ${at}`);
}

function pastLimit(bytesMax: number): Fault {
  return invalid(`its lz4 data holds more than ${bytesMax} bytes`);
}

function invalid(detail: string): Fault {
  return new Fault('invalidBatch', { detail });
}
