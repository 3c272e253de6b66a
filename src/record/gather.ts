import type { Transform } from 'node:stream';

/** Of this size pieces are put together at once, in some milliseconds; more is put together piece by piece. */
const AT_ONCE_BYTES_MAX = 4 * 1024 * 1024;

/** More came out than was allowed; what Node's own functions call it. */
export class TooLarge extends Error {
  readonly code = 'ERR_BUFFER_TOO_LARGE';
}

/**
 * All that a stream of zlib makes of `bytes`. Node's own functions put the pieces together when they have them all, which for
 * 100 MiB stands the event loop still for 50 ms and takes twice the memory.
 */
export function gather(stream: Transform, bytes: Buffer, bytesMax: number): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  let pieces: Buffer[] = [];
  let whole: Buffer | null = null;
  let size = 0;
  stream.on('data', (piece: Buffer) => {
    if (size + piece.length > bytesMax) {
      stream.destroy(new TooLarge());
      return;
    }
    pieces.push(piece);
    size += piece.length;
    if (size <= AT_ONCE_BYTES_MAX) return;
    // The operating system gives what of it is written to, and no more.
    whole ??= Buffer.allocUnsafeSlow(bytesMax);
    let at = size - pieces.reduce((sum, { length }) => sum + length, 0);
    for (const one of pieces) at += one.copy(whole, at);
    pieces = [];
  });
  stream.on('end', () =>
    resolve(whole?.subarray(0, size) ?? (pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces))),
  );
  stream.on('error', reject);
  stream.end(bytes);
  return promise;
}
