import net from 'node:net';
import { afterEach } from 'vitest';
import type { Clock } from '../../src/base/clock.ts';
import { systemClock } from '../../src/base/clock.ts';
import { systemRandom } from '../../src/base/random.ts';
import { Broker, type BrokerOptions } from '../../src/broker/broker.ts';
import { realDisk } from '../../src/disk/real-disk.ts';
import { type BatchOptions, buildBatch, type NewRecord } from '../../src/record/batch-builder.ts';
import { Server } from '../../src/server/server.ts';
import { type Draft, decodeResponse, encodeRequest } from '../../src/wire/codec.ts';
import { FrameSplitter } from '../../src/wire/frame-splitter.ts';
import type { ApiName, Messages } from '../../src/wire/messages.generated.ts';
import { tempFolder } from '../disk/temp-folder.ts';

export { tempFolder };

const endings: (() => Promise<unknown> | unknown)[] = [];

/** Runs after the test, the youngest first. */
export function atEnd(action: () => Promise<unknown> | unknown): void {
  endings.push(action);
}

afterEach(async () => {
  for (const end of endings.splice(0).reverse()) await end();
});

export interface Warning {
  readonly facts: Record<string, unknown>;
  readonly message: string;
}

export interface TestBroker {
  readonly broker: Broker;
  readonly server: Server;
  readonly port: number;
  readonly folder: string;
  readonly warnings: Warning[];
  /** Closes the doors, then the broker. Callable twice. */
  stop(): Promise<void>;
  client(): Promise<RawClient>;
}

export interface TestBrokerSetup extends Partial<BrokerOptions> {
  readonly folder?: string;
  /** See Server. */
  readonly budgets?: { requestBytes?: number; responseBytes?: number };
}

/** A broker over real files with a door on a free port; stopped after the test. Its server's clock is the broker's. */
export async function startBroker(setup: TestBrokerSetup = {}): Promise<TestBroker> {
  const { folder = tempFolder(), budgets, ...options } = setup;
  const { broker, warnings } = await openBroker({ folder, ...options });
  const server = new Server(broker, systemRandom, budgets);
  const address = await server.listen({ host: '127.0.0.1', port: 0 });
  let stopping: Promise<void> | null = null;
  const stop = (): Promise<void> => (stopping ??= server.close().then(() => broker.close()));
  atEnd(() => stop().catch(() => {}));
  const port = address!.port;
  return { broker, server, port, folder, warnings, stop, client: () => connect(port) };
}

/** A broker without doors; whoever opens it closes it. */
export async function openBroker(setup: TestBrokerSetup = {}): Promise<{ broker: Broker; warnings: Warning[] }> {
  const { folder = tempFolder(), ...options } = setup;
  const warnings: Warning[] = [];
  const note = (facts: object, message: string): void =>
    void warnings.push({ facts: facts as Record<string, unknown>, message });
  const broker = await Broker.open({
    disk: realDisk(folder),
    clock: systemClock,
    random: systemRandom,
    logger: { debug() {}, info() {}, warn: note, error: note },
    startFacts: {},
    tailCacheBytesMax: 8 << 20,
    readsAtOnceMax: 2,
    ...options,
    // Tests send records of any time; unless retention is what they test, none is deleted while they run.
    settings: { 'log.initial.task.delay.ms': '86400000', ...options.settings },
  });
  return { broker, warnings };
}

/** A clock that can be set forward for the broker's timers while real time goes on. */
export function clockThatWaits(limitMs: number): Clock {
  return { ...systemClock, after: (delayMs, action) => systemClock.after(Math.min(delayMs, limitMs), action) };
}

/** A frame that came back, in the order of arrival. */
export interface Answer {
  readonly correlationId: number;
  readonly frame: Buffer;
}

interface Expected {
  resolve(frame: Buffer): void;
  reject(error: Error): void;
}

/** A Kafka client without manners: sends any bytes, in any order, reads or does not. */
export class RawClient {
  readonly socket: net.Socket;
  /** Every answer, in the order of arrival. */
  readonly answers: Answer[] = [];
  /** Resolves when the connection has ended, whoever ended it. */
  readonly closed: Promise<void>;
  readonly #splitter = new FrameSplitter(1 << 30, 'malformedResponse');
  readonly #expected = new Map<number, Expected>();
  #correlationId = 0;
  #isClosed = false;

