import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { systemClock } from './base/clock.ts';
import { Fault } from './base/faults.ts';
import { type Logger, silentLogger } from './base/logger.ts';
import { systemRandom } from './base/random.ts';
import { Broker } from './broker/broker.ts';
import { IDENTITY_FILE } from './broker/identity.ts';
import { realDisk } from './disk/real-disk.ts';
import { unsyncedDisk } from './disk/unsynced-disk.ts';
import type { Address } from './server/context.ts';
import { type ListenAddress, Server } from './server/server.ts';

/** What a broker keeps in its data folder. */
const FOLDERS: readonly string[] = ['topics', 'ledger', 'journal'];

export const DEFAULT_PORT = 9092;

/** Only this machine, in both its forms. */
export const LOOPBACK: readonly ListenAddress[] = [
  { host: '127.0.0.1', port: DEFAULT_PORT },
  { host: '::1', port: DEFAULT_PORT, optional: true },
];

export interface BrokerSetup {
  /** The data folder; without one a temporary folder, never synced and removed at close. */
  readonly dataFolder?: string | undefined;
  /** Broker settings by Kafka's names, for example `{ 'num.partitions': '4' }`. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Default: says nothing. */
  readonly logger?: Logger;
  /** Memory for the youngest batches of all partitions. Default 32 MiB. */
  readonly tailCacheBytesMax?: number;
}

export interface ServerSetup extends BrokerSetup {
  /** Default: port 9092 of 127.0.0.1 and ::1. */
  readonly listen?: readonly ListenAddress[];
}

export interface RunningServer {
  readonly broker: Broker;
  /** What is listened on, with the ports that were given for 0. */
  readonly addresses: readonly Address[];
  /** Resolves if the broker stops by itself, with the reason. */
  readonly fatal: Promise<Fault>;
  /** Answers what has begun, makes all durable, gives the folder back. Callable twice. */
  close(): Promise<void>;
}

/**
 * A broker with open doors. @throws Fault folderInUse, folderTooNew, damagedMetadata, invalidConfig, portInUse,
 * addressUnavailable, diskFullAtStart, notAFolder, foreignFolder, nestedFolder, readOnlyDisk, diskError
 */
export async function startServer(setup: ServerSetup): Promise<RunningServer> {
  const listen = setup.listen ?? LOOPBACK;
  const { broker, close: closeBroker } = await openBroker(setup, listen);
  const server = new Server(broker, systemRandom);
  const close = async (): Promise<void> => {
    await server.close();
    await closeBroker();
  };
  const addresses: Address[] = [];
  try {
    for (const address of listen) {
      // A free port, once taken, serves the other forms of this machine too.
      const port = address.port === 0 ? (addresses[0]?.port ?? 0) : address.port;
      const listening = await server.listen({ ...address, port });
      if (listening !== null) addresses.push(listening);
    }
  } catch (error) {
    await close();
    throw error;
  }
  void broker.fatal.then(() => server.close());
  let closing: Promise<void> | null = null;
  return { broker, addresses, fatal: broker.fatal, close: () => (closing ??= close()) };
}

/** A broker without doors, and how to close it. @throws Fault as startServer does, but for the addresses */
export async function openBroker(
  setup: BrokerSetup,
  listen: readonly ListenAddress[] = [],
): Promise<{ broker: Broker; close: () => Promise<void> }> {
  const { dataFolder } = setup;
  if (dataFolder !== undefined) checkIsNoPart(path.resolve(dataFolder));
  const folder = dataFolder ?? (await mkdtemp(path.join(tmpdir(), 'millrace-')));
  const removeFolder = async (): Promise<void> => {
    if (dataFolder === undefined) await rm(folder, { recursive: true, force: true });
  };
  const disk = realDisk(path.resolve(folder));
  const threads = Number(process.env['UV_THREADPOOL_SIZE'] ?? 4);
  try {
    const broker = await Broker.open({
      disk: dataFolder === undefined ? unsyncedDisk(disk) : disk,
      journaled: dataFolder !== undefined,
      clock: systemClock,
      random: systemRandom,
      logger: setup.logger ?? silentLogger,
      settings: setup.settings ?? {},
      startFacts: startFacts(path.resolve(folder), listen),
      tailCacheBytesMax: setup.tailCacheBytesMax ?? 32 * 1024 * 1024,
      // Two of libuv's threads stay for the syncer.
      readsAtOnceMax: Math.max(1, threads - 2),
    });
    return { broker, close: () => broker.close().finally(removeFolder) };
  } catch (error) {
    await removeFolder();
    throw error;
  }
}

/** @throws Fault nestedFolder for a folder within what a broker keeps in its own */
function checkIsNoPart(folder: string): void {
  for (let at = folder, above = path.dirname(at); above !== at; at = above, above = path.dirname(at)) {
    if (!FOLDERS.includes(path.basename(at)) || !existsSync(path.join(above, IDENTITY_FILE))) continue;
    throw new Fault('nestedFolder', { detail: `${folder} lies in ${above}` });
  }
}

function startFacts(folder: string, listen: readonly ListenAddress[]): Record<string, string> {
  const list = (addresses: readonly Address[]) =>
    addresses.map(({ host, port }) => `PLAINTEXT://${host}:${port}`).join(',');
  const advertised = listen.flatMap(({ advertise }) => advertise ?? []);
  return { 'log.dirs': folder, listeners: list(listen), 'advertised.listeners': list(advertised) };
}
