import net from 'node:net';
import type { PeerSocket } from './peer-socket.ts';

/** As much as a producer's requests in flight come to, so that they are received by one call. */
const READ_BYTES = 256 * 1024;

/** What Node's sockets are made of, where it is as we know it. */
interface Handle {
  readonly useUserBuffer?: unknown;
}

/**
 * One buffer that all clients' bytes are received into: Node gives each read fresh memory, whose collection took a sixth of the
 * broker's processor time. It offers a buffer of one's own (`onread`) to sockets that connect, not to those that a server
 * accepts; so the connection is handed on to a socket that is made with it.
 */
export class ReadBuffer {
  #bytes: Buffer | null = null;

  /**
   * The accepted connection as a socket whose 'data' events lend a view of the buffer until the listener returns. `accepted`, of a
   * server that pauses on connect, must not be used any more; it closes with it.
   */
  serve(accepted: net.Socket): PeerSocket {
    const holder = accepted as unknown as { _handle?: Handle | null };
    const handle = holder._handle;
    if (handle == null || typeof handle.useUserBuffer !== 'function') return accepted.resume();
    holder._handle = null;
    const buffer = (this.#bytes ??= Buffer.allocUnsafeSlow(READ_BYTES));
    const callback = (bytes: number): boolean => {
      socket.emit('data', buffer.subarray(0, bytes));
      return !socket.isPaused();
    };
    const options = { handle, allowHalfOpen: true, onread: { buffer, callback } };
    const socket = new net.Socket(options as unknown as net.SocketConstructorOpts);
    socket.once('close', () => accepted.destroy());
    return socket;
  }
}
