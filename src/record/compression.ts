import { promisify } from 'node:util';
import zlib from 'node:zlib';
import { Fault } from '../base/faults.ts';
import { limits } from '../base/limits.ts';

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
  /** Off the event loop where the codec can. */
  compress(bytes: Buffer, level: number | undefined): Promise<Buffer>;
  decompressSync(bytes: Buffer, bytesMax: number): Buffer;
  decompress(bytes: Buffer, bytesMax: number): Promise<Buffer>;
}

const gzip: Codec = {
  compressSync: (bytes, level) => zlib.gzipSync(bytes, { level }),
  compress: (bytes, level) => promisify<Buffer, zlib.ZlibOptions, Buffer>(zlib.gzip)(bytes, { level }),
  decompressSync: (bytes, bytesMax) => zlib.gunzipSync(bytes, { maxOutputLength: bytesMax }),
  decompress: (bytes, bytesMax) =>
    promisify<Buffer, zlib.ZlibOptions, Buffer>(zlib.gunzip)(bytes, { maxOutputLength: bytesMax }),
};

const zstdLevel = (level: number | undefined): zlib.ZstdOptions =>
  level === undefined ? {} : { params: { [zlib.constants.ZSTD_c_compressionLevel]: level } };

const zstd: Codec = {
  compressSync: (bytes, level) => zlib.zstdCompressSync(bytes, zstdLevel(level)),
  compress: (bytes, level) => promisify<Buffer, zlib.ZstdOptions, Buffer>(zlib.zstdCompress)(bytes, zstdLevel(level)),
  decompressSync: (bytes, bytesMax) => zlib.zstdDecompressSync(bytes, { maxOutputLength: bytesMax }),
  decompress: (bytes, bytesMax) =>
    promisify<Buffer, zlib.ZstdOptions, Buffer>(zlib.zstdDecompress)(bytes, { maxOutputLength: bytesMax }),
};

function codecOf(compression: Exclude<Compression, 'none'>): Codec {
  switch (compression) {
    case 'gzip':
      return gzip;
    case 'zstd':
      return zstd;
    default:
      throw new Fault('unsupportedCompression', { detail: compression });
  }
}

/** @throws Fault unsupportedCompression. */
export function compressSync(compression: Compression, bytes: Buffer, level?: number): Buffer {
  return compression === 'none' ? bytes : codecOf(compression).compressSync(bytes, level);
}

/** As compressSync, off the event loop where the codec can. */
export async function compress(compression: Compression, bytes: Buffer, level?: number): Promise<Buffer> {
  return compression === 'none' ? bytes : codecOf(compression).compress(bytes, level);
}

/**
 * @throws Fault invalidBatch when the bytes are not of this format or more than `bytesMax` come out, which is found out before
 * they are allocated; unsupportedCompression.
 */
export function decompressSync(compression: Compression, bytes: Buffer, options: DecompressOptions = {}): Buffer {
  if (compression === 'none') return bytes;
  const bytesMax = options.bytesMax ?? limits.decompressedBytesMax;
  try {
    return codecOf(compression).decompressSync(bytes, bytesMax);
  } catch (error) {
    throw asFault(error, compression, bytesMax);
  }
}

/** As decompressSync, off the event loop where the codec can. */
export async function decompress(
  compression: Compression,
  bytes: Buffer,
  options: DecompressOptions = {},
): Promise<Buffer> {
  if (compression === 'none') return bytes;
  const bytesMax = options.bytesMax ?? limits.decompressedBytesMax;
  try {
    return await codecOf(compression).decompress(bytes, bytesMax);
  } catch (error) {
    throw asFault(error, compression, bytesMax);
  }
}

function asFault(error: unknown, compression: Compression, bytesMax: number): Error {
  if (error instanceof Fault || !(error instanceof Error)) return error as Error;
  const detail =
    'code' in error && error.code === 'ERR_BUFFER_TOO_LARGE'
      ? `its ${compression} data holds more than ${bytesMax} bytes`
      : `its ${compression} data cannot be read (${error.message})`;
  return new Fault('invalidBatch', { detail, cause: error });
}
