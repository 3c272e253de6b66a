import type { Fault } from './base/faults.ts';
import { systemRandom } from './base/random.ts';
import { Millrace as Client, type ClientOptions } from './client/millrace.ts';
import type { Address } from './client/transport.ts';
import { type BrokerSetup, startServer } from './compose.ts';
import { LOCAL_ADDRESS, localConnector } from './local-connector.ts';
import { FetchSessions } from './server/fetch-sessions.ts';
import type { ListenAddress } from './server/server.ts';

export interface OpenOptions extends ClientOptions, Pick<BrokerSetup, 'settings' | 'tailCacheBytesMax'> {
  /**
   * Also open a TCP port, so that other Kafka clients can connect: a port on 127.0.0.1 (0 takes a free one, told by
   * `addresses`), or addresses in full. Default: none.
   */
  listen?: number | readonly ListenAddress[];
}

/** A client of a broker: of one in this process (`open`), or of a server or an Apache Kafka cluster (`connect`). */
export class Millrace extends Client {
  #addresses: readonly Address[] = [];
  #fatal: Promise<Fault> = new Promise(() => {});

  /** Where the broker in this process listens, when it was asked to. */
  get addresses(): readonly Address[] {
    return this.#addresses;
  }

  /** Resolves if the broker in this process stops by itself, with the reason. It refuses every call then. */
  get fatal(): Promise<Fault> {
    return this.#fatal;
  }

  /**
   * Opens a broker in this process on a data folder, and a client of it with no socket between. Without a folder it is a
   * temporary one, never synced and removed at close: for tests.
   * @throws Fault folderInUse, folderTooNew, damagedMetadata, invalidConfig, portInUse, addressUnavailable, diskFullAtStart,
   * notAFolder, foreignFolder, nestedFolder, readOnlyDisk, diskError
   */
  static async open(dataFolder?: string, options: OpenOptions = {}): Promise<Millrace> {
    const { listen = [], logger, settings, tailCacheBytesMax, clientId = 'millrace' } = options;
    const server = await startServer({
      dataFolder,
      listen: typeof listen === 'number' ? [{ host: '127.0.0.1', port: listen }] : listen,
      ...(logger && { logger }),
      ...(settings && { settings }),
      ...(tailCacheBytesMax !== undefined && { tailCacheBytesMax }),
    });
    const connector = localConnector(server.broker, new FetchSessions(systemRandom), clientId);
    const client = new Millrace({ connector, seeds: [LOCAL_ADDRESS], onClosed: () => server.close() }, options);
    client.#addresses = server.addresses;
    client.#fatal = server.fatal;
    return client;
  }
}
