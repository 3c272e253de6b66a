import type { Undo } from './producer-state.ts';
import type { WrittenBatch } from './unsynced-batches.ts';
import type { WriteAhead } from './write-ahead.ts';

export interface PendingBatch extends WrittenBatch {
  undo: Undo | null;
  /** The group of several logs that it is a part of. */
  readonly ahead: WriteAhead | null;
}

/** Batches that have their offsets and are not written, in order. */
export class PendingBatches {
  #batches: PendingBatch[] = [];

  get first(): PendingBatch | undefined {
    return this.#batches[0];
  }

  push(batch: PendingBatch): void {
    // The first by itself: an array that grows gets room for seventeen, and most runs are of one.
    if (this.#batches.length === 0) this.#batches = [batch];
    else this.#batches.push(batch);
  }

  /** Of all of them; where that is more than `bytesMax`, some number above it. */
  bytesUpTo(bytesMax: number): number {
    let bytes = 0;
    for (const { batch } of this.#batches) {
      bytes += batch.length;
      if (bytes > bytesMax) break;
    }
    return bytes;
  }

  /** Takes those that are written together, of `bytesMax` at most: one at least, and a part of a group alone. */
  takeRun(bytesMax: number): PendingBatch[] {
    let bytes = 0;
    let count = 0;
    for (const { batch, ahead } of this.#batches) {
      if (count > 0 && (ahead !== null || bytes + batch.length > bytesMax)) break;
      bytes += batch.length;
      count += 1;
      if (ahead !== null) break;
    }
    return this.takeFirst(count);
  }

  takeFirst(count: number): PendingBatch[] {
    if (count < this.#batches.length) return this.#batches.splice(0, count);
    const all = this.#batches;
    this.#batches = [];
    return all;
  }

  takeAll(): PendingBatch[] {
    return this.takeFirst(this.#batches.length);
  }

  putBack(run: readonly PendingBatch[]): void {
    if (run.length > 0) this.#batches = [...run, ...this.#batches];
  }

  /** What `use` returns while the producers' state is that before all of these; `apply` brings a batch back into it. */
  without<T>(use: () => T, apply: (batch: Buffer) => Undo | null): T {
    for (const { undo } of this.#batches.toReversed()) undo?.();
    const result = use();
    for (const pending of this.#batches) pending.undo = apply(pending.batch);
    return result;
  }
}