  constructor(socket: net.Socket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => {
      for (const frame of this.#splitter.push(chunk)) this.#take(frame);
    });
    socket.on('error', () => {});
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()));
    void this.closed.then(() => {
      this.#isClosed = true;
      for (const { reject } of this.#expected.values()) reject(new Error('the connection was closed'));
    });
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  #take(frame: Buffer): void {
    const correlationId = frame.readInt32BE();
    this.answers.push({ correlationId, frame });
    this.#expected.get(correlationId)?.resolve(frame);
    this.#expected.delete(correlationId);
  }

  /** Sends a request; resolves to its decoded answer. */
  async request<A extends ApiName>(
    api: A,
    version: number,
    message: Draft<Messages[A]['request']>,
  ): Promise<Messages[A]['response']> {
    const correlationId = this.post(api, version, message);
    return this.decode(api, version, await this.answerTo(correlationId));
  }

  decode<A extends ApiName>(api: A, version: number, frame: Buffer): Messages[A]['response'] {
    return decodeResponse(api, version, frame).message;
  }

  /** Sends a request and does not wait; returns its correlation id. */
  post<A extends ApiName>(api: A, version: number, message: Draft<Messages[A]['request']>): number {
    const correlationId = ++this.#correlationId;
    for (const piece of encodeRequest(api, version, correlationId, 'raw', message)) this.socket.write(piece);
    return correlationId;
  }

  /** The frame that answers a posted request; rejects when the connection ends first. */
  answerTo(correlationId: number): Promise<Buffer> {
    const known = this.answers.find((answer) => answer.correlationId === correlationId);
    if (known !== undefined) return Promise.resolve(known.frame);
    if (this.#isClosed) return Promise.reject(new Error('the connection was closed'));
    return new Promise((resolve, reject) => this.#expected.set(correlationId, { resolve, reject }));
  }

  /** Sends a frame's bytes behind their length. */
  frame(bytes: Buffer): void {
    const prefix = Buffer.alloc(4);
    prefix.writeInt32BE(bytes.length);
    this.socket.write(Buffer.concat([prefix, bytes]));
  }

  bytes(bytes: Buffer | string): void {
    this.socket.write(bytes);
  }

  end(): Promise<void> {
    this.socket.destroy();
    return this.closed;
  }
}

/** Connects to a broker of this machine; closed after the test. */
export async function connect(port: number): Promise<RawClient> {
  const socket = net.connect({ host: '127.0.0.1', port, noDelay: true });
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', reject);
  });
  const client = new RawClient(socket);
  atEnd(() => client.end());
  return client;
}

/** A batch of small records with the present time, as a producer sends it. */
export function batch(values: readonly string[] = ['x'], options: BatchOptions & Partial<NewRecord> = {}): Buffer {
  const { timestampMs = Date.now(), key, headers, ...batchOptions } = options;
  const records = values.map((value) => ({ timestampMs, key, value: Buffer.from(value), headers }));
  return buildBatch(records, batchOptions);
}

/** Makes a topic through the door; returns its id. */
export async function makeTopic(
  client: RawClient,
  name: string,
  numPartitions = 1,
  settings: Record<string, string> = {},
): Promise<string> {
  const configs = Object.entries(settings).map(([key, value]) => ({ name: key, value }));
  const { topics } = await client.request('CreateTopics', 7, {
    topics: [{ name, numPartitions, replicationFactor: 1, configs }],
  });
  if (topics[0]!.errorCode !== 0) throw new Error(`${name}: ${topics[0]!.errorMessage}`);
  return topics[0]!.topicId;
}

/** A produce request of one batch, for versions that name topics. */
export function produceOf(topic: string, records: Buffer, acks = -1, index = 0): Draft<Messages['Produce']['request']> {
  return { acks, timeoutMs: 5000, topicData: [{ name: topic, partitionData: [{ index, records: [records] }] }] };
}

/** Produces one batch; resolves to the partition's answer. */
export async function produce(client: RawClient, topic: string, records: Buffer, acks = -1, index = 0) {
  const { responses } = await client.request('Produce', 9, produceOf(topic, records, acks, index));
  return responses[0]!.partitionResponses[0]!;
}

export interface FetchWish {
  readonly partition?: number;
  readonly offset?: number;
  readonly maxBytes?: number;
  readonly partitionMaxBytes?: number;
  readonly minBytes?: number;
  readonly maxWaitMs?: number;
}

/** A fetch of one partition outside a session, for versions that name topics. */
export function fetchOf(topic: string, wish: FetchWish = {}): Draft<Messages['Fetch']['request']> {
  const { partition = 0, offset = 0, maxBytes = 1 << 20, partitionMaxBytes = 1 << 20 } = wish;
  const partitions = [{ partition, fetchOffset: offset, partitionMaxBytes }];
  const { minBytes = 0, maxWaitMs = 0 } = wish;
  return { maxWaitMs, minBytes, maxBytes, topics: [{ topic, partitions }] };
}

/** Fetches from one partition; resolves to its answer. */
export async function fetchFrom(client: RawClient, topic: string, wish: FetchWish = {}) {
  const { responses } = await client.request('Fetch', 12, fetchOf(topic, wish));
  return responses[0]!.partitions[0]!;
}

/** Resolves when the condition holds; the test's own time limit is what ends a wait for what never happens. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 5));
}
