import type { Clock } from '../base/clock.ts';
import { Fault, faultFromKafka } from '../base/faults.ts';
import { kafkaErrors } from '../base/kafka-errors.ts';
import type { Draft } from '../wire/codec.ts';
import { type ApiName, apis, type Messages } from '../wire/messages.generated.ts';
import type { Transport } from './transport.ts';

export interface RequestOptions {
  /** The highest version that will do, where the newest would need what is not at hand. */
  versionMax?: number | undefined;
  /** How long to wait for the answer; default that of the connection. */
  timeoutMs?: number | undefined;
}

type VersionRange = readonly [first: number, last: number];

/** A transport whose broker's versions are known, with a bound on the wait for each answer. */
export class Connection {
  /** Resolves, with why, when the connection has ended. */
  readonly closed: Promise<Error>;
  readonly #transport: Transport;
  readonly #versions: ReadonlyMap<number, VersionRange>;
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  /** How the broker is called in faults. */
  readonly #peer: string;

  private constructor(transport: Transport, versions: ReadonlyMap<number, VersionRange>, facts: ConnectionFacts) {
    this.#transport = transport;
    this.#versions = versions;
    this.#clock = facts.clock;
    this.#timeoutMs = facts.requestTimeoutMs;
    this.#peer = facts.peer;
    this.closed = transport.closed;
  }

  /** Asks the broker which versions it serves. @throws Fault; the transport is closed then. */
  static async open(transport: Transport, facts: ConnectionFacts): Promise<Connection> {
    const [, newest] = apis.ApiVersions.versions;
    const opening = new Connection(transport, new Map([[apis.ApiVersions.key, [0, newest]]]), facts);
    try {
      return new Connection(transport, await askVersions(opening, facts), facts);
    } catch (error) {
      transport.close();
      throw error;
    }
  }

  /** Whether the broker serves a version of the API that we know. */
  offers(api: ApiName): boolean {
    return this.#newestCommon(api, undefined) !== null;
  }

  /** The newest version that both sides know. @throws Fault notSupportedByBroker. */
  versionOf(api: ApiName, versionMax?: number): number {
    const version = this.#newestCommon(api, versionMax);
    if (version !== null) return version;
    const served = this.#versions.get(apis[api].key);
    const [first, last] = apis[api].versions;
    throw new Fault('notSupportedByBroker', {
      detail:
        `${api} in versions ${first} to ${Math.min(last, versionMax ?? last)}; ` +
        `${this.#peer} serves ${served === undefined ? 'none' : `${served[0]} to ${served[1]}`}`,
    });
  }

  #newestCommon(api: ApiName, versionMax: number | undefined): number | null {
    const served = this.#versions.get(apis[api].key);
    if (served === undefined) return null;
    const [first, last] = apis[api].versions;
    const newest = Math.min(last, served[1], versionMax ?? last);
    return newest >= Math.max(first, served[0]) ? newest : null;
  }

  /**
   * @throws Fault notSupportedByBroker, connectionClosed, malformedResponse; requestTimedOut, and the connection is closed
   * then: answers come in order, so none after it would come in time either.
   */
  request<A extends ApiName>(
    api: A,
    message: Draft<Messages[A]['request']>,
    { versionMax, timeoutMs = this.#timeoutMs }: RequestOptions = {},
  ): Promise<Messages[A]['response']> {
    return new Promise((resolve, reject) => {
      const version = this.versionOf(api, versionMax);
      const cancel = this.#clock.after(timeoutMs, () => {
        reject(new Fault('requestTimedOut', { detail: `${api} to ${this.#peer}, no answer within ${timeoutMs} ms` }));
        this.#transport.close();
      });
      this.#transport.request(api, version, message).then(
        (response) => {
          cancel();
          resolve(response);
        },
        (error) => {
          cancel();
          reject(error);
        },
      );
    });
  }

  /** For a request without an answer. @throws Fault notSupportedByBroker, connectionClosed. */
  send<A extends ApiName>(api: A, message: Draft<Messages[A]['request']>, versionMax?: number): void {
    this.#transport.send(api, this.versionOf(api, versionMax), message);
  }

  close(): void {
    this.#transport.close();
  }
}

export interface ConnectionFacts {
  peer: string;
  clock: Clock;
  requestTimeoutMs: number;
  /** What the client calls itself to the broker. */
  software: { name: string; version: string };
}

async function askVersions(
  opening: Connection,
  { software, peer }: ConnectionFacts,
): Promise<Map<number, VersionRange>> {
  const ask = { clientSoftwareName: software.name, clientSoftwareVersion: software.version };
  let answer = await opening.request('ApiVersions', ask);
  if (answer.errorCode === kafkaErrors.UNSUPPORTED_VERSION.code) {
    answer = await opening.request('ApiVersions', {}, { versionMax: 0 });
  }
  const fault = faultFromKafka(answer.errorCode, `ApiVersions of ${peer}`);
  if (fault !== null) throw fault;
  return new Map(answer.apiKeys.map(({ apiKey, minVersion, maxVersion }) => [apiKey, [minVersion, maxVersion]]));
}
