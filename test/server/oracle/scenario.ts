import type { Draft } from '../../../src/wire/codec.ts';
import type { ApiName, Messages } from '../../../src/wire/messages.generated.ts';
import { connect, makeTopic, type RawClient, until } from '../support.ts';

/** What a connection's end without an answer is noted as. */
export const CLOSED = 'closed';

/** One of the two brokers that are compared. */
export class Side {
  readonly port: number;
  #client: RawClient | null = null;

  constructor(port: number) {
    this.port = port;
  }

  async client(): Promise<RawClient> {
    if (this.#client === null || this.#client.isClosed) this.#client = await connect(this.port);
    return this.#client;
  }

  /** Sends a request; null when the broker ends the connection instead of answering. */
  async ask<A extends ApiName>(
    api: A,
    version: number,
    message: Draft<Messages[A]['request']>,
  ): Promise<Messages[A]['response'] | null> {
    const client = await this.client();
    const correlationId = client.post(api, version, message);
    return client.answerTo(correlationId).then(
      (frame) => client.decode(api, version, frame),
      () => null,
    );
  }

  /** Makes a topic, and waits until it is served. Returns its id. */
  async topic(name: string, partitions = 1, settings: Record<string, string> = {}): Promise<string> {
    const client = await this.client();
    const id = await makeTopic(client, name, partitions, settings);
    const wish = Array.from({ length: partitions }, (_, partitionIndex) => ({ partitionIndex, timestamp: -1 }));
    await until(async () => {
      const { topics } = await client.request('ListOffsets', 6, {
        replicaId: -1,
        topics: [{ name, partitions: wish }],
      });
      return topics[0]!.partitions.every(({ errorCode }) => errorCode === 0);
    });
    return id;
  }
}

export interface Place {
  /** A name that no other scenario uses; no topic of it is there yet. */
  readonly topic: string;
  readonly version: number;
}

/** The same requests to both brokers. What it returns, written as JSON, must be the same. */
export interface Scenario {
  readonly api: ApiName;
  readonly says: string;
  /** Default: every version that both serve. */
  readonly versions?: readonly number[];
  /** Why we answer otherwise, on purpose. It fails when we do not. */
  readonly differs?: string;
  run(side: Side, place: Place): Promise<unknown>;
}
