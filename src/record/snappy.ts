import { Fault } from '../base/faults.ts';
import { copyLiterals, copyRepetition, RepetitionFinder } from './repetition.ts';

/*
 * A raw block:
 *   preamble   the size of what comes out, an unsigned varint
 *   elements   the low two bits of the first byte are the kind
 *              0  literals: size - 1 in the upper six bits, or 60 to 63 for 1 to 4 more bytes that hold it
 *              1  copy of 4 to 11 bytes: bits 2-4 size - 4, bits 5-7 and the next byte the distance
 *              2  copy of 1 to 64 bytes: the upper six bits size - 1, two bytes of distance; 3 the same with four
 * Numbers are little-endian.
 *
 * The xerial frame, which Java's clients write and every client reads (librdkafka writes the raw block as well):
 *   82 'SNAPPY' 00, version int32, oldest compatible version int32
 *   chunks: size int32, a raw block of that size
 * Numbers are big-endian.
 */

const XERIAL_MAGIC = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00]);
const XERIAL_HEADER = Buffer.concat([XERIAL_MAGIC, Buffer.from([0, 0, 0, 1, 0, 0, 0, 1])]);

/** What Java's clients put into one chunk. */
const CHUNK_BYTES = 32_768;

/** A copy of 64 bytes takes three; so no honest block grows by more. */
const EXPANSION_MAX = 22;

/** In the xerial frame. Each step is one chunk and gives the bytes that went into it. */
export function* compressSnappy(bytes: Buffer): Generator<number, Buffer> {
  const chunks = Math.ceil(bytes.length / CHUNK_BYTES);
  const out = Buffer.allocUnsafe(XERIAL_HEADER.length + chunks * 4 + blockBytesMax(bytes.length, chunks));
  const finder = new RepetitionFinder(Math.min(bytes.length, CHUNK_BYTES));
  let end = XERIAL_HEADER.copy(out);
  for (let start = 0; start < bytes.length; start += CHUNK_BYTES) {
    const blockStart = end + 4;
    const chunkEnd = Math.min(start + CHUNK_BYTES, bytes.length);
    const blockEnd = writeBlock(bytes, start, chunkEnd, out, blockStart, finder);
    out.writeInt32BE(blockEnd - blockStart, end);
    end = blockEnd;
    yield chunkEnd - start;
  }
  return out.subarray(0, end);
}

/** The preamble, and for literals that nothing repeats a few bytes more; copies are never longer than what they stand for. */
function blockBytesMax(bytes: number, blocks: number): number {
  return bytes + Math.ceil(bytes / 6) + blocks * 32;
}

function writeBlock(
  bytes: Buffer,
  start: number,
  end: number,
  out: Buffer,
  outStart: number,
  finder: RepetitionFinder,
): number {
  let at = outStart;
  let size = end - start;
  for (; size >= 0x80; size >>>= 7) out[at++] = (size & 0x7f) | 0x80;
  out[at++] = size;
  const literalsStart = finder.find(bytes, start, end, (literalsStart, copyStart, copyBytes, distance) => {
    at = writeLiterals(bytes, literalsStart, copyStart, out, at);
    at = writeCopies(out, at, copyBytes, distance);
  });
  return writeLiterals(bytes, literalsStart, end, out, at);
}

function writeLiterals(bytes: Buffer, start: number, end: number, out: Buffer, outStart: number): number {
  const sizeLess1 = end - start - 1;
  if (sizeLess1 < 0) return outStart;
  let at = outStart;
  if (sizeLess1 < 60) {
    out[at++] = sizeLess1 << 2;
  } else if (sizeLess1 < 0x100) {
    out[at++] = 60 << 2;
    out[at++] = sizeLess1;
  } else {
    out[at++] = 61 << 2;
    out[at++] = sizeLess1 & 0xff;
    out[at++] = sizeLess1 >>> 8;
  }
  copyLiterals(bytes, start, end - start, out, at);
  return at + end - start;
}

function writeCopies(out: Buffer, outStart: number, copyBytes: number, distance: number): number {
  let at = outStart;
  let rest = copyBytes;
  // A rest of less than 4 could not take the short form, so the piece before it leaves that much.
  for (; rest >= 68; rest -= 64) at = writeCopy(out, at, 64, distance);
  if (rest > 64) {
    at = writeCopy(out, at, 60, distance);
    rest -= 60;
  }
  return writeCopy(out, at, rest, distance);
}

function writeCopy(out: Buffer, at: number, copyBytes: number, distance: number): number {
  if (copyBytes < 12 && distance < 2048) {
    out[at] = 1 | ((copyBytes - 4) << 2) | ((distance >>> 8) << 5);
    out[at + 1] = distance & 0xff;
    return at + 2;
  }
  out[at] = 2 | ((copyBytes - 1) << 2);
  out[at + 1] = distance & 0xff;
  out[at + 2] = distance >>> 8;
  return at + 3;
}

