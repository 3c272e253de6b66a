import { crc32 } from 'node:zlib';
import type { Disk, DiskFile, DiskLock, OpenMode } from '../../src/disk/disk.ts';
import type { SeededRandom } from '../seeded-random.ts';
import { oneIn } from './random-streams.ts';
import type { Life, Scheduler } from './scheduler.ts';
import type { Trace } from './trace.ts';

/** How long the calls of a disk take. */
export interface DiskPace {
  /** Of each call's two halves, usually. */
  usualMsMax: number;
  /** Of one in 50. */
  slowMsMax: number;
}

/**
 * A disk whose calls take time: each takes effect at a moment between its start and its return, so those that run at once
 * take effect and return in any order, and a crash finds them before or after either. A file's `read` returns the bytes of
 * the moment in which it took effect; a `sync` covers what had taken effect by then, and nothing that came later.
 */
export class PacedDisk implements Disk {
  readonly #inner: Disk;
  readonly #scheduler: Scheduler;
  readonly #life: Life;
  readonly #random: SeededRandom;
  readonly #pace: DiskPace;
  readonly #trace: Trace;
  readonly #onCreate: (path: string) => void;

  constructor(
    inner: Disk,
    context: {
      scheduler: Scheduler;
      life: Life;
      random: SeededRandom;
      pace: DiskPace;
      trace: Trace;
      onCreate: (path: string) => void;
    },
  ) {
    this.#inner = inner;
    this.#scheduler = context.scheduler;
    this.#life = context.life;
    this.#random = context.random;
    this.#pace = context.pace;
    this.#trace = context.trace;
    this.#onCreate = context.onCreate;
  }

  async open(path: string, mode: OpenMode): Promise<DiskFile> {
    const file = await this.#call(`open ${path} ${mode}`, () => this.#inner.open(path, mode));
    if (mode === 'create') this.#onCreate(path);
    const call = <T>(what: string, action: () => Promise<T>): Promise<T> => this.#call(`${what} ${path}`, action);
    return {
      read: (buffer, position) => call(`read ${position}+${buffer.length}`, () => file.read(buffer, position)),
      write: (buffers, position) => {
        const size = buffers.reduce((sum, { length }) => sum + length, 0);
        return call(`write ${position}+${size}`, async () => {
          // Taken when it takes effect: as with a real disk, whoever changes a buffer meanwhile changes what is written.
          const bytes = Buffer.concat(buffers);
          this.#trace.add(`bytes ${crc32(bytes)}`);
          await file.write([bytes], position);
        });
      },
      sync: () => call('sync', () => file.sync()),
      truncate: (sizeBytes) => call(`truncate ${sizeBytes}`, () => file.truncate(sizeBytes)),
      size: () => call('size', () => file.size()),
      close: () => call('close', () => file.close()),
    };
  }

  list(path: string): Promise<string[]> {
    return this.#call(`list ${path}`, () => this.#inner.list(path));
  }

  size(path: string): Promise<number | null> {
    return this.#call(`size ${path}`, () => this.#inner.size(path));
  }

  makeFolder(path: string): Promise<void> {
    return this.#call(`makeFolder ${path}`, () => this.#inner.makeFolder(path));
  }

  rename(from: string, to: string): Promise<void> {
    return this.#call(`rename ${from} ${to}`, () => this.#inner.rename(from, to));
  }

  remove(path: string): Promise<void> {
    return this.#call(`remove ${path}`, () => this.#inner.remove(path));
  }

  removeFolder(path: string): Promise<void> {
    return this.#call(`removeFolder ${path}`, () => this.#inner.removeFolder(path));
  }

  syncFolder(path: string): Promise<void> {
    return this.#call(`syncFolder ${path}`, () => this.#inner.syncFolder(path));
  }

  lock(path: string): Promise<DiskLock | null> {
    return this.#call(`lock ${path}`, () => this.#inner.lock(path));
  }

  space(): Promise<{ freeBytes: number; totalBytes: number }> {
    return this.#call('space', () => this.#inner.space());
  }

  async #call<T>(what: string, action: () => Promise<T>): Promise<T> {
    await this.#pause();
    let fault = '';
    try {
      return await action();
    } catch (error) {
      fault = ` ${error}`;
      throw error;
    } finally {
      this.#trace.add(`disk ${what}${fault}`);
      await this.#pause();
    }
  }

  #pause(): Promise<void> {
    const { usualMsMax, slowMsMax } = this.#pace;
    const maxMs = oneIn(this.#random, 50) ? slowMsMax : usualMsMax;
    return this.#scheduler.sleep((this.#random.below(1000) / 1000) * maxMs, this.#life);
  }
}
