import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type BrokerProcess, freePort } from '../../tools/broker-process.ts';
import { fetchKafka, startKafka } from '../../tools/kafka.ts';
import { startMillrace } from '../../tools/millrace.ts';

export type BrokerKind = 'millrace' | 'kafka';

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
    const broker = new Broker(kind, dir, await freePort());
    await broker.restart();
    return broker;
  }

  get bootstrap(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** Starts it again on the same files and port. */
  async restart(): Promise<void> {
    this.#process = await (this.kind === 'kafka' ? startKafka : startMillrace)(this.#dir, this.port);
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
