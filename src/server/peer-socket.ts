import type { Duplex } from 'node:stream';

/**
 * What a connection needs of a socket: one of the operating system's, or a simulation's. The bytes of a 'data' event are the
 * listener's until it returns.
 */
export interface PeerSocket extends Duplex {
  readonly bytesRead: number;
  readonly remoteAddress?: string | undefined;
  readonly remotePort?: number | undefined;
}
