import type { Writable } from 'node:stream';
import { exitCodes } from './exit-codes.ts';

/** Ends the process quietly when the reader of its output goes away, as `head` does. */
export function endWithReader(stream: Writable): void {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(exitCodes.ok);
    // Other failures come to those who wait for their write.
  });
}

/** Resolves when the bytes are handed on: whoever waits for it goes no faster than the reader. */
export function write(bytes: Buffer | string): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(bytes, (error) => (error == null ? resolve() : reject(error)));
  });
}

export function writeJson(value: unknown): Promise<void> {
  return write(`${JSON.stringify(value)}\n`);
}

/** Something for people, beside the output proper. */
export function note(text: string): void {
  process.stderr.write(`${text}\n`);
}
