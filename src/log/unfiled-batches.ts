import type { WrittenBatch } from './unsynced-batches.ts';

/** The end of a segment that its file does not have yet: batches that are durable in the journal, in memory until then. */
export class UnfiledBatches {
  #batches: WrittenBatch[] = [];
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  get buffers(): readonly Buffer[] {
    return this.#batches.map(({ batch }) => batch);
  }

  /** Takes batches, with their pins. */
  add(run: readonly WrittenBatch[]): void {
    for (const one of run) {
      this.#batches.push(one);
      this.#bytes += one.batch.length;
    }
  }

  /** The first `count` are in the file: their memory may be used again. */
  filed(count: number): void {
    for (const { batch, page } of this.#batches.splice(0, count)) {
      page.pins -= 1;
      this.#bytes -= batch.length;
    }
  }

  /** Fills `target` with what lies from `start` on, counted from the first one's first byte. */
  copy(target: Buffer, start: number): void {
    let at = -start;
    for (const { batch } of this.#batches) {
      if (at >= target.length) return;
      if (at + batch.length > 0) batch.copy(target, Math.max(at, 0), Math.max(-at, 0));
      at += batch.length;
    }
  }
}

/** Batches that lie end to end in one page of the tail cache are one buffer to the operating system. */
export function joinAdjacent(batches: readonly Buffer[]): Buffer[] {
  const joined: Buffer[] = [];
  for (const batch of batches) {
    const last = joined.at(-1);
    if (last?.buffer === batch.buffer && last.byteOffset + last.length === batch.byteOffset) {
      joined[joined.length - 1] = Buffer.from(last.buffer, last.byteOffset, last.length + batch.length);
    } else {
      joined.push(batch);
    }
  }
  return joined;
}
