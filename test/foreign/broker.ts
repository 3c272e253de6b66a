import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type BrokerProcess, freePort } from '../../tools/broker-process.ts';
import { fetchKafka, startKafka } from '../../tools/kafka.ts';
import { startMillrace } from '../../tools/millrace.ts';

export type BrokerKind = 'millrace' | 'kafka';

/** So that a member that was killed is missed soon, whichever protocol it speaks. */
const groupSettings = {
  'group.initial.rebalance.delay.ms': '0',
  'group.consumer.min.heartbeat.interval.ms': '1000',
  'group.consumer.heartbeat.interval.ms': '1000',
  'group.consumer.min.session.timeout.ms': '6000',
  'group.consumer.session.timeout.ms': '6000',
};

/** The broker under test, with its files and port, which last through restarts. */
export class Broker {
  readonly kind: BrokerKind;
  readonly port: number;
  /** Where the topics' files lie. */
  readonly dataDir: string;
  readonly #dir: string;
  #process: BrokerProcess | undefined;

  private constructor(kind: BrokerKind, dir: string, port: number) {
    this.kind = kind;
    this.port = port;
    this.#dir = dir;
    this.dataDir = join(dir, 'data');
  }

  static async start(kind: BrokerKind, dir: string): Promise<Broker> {
    const missing = kind === 'kafka' ? fetchKafka() : undefined;
    if (missing !== undefined) throw new Error(missing);
    mkdirSync(dir, { recursive: true });
    const broker = new Broker(kind, dir, await freePort(2));
    await broker.restart();
    return broker;
  }

  get bootstrap(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** Starts it again on the same files and port. */
  async restart(): Promise<void> {
    const { port } = this;
    this.#process =
      this.kind === 'kafka'
        ? await startKafka(this.#dir, port, '-Xmx1g', groupSettings)
        : await startMillrace(this.#dir, port, groupSettings);
  }

  async kill(): Promise<void> {
    await this.#process?.kill();
    this.#process = undefined;
  }

  async stop(): Promise<void> {
    await this.#process?.stop();
    this.#process = undefined;
  }
}
