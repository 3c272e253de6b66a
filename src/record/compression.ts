import { setImmediate } from 'node:timers/promises';
import { promisify } from 'node:util';
import zlib from 'node:zlib';
import { Fault } from '../base/faults.ts';
import { limits } from '../base/limits.ts';
import { gather } from './gather.ts';
import { compressLz4, decompressLz4 } from './lz4.ts';
import { compressSnappy, decompressSnappy } from './snappy.ts';

/** By their ids in a batch's attributes, 0 to 4; the names are those of Kafka's settings. */
export const compressions = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const;

export type Compression = (typeof compressions)[number];

export interface DecompressOptions {
  /** Most bytes that may come out. Default limits.decompressedBytesMax. */
  bytesMax?: number;
}

/** @throws Fault unsupportedCompression for an id that Kafka does not know. */
export function compressionOfId(id: number): Compression {
  const compression = compressions[id];
  if (compression === undefined) throw new Fault('unsupportedCompression', { detail: `found type ${id}` });
  return compression;
}

export function compressionId(compression: Compression): number {
  return compressions.indexOf(compression);
}

interface Codec {
  compressSync(bytes: Buffer, level: number | undefined): Buffer;
  compress(bytes: Buffer, level: number | undefined): Promise<Buffer>;
  decompressSync(bytes: Buffer, bytesMax: number): Buffer;
  decompress(bytes: Buffer, bytesMax: number): Promise<Buffer>;
}

/** Off the event loop each piece of output costs a turn of the thread pool: with Node's own 16 KiB, 1 MiB takes four times as long. */
const ASYNC_CHUNK_BYTES = 256 * 1024;

const gzipAsync = promisify<Buffer, zlib.ZlibOptions, Buffer>(zlib.gzip);
const gzip: Codec = {
  compressSync: (bytes, level) => zlib.gzipSync(bytes, { level }),
  compress: (bytes, level) => gzipAsync(bytes, { level }),
  decompressSync: (bytes, bytesMax) => zlib.gunzipSync(bytes, { maxOutputLength: bytesMax }),
  decompress: (bytes, bytesMax) => gather(zlib.createGunzip({ chunkSize: ASYNC_CHUNK_BYTES }), bytes, bytesMax),
};

const zstdCompressAsync = promisify<Buffer, zlib.ZstdOptions, Buffer>(zlib.zstdCompress);
const zstdOptions = (level: number | undefined): zlib.ZstdOptions =>
  level === undefined ? {} : { params: { [zlib.constants.ZSTD_c_compressionLevel]: level } };
const zstd: Codec = {
  compressSync: (bytes, level) => zlib.zstdCompressSync(bytes, zstdOptions(level)),
  compress: (bytes, level) => zstdCompressAsync(bytes, zstdOptions(level)),
  decompressSync: (bytes, bytesMax) => zlib.zstdDecompressSync(bytes, { maxOutputLength: bytesMax }),
  decompress: (bytes, bytesMax) => gather(zlib.createZstdDecompress({ chunkSize: ASYNC_CHUNK_BYTES }), bytes, bytesMax),
};

/** A codec in TypeScript: it takes steps, each giving the bytes that were worked on in it. It has no levels. */
function steppedCodec(
  compress: (bytes: Buffer) => Generator<number, Buffer>,
  decompress: (bytes: Buffer, bytesMax: number) => Generator<number, Buffer>,
): Codec {
  return {
    compressSync: (bytes) => atOnce(compress(bytes)),
    compress: (bytes) => inTurns(compress(bytes)),
    decompressSync: (bytes, bytesMax) => atOnce(decompress(bytes, bytesMax)),
    decompress: (bytes, bytesMax) => inTurns(decompress(bytes, bytesMax)),
  };
}

function atOnce(steps: Generator<number, Buffer>): Buffer {
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
  }
}

async function inTurns(steps: Generator<number, Buffer>): Promise<Buffer> {
  for (let turnBytes = 0; ; ) {
    const { done, value } = steps.next();
    if (done) return value;
    turnBytes += value;
    if (turnBytes < TURN_BYTES_MAX) continue;
    await setImmediate();
    turnBytes = 0;
  }
}

/** What a codec in TypeScript works on, in a few milliseconds, before others have a turn on the event loop. */
const TURN_BYTES_MAX = 1024 * 1024;

const codecs: Record<Exclude<Compression, 'none'>, Codec> = {
  gzip,
  snappy: steppedCodec(compressSnappy, decompressSnappy),
  lz4: steppedCodec(compressLz4, decompressLz4),
  zstd,
};

/** `level` is as gzip and zstd count levels, default their own; the others have none. */
export function compressSync(compression: Compression, bytes: Buffer, level?: number): Buffer {
  return compression === 'none' ? bytes : codecs[compression].compressSync(bytes, level);
}

/** As compressSync; gzip and zstd work off the event loop, the others let it turn between pieces of 1 MiB. */
export async function compress(compression: Compression, bytes: Buffer, level?: number): Promise<Buffer> {
  return compression === 'none' ? bytes : codecs[compression].compress(bytes, level);
}

/**
 * @throws Fault invalidBatch when the bytes are not of this format or more than `bytesMax` come out, which is found out before
 * they are allocated.
 */
export function decompressSync(compression: Compression, bytes: Buffer, options: DecompressOptions = {}): Buffer {
  if (compression === 'none') return bytes;
  const bytesMax = options.bytesMax ?? limits.decompressedBytesMax;
  try {
    return codecs[compression].decompressSync(bytes, bytesMax);
  } catch (error) {
    throw asFault(error, compression, bytesMax);
  }
}

/** As decompressSync; gzip and zstd work off the event loop, the others let it turn between pieces of 1 MiB. */
export async function decompress(
  compression: Compression,
  bytes: Buffer,
  options: DecompressOptions = {},
): Promise<Buffer> {
  if (compression === 'none') return bytes;
  const bytesMax = options.bytesMax ?? limits.decompressedBytesMax;
  try {
    return await codecs[compression].decompress(bytes, bytesMax);
  } catch (error) {
    throw asFault(error, compression, bytesMax);
  }
}

/** How the batches of a broker are compressed and decompressed. */
export interface Codecs {
  compress(compression: Compression, bytes: Buffer, level?: number): Promise<Buffer>;
  decompress(compression: Compression, bytes: Buffer, options?: DecompressOptions): Promise<Buffer>;
}

export const threadedCodecs: Codecs = { compress, decompress };

/** All at once, and nothing on other threads, whose time is their own: for a simulation. */
export const inlineCodecs: Codecs = {
  compress: async (compression, bytes, level) => compressSync(compression, bytes, level),
  decompress: async (compression, bytes, options) => decompressSync(compression, bytes, options),
};

function asFault(error: unknown, compression: Compression, bytesMax: number): Error {
  if (error instanceof Fault || !(error instanceof Error)) return error as Error;
  const detail =
    'code' in error && error.code === 'ERR_BUFFER_TOO_LARGE'
      ? `its ${compression} data holds more than ${bytesMax} bytes`
      : `its ${compression} data cannot be read (${error.message})`;
  return new Fault('invalidBatch', { detail, cause: error });
}
