import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/*
 * ApiVersions version 0, the one request that every Kafka broker answers before anything else:
 *   length:int32 = 10  key:int16 = 18  version:int16 = 0  correlation:int32 = 7  client id:nullable string = null (-1)
 */
const request = Buffer.from('0000000a001200000000' + '0007' + 'ffff', 'hex');

/** Whether a broker answers on the port now. */
export function answersApiVersions(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port, noDelay: true });
    const chunks: Buffer[] = [];
    const end = (answered: boolean): void => {
      socket.destroy();
      resolve(answered);
    };
    socket.setTimeout(2_000, () => end(false));
    socket.once('error', () => end(false));
    socket.once('close', () => end(false));
    socket.once('connect', () => socket.write(request));
    socket.on('data', (chunk) => {
      chunks.push(chunk);
      const bytes = Buffer.concat(chunks);
      if (bytes.length >= 10) end(bytes.readInt32BE(4) === 7 && bytes.readInt16BE(8) === 0);
    });
  });
}

/**
 * Waits until a broker answers.
 * @throws Error when `stillWanted` says no (the process has ended), or after `timeoutMs`.
 */
export async function waitForBroker(port: number, stillWanted: () => boolean, timeoutMs = 150_000): Promise<void> {
  const deadlineMs = performance.now() + timeoutMs;
  while (!(await answersApiVersions(port))) {
    if (!stillWanted()) throw new Error(`the broker for port ${port} ended before it answered`);
    if (performance.now() > deadlineMs) throw new Error(`no broker answered on port ${port} within ${timeoutMs} ms`);
    await sleep(3);
  }
}
