import type { Transform } from 'node:stream';
import { setImmediate } from 'node:timers/promises';

/** What is put together, in a few milliseconds, before others have a turn on the event loop. */
const TURN_BYTES_MAX = 4 * 1024 * 1024;

/** More came out than was allowed; what Node's own functions call it. */
export class TooLarge extends Error {
  readonly code = 'ERR_BUFFER_TOO_LARGE';
}

/**
 * All that a stream of zlib makes of `bytes`, in a buffer of that size: whoever keeps it keeps no more. Node's own functions put
 * the pieces together at once, which for 100 MiB stands the event loop still for 50 ms.
 */
export async function gather(stream: Transform, bytes: Buffer, bytesMax: number): Promise<Buffer> {
  const pieces = await piecesOf(stream, bytes, bytesMax);
  const whole = Buffer.allocUnsafeSlow(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  let turnBytes = 0;
  for (let piece = pieces.shift(); piece !== undefined; piece = pieces.shift()) {
    at += piece.copy(whole, at);
    turnBytes += piece.length;
    if (turnBytes < TURN_BYTES_MAX) continue;
    await setImmediate();
    turnBytes = 0;
  }
  return whole;
}

function piecesOf(stream: Transform, bytes: Buffer, bytesMax: number): Promise<Buffer[]> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer[]>();
  const pieces: Buffer[] = [];
  let size = 0;
  stream.on('data', (piece: Buffer) => {
    size += piece.length;
    if (size > bytesMax) stream.destroy(new TooLarge());
    else pieces.push(piece);
  });
  stream.on('end', () => resolve(pieces));
  stream.on('error', reject);
  stream.end(bytes);
  return promise;
}
