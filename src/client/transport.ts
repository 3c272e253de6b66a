import type { Draft } from '../wire/codec.ts';
import type { ApiName, Messages } from '../wire/messages.generated.ts';

/** Where a broker listens. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

/**
 * One conversation with one broker: the seam between the SDK and how its messages travel. Over TCP they are encoded; to a
 * broker in this process they go as they are. Buffers of a response stay as they are for as long as someone holds them.
 */
export interface Transport {
  /** @throws Fault connectionClosed when the conversation ends before the answer; malformedResponse. */
  request<A extends ApiName>(
    api: A,
    version: number,
    message: Draft<Messages[A]['request']>,
  ): Promise<Messages[A]['response']>;
  /** For a request that the broker does not answer (produce with acks=0). @throws Fault connectionClosed at once. */
  send<A extends ApiName>(api: A, version: number, message: Draft<Messages[A]['request']>): void;
  /** Resolves, with why, when the conversation has ended, whoever ended it; what waits for an answer is rejected then. */
  readonly closed: Promise<Error>;
  /** Ends the conversation. Calling it twice does nothing. */
  close(): void;
}

export interface Connector {
  /** @throws Fault connectionFailed. */
  connect(address: Address): Promise<Transport>;
}
