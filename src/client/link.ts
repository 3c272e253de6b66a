import type { Clock } from '../base/clock.ts';
import { sleep } from '../base/clock.ts';
import { Fault } from '../base/faults.ts';
import type { Logger } from '../base/logger.ts';
import type { Random } from '../base/random.ts';
import { type Backoff, backoffMs } from './backoff.ts';
import { Connection } from './connection.ts';
import type { Address, Connector } from './transport.ts';

export interface LinkFacts {
  connector: Connector;
  clock: Clock;
  random: Random;
  logger: Logger;
  requestTimeoutMs: number;
  /** Between attempts to connect. */
  backoff: Backoff;
  software: { name: string; version: string };
}

/** One connection to one broker, made when it is first needed and again after it broke. */
export class Link {
  readonly #facts: LinkFacts;
  /** Asked at each attempt, since a broker may move. @throws Fault. */
  readonly #addressOf: () => Address;
  /** How the broker is called in faults and logs. */
  readonly #name: string;
  #connection: Connection | null = null;
  #connecting: Promise<Connection> | null = null;
  #failures = 0;
  #retryAtMs = 0;
  #closed = false;

  constructor(name: string, addressOf: () => Address, facts: LinkFacts) {
    this.#name = name;
    this.#addressOf = addressOf;
    this.#facts = facts;
  }

  /** Null when not connected now. */
  get current(): Connection | null {
    return this.#connection;
  }

  /** @throws Fault connectionFailed, after a pause if the last attempt failed too; clientClosed. */
  connect(): Promise<Connection> {
    if (this.#connection !== null) return Promise.resolve(this.#connection);
    this.#connecting ??= this.#connect().finally(() => {
      this.#connecting = null;
    });
    return this.#connecting;
  }

  /** Ends the connection there is; the next use makes a new one. */
  disconnect(): void {
    const connection = this.#connection;
    this.#connection = null;
    connection?.close();
  }

  close(): void {
    this.#closed = true;
    this.disconnect();
  }

  async #connect(): Promise<Connection> {
    const { clock, random, logger, backoff } = this.#facts;
    const pauseMs = this.#retryAtMs - clock.monotonicMs();
    if (pauseMs > 0) await sleep(clock, pauseMs);
    try {
      const connection = await this.#open();
      this.#failures = 0;
      return connection;
    } catch (error) {
      this.#failures++;
      this.#retryAtMs = clock.monotonicMs() + backoffMs(backoff, this.#failures, random);
      logger.debug({ broker: this.#name, failures: this.#failures, err: error }, 'cannot connect');
      throw error;
    }
  }

  async #open(): Promise<Connection> {
    if (this.#closed) throw new Fault('clientClosed');
    const { connector, clock, requestTimeoutMs, software, logger } = this.#facts;
    const transport = await connector.connect(this.#addressOf());
    const connection = await Connection.open(transport, { peer: this.#name, clock, requestTimeoutMs, software });
    if (this.#closed) {
      connection.close();
      throw new Fault('clientClosed');
    }
    this.#connection = connection;
    void connection.closed.then((why) => {
      if (this.#connection !== connection) return;
      this.#connection = null;
      logger.debug({ broker: this.#name, err: why }, 'the connection ended');
    });
    return connection;
  }
}
