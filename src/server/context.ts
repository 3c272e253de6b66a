import type { Broker } from '../broker/broker.ts';
import type { FetchSessions } from './fetch-sessions.ts';

export interface Address {
  readonly host: string;
  readonly port: number;
}

/** What a handler may know besides the request itself. */
export interface RequestContext {
  readonly broker: Broker;
  readonly version: number;
  readonly clientId: string | null;
  /** The client's address as Kafka tells it of group members: "/127.0.0.1". */
  readonly clientHost: string;
  /** Where the client should connect to: what is advertised to it. */
  readonly advertised: Address;
  readonly fetchSessions: FetchSessions;
  /** Aborts when the client is gone: whoever waits for its sake stops. */
  readonly signal: AbortSignal;
  /** Whether the request's record bytes become others' when the dispatcher has returned its promise. */
  readonly lendsRecords: boolean;
  /**
   * Does what cannot be done at once and yet comes before what the same client asks later: its later requests start then. A failure
   * is to be thrown on: over TCP it ends the connection, and none of them starts.
   */
  readonly inOrder: <T>(work: () => Promise<T>) => Promise<T>;
  /** False for a request that takes much memory while it is in work: it is answered with what there is. */
  readonly mayWait: boolean;
  /** Where it can be known: calls back with each buffer of the answer that the operating system has taken, or nobody waits for any more. */
  readonly onSent: ((onTaken: (buffer: Buffer) => void) => void) | null;
  /** Where answers are counted: told of bytes that are read for this one, and with a negative number of what is given up. */
  readonly holdResponse?: (bytes: number) => void;
  /** Bytes that a response may hold now, given all that is queued to readers who do not read. */
  readonly responseBytesMax: () => number;
}
