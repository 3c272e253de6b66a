import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import type { ClientOptions } from '../../src/client/millrace.ts';
import { apiByKey, type Draft, decodeRequest, encodeResponse, readRequestHeader } from '../../src/wire/codec.ts';
import { FrameSplitter } from '../../src/wire/frame-splitter.ts';
import { type ApiName, apis, type Messages } from '../../src/wire/messages.generated.ts';

/** What a script answers: a response; nothing, for ever; the end of the connection, before or after what it was asked is done. */
export type Answer<A extends ApiName> = Draft<Messages[A]['response']> | 'silence' | 'hang up' | Buffer;

export type Script = {
  [A in ApiName]?: (request: Messages[A]['request'], version: number) => Answer<A> | Promise<Answer<A>>;
};

const SHORT = { firstMs: 5, maxMs: 20 };
/** For a client of such a broker: what is tried again does not make the tests slow. */
export const shortPauses: ClientOptions = { retryBackoff: SHORT, reconnectBackoff: SHORT };

export const TOPIC = 'topic';
export const TOPIC_ID = 'Zm9vYmFyYmF6cXV4MTIzNA';

/**
 * A broker of node id 0 that does what a script says, over real sockets. Without a script for it, it answers ApiVersions
 * with all that there is and Metadata with one topic of one partition that it leads itself, and gives producers id 7.
 */
export class FakeBroker {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #script: Script;
  /** The APIs asked, in order. */
  readonly asked: ApiName[] = [];
  connections = 0;
  port = 0;

  private constructor(script: Script) {
    this.#script = script;
    this.#server = createServer((socket) => this.#serve(socket));
  }

  static async start(script: Script = {}): Promise<FakeBroker> {
    const broker = new FakeBroker(script);
    await new Promise<void>((resolve) => broker.#server.listen(0, '127.0.0.1', resolve));
    broker.port = (broker.#server.address() as AddressInfo).port;
    return broker;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  count(api: ApiName): number {
    return this.asked.filter((one) => one === api).length;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #serve(socket: Socket): void {
    this.connections++;
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    const splitter = new FrameSplitter(100_000_000);
    // One after another, as Kafka does.
    let turn = Promise.resolve();
    socket.on('data', (chunk) => {
      for (const frame of splitter.push(chunk)) turn = turn.then(() => this.#onFrame(socket, frame));
    });
  }

  async #onFrame(socket: Socket, frame: Buffer): Promise<void> {
    const { apiKey, apiVersion, correlationId, bodyStart } = readRequestHeader(frame);
    const api = apiByKey(apiKey)!;
    this.asked.push(api);
    const answer = await this.#answer(api, apiVersion, decodeRequest(api, apiVersion, frame, bodyStart));
    if (answer === 'silence') return new Promise(() => {});
    if (answer === 'hang up') socket.destroy();
    else if (Buffer.isBuffer(answer)) socket.write(answer);
    else for (const piece of encodeResponse(api, apiVersion, correlationId, answer)) socket.write(piece);
  }

  #answer<A extends ApiName>(
    api: A,
    version: number,
    request: Messages[A]['request'],
  ): Answer<ApiName> | Promise<Answer<ApiName>> {
    const scripted = this.#script[api];
    if (scripted !== undefined) return scripted(request, version);
    if (api === 'ApiVersions') return { apiKeys: allVersions };
    if (api === 'Metadata') return this.metadata();
    if (api === 'InitProducerId') return { producerId: 7, producerEpoch: 0 };
    return 'hang up';
  }

  metadata(): Draft<Messages['Metadata']['response']> {
    const partitions = [{ partitionIndex: 0, leaderId: 0, leaderEpoch: 1, replicaNodes: [0], isrNodes: [0] }];
    return {
      clusterId: 'fake',
      controllerId: 0,
      brokers: [{ nodeId: 0, host: '127.0.0.1', port: this.port }],
      topics: [{ name: TOPIC, topicId: TOPIC_ID, partitions }],
    };
  }
}

export const allVersions = Object.values(apis).map(({ key, versions: [minVersion, maxVersion] }) => ({
  apiKey: key as number,
  minVersion: minVersion as number,
  maxVersion: maxVersion as number,
}));

/** An answer to a produce of one batch to the one partition. */
export function produced(
  facts: Partial<Messages['Produce']['response']['responses'][0]['partitionResponses'][0]>,
): Draft<Messages['Produce']['response']> {
  return { responses: [{ name: TOPIC, topicId: TOPIC_ID, partitionResponses: [{ index: 0, ...facts }] }] };
}

/** An answer to a fetch of the one partition. */
export function fetched(
  facts: Draft<Messages['Fetch']['response']['responses'][0]['partitions'][0]>,
  whole: Draft<Messages['Fetch']['response']> = {},
): Draft<Messages['Fetch']['response']> {
  const partitions = [{ partitionIndex: 0, highWatermark: 1_000, lastStableOffset: 1_000, ...facts }];
  return { responses: [{ topic: TOPIC, topicId: TOPIC_ID, partitions }], ...whole };
}
