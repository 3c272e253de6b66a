import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { BrokerProcess, freePort } from '../../tools/broker-process.ts';
import { fetchKafka, startKafka } from '../../tools/kafka.ts';

export type BrokerKind = 'millrace' | 'kafka';

const root = join(import.meta.dirname, '../..');

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
    this.#process =
      this.kind === 'kafka'
        ? await startKafka(this.#dir, this.port)
        : await BrokerProcess.start(this.#serve(), this.port, join(this.#dir, 'out.log'));
  }

  async kill(): Promise<void> {
    await this.#process?.kill();
    this.#process = undefined;
  }

  async stop(): Promise<void> {
    await this.#process?.stop();
    this.#process = undefined;
  }

  #serve(): { file: string; args: string[] } {
    return {
      file: process.execPath,
      args: [...millraceMain, 'serve', '--data', this.dataDir, '--listen', this.bootstrap],
    };
  }
}

/** The command line of Millrace: as built when it is, else from source. */
export const millraceMain: readonly string[] = [
  ['dist/cli/main.js', 'src/cli/main.ts'].map((file) => join(root, file)).find((file) => existsSync(file)) ??
    join(root, 'src/cli/main.ts'),
];
