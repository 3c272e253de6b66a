import type { Fault } from '../base/faults.ts';
import { invariant } from '../base/invariant.ts';
import { Semaphore } from '../base/semaphore.ts';
import type { Disk, DiskFile } from '../disk/disk.ts';

/** A file that is opened when it is needed: `close` is until then, `end` for good. A read under way keeps the handle. */
export class LazyFile {
  readonly #disk: Disk;
  #path: string;
  #mode: 'read' | 'write' = 'read';
  #handle: Promise<DiskFile> | null = null;
  #readers = 0;
  readonly #turn = new Semaphore(1);
  /** Why it is not opened any more. */
  #ended: Fault | null = null;

  constructor(disk: Disk, path: string) {
    this.#disk = disk;
    this.#path = path;
  }

  get path(): string {
    return this.#path;
  }

  get isOpen(): boolean {
    return this.#handle !== null;
  }

  get isBeingRead(): boolean {
    return this.#readers > 0;
  }

  get hasEnded(): boolean {
    return this.#ended !== null;
  }

  /** Makes the file, which is written to from then on. */
  create(): Promise<DiskFile> {
    this.#mode = 'write';
    this.#handle = this.#disk.open(this.#path, 'create');
    return this.#handle;
  }

  /** Says, before the file is opened, that it is going to be written to. */
  makeWritable(): void {
    invariant(this.#handle === null, 'a file is made writable after it was opened');
    this.#mode = 'write';
  }

  /** @throws Fault the one that it has ended with */
  open(): Promise<DiskFile> {
    if (this.#handle === null) {
      if (this.#ended !== null) return Promise.reject(this.#ended);
      const opening = this.#disk.open(this.#path, this.#mode);
      this.#handle = opening;
      // A failed opening is not remembered: the next call tries again.
      opening.catch(() => {
        if (this.#handle === opening) this.#handle = null;
      });
    }
    return this.#handle;
  }

  /** Fills `target` with what lies from `position` on; returns how many bytes there were. */
  async read(target: Buffer, position: number): Promise<number> {
    this.#readers += 1;
    try {
      return await (await this.open()).read(target, position);
    } finally {
      this.#readers -= 1;
      if (this.#ended !== null && this.#readers === 0) await this.close();
    }
  }

  /** Runs what writes to the file, or beside it: one at a time. `end` waits for it. */
  exclusively<T>(work: () => Promise<T>): Promise<T> {
    return this.#turn.run(work);
  }

  async rename(path: string): Promise<void> {
    await this.#disk.rename(this.#path, path);
    this.#path = path;
  }

  async close(): Promise<void> {
    const handle = this.#handle;
    this.#handle = null;
    if (handle !== null) await (await handle).close();
  }

  /** Refuses to open the file again. The handle is given back here or, when there are reads under way, by the last of them. */
  async end(reason: Fault): Promise<void> {
    this.#ended ??= reason;
    await this.#turn.run(async () => {
      if (this.#readers === 0) await this.close();
    });
  }
}