/** What comes out in one step, or little more. */
const STEP_BYTES = 256 * 1024;

interface Block {
  /** Where the elements begin and end. */
  start: number;
  end: number;
  /** What comes out, as the preamble says. */
  size: number;
}

/**
 * Of a raw block or a xerial frame; each step is a part of a block and gives the bytes that came out of it. No memory is taken before the sizes that the
 * blocks announce are known to be possible and below the cap.
 * @throws Fault invalidBatch.
 */
export function* decompressSnappy(bytes: Buffer, bytesMax: number): Generator<number, Buffer> {
  const isXerial = bytes.length >= XERIAL_HEADER.length && bytes.subarray(0, XERIAL_MAGIC.length).equals(XERIAL_MAGIC);
  const blocks = isXerial ? xerialBlocks(bytes) : [readPreamble(bytes, 0, bytes.length)];
  const size = blocks.reduce((sum, block) => sum + block.size, 0);
  if (size > bytesMax) throw invalid(`its snappy data holds ${size} bytes, expected at most ${bytesMax}`);
  const out = Buffer.allocUnsafe(size);
  let outStart = 0;
  for (const block of blocks) {
    yield* readBlock(bytes, block, out, outStart);
    outStart += block.size;
  }
  return out;
}

function xerialBlocks(bytes: Buffer): Block[] {
  const blocks: Block[] = [];
  for (let at = XERIAL_HEADER.length; at < bytes.length; ) {
    const remaining = bytes.length - at - 4;
    const size = remaining < 0 ? -1 : bytes.readInt32BE(at);
    if (size < 0 || size > remaining) throw invalid(`its snappy data is cut off in the chunk at byte ${at}`);
    at += 4;
    blocks.push(readPreamble(bytes, at, at + size));
    at += size;
  }
  return blocks;
}

function readPreamble(bytes: Buffer, start: number, end: number): Block {
  let size = 0;
  let at = start;
  for (let scale = 1; ; scale *= 128) {
    const byte = at < end ? bytes[at++]! : 0x80;
    size += (byte & 0x7f) * scale;
    if (byte < 0x80) break;
    if (scale > 2 ** 28) throw invalid(`its snappy data has no size at byte ${start}`);
  }
  if (size > (end - at) * EXPANSION_MAX) {
    throw invalid(`its snappy data announces ${size} bytes, which ${end - at} cannot hold`);
  }
  return { start: at, end, size };
}

/** A raw block may be all that there is: it takes more than one step. */
function* readBlock(bytes: Buffer, block: Block, out: Buffer, outStart: number): Generator<number, void> {
  const { end } = block;
  const outEnd = outStart + block.size;
  let at = block.start;
  let outAt = outStart;
  let stepStart = outStart;
  while (at < end) {
    if (outAt - stepStart >= STEP_BYTES) {
      yield outAt - stepStart;
      stepStart = outAt;
    }
    const tag = bytes[at++]!;
    const kind = tag & 3;
    const upper = tag >>> 2;
    if (kind === 0) {
      const sizeBytes = upper < 60 ? 0 : upper - 59;
      if (sizeBytes > end - at) throw malformed(at);
      const size = 1 + (sizeBytes === 0 ? upper : bytes.readUIntLE(at, sizeBytes));
      at += sizeBytes;
      if (size > end - at || size > outEnd - outAt) throw malformed(at);
      copyLiterals(bytes, at, size, out, outAt);
      at += size;
      outAt += size;
      continue;
    }
    const distanceBytes = kind === 3 ? 4 : kind;
    if (distanceBytes > end - at) throw malformed(at);
    let size = upper + 1;
    let distance: number;
    if (kind === 1) {
      size = 4 + (upper & 7);
      distance = ((tag >>> 5) << 8) | bytes[at]!;
    } else {
      distance = kind === 2 ? bytes[at]! | (bytes[at + 1]! << 8) : bytes.readUInt32LE(at);
    }
    at += distanceBytes;
    if (distance === 0 || distance > outAt - outStart || size > outEnd - outAt) throw malformed(at);
    copyRepetition(out, outAt, size, distance);
    outAt += size;
  }
  if (outAt !== outEnd) throw invalid(`its snappy data ends ${outEnd - outAt} bytes before the size it announces`);
  yield outAt - stepStart;
}

function malformed(at: number): Fault {
  return invalid(`its snappy data is malformed before byte ${at}`);
}

function invalid(detail: string): Fault {
  return new Fault('invalidBatch', { detail });
}
