import { baseOffset } from '../record/batch.ts';
import type { JournalEntry } from './journal-round.ts';
import type { LeaderEpochs } from './leader-epochs.ts';
import type { Page } from './tail-cache.ts';

/**
 * Bytes of one log in a round of the journal. What is more is synced in place: bulk is not worth writing twice. Measured: see
 * docs/decisions.
 */
export const JOURNAL_ENTRY_BYTES_MAX = 128 * 1024;

export interface WrittenBatch {
  readonly batch: Buffer;
  /** Of the tail cache, where the batch lies; one pin on it is the batch's. */
  readonly page: Page;
  readonly nextOffset: number;
}

/** What an entry says of its log. */
interface LogOfEntry {
  readonly folderUtf8: Buffer;
  readonly activeSegment: { readonly baseOffset: number };
  readonly epochs: LeaderEpochs;
  readonly leaderEpoch: number;
}

/**
 * A log's youngest batches, which are in its file and not durable yet, at hand for the journal. When they become too many, all
 * are dropped, and those that follow are taken: syncs in place make up for what was dropped.
 */
export class UnsyncedBatches {
  #batches: WrittenBatch[] = [];
  #bytes = 0;
  /** What lay before this was dropped. */
  #droppedNext = 0;
  #isWhole = true;

  /** Whether these are all that is not durable. */
  get isWhole(): boolean {
    return this.#isWhole;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** For the journal: these batches, which end at `endPosition` of the segment's file, and those that are to follow them. */
  entry(
    { folderUtf8, activeSegment, epochs, leaderEpoch }: LogOfEntry,
    endPosition: number,
    following: readonly Pick<WrittenBatch, 'batch' | 'nextOffset'>[],
  ): JournalEntry {
    const all = this.#batches.length === 0 ? following : [...this.#batches, ...following];
    const batches = all.map(({ batch }) => batch);
    let bytes = this.#bytes;
    for (const { batch } of following) bytes += batch.length;
    const { nextOffset } = all.at(-1)!;
    const segmentBase = activeSegment.baseOffset;
    const position = endPosition - this.#bytes;
    // Where no batch of it is written yet, it begins with this one.
    const epochStart = epochs.startOfLatest(leaderEpoch) ?? baseOffset(batches[0]!, 0);
    return { folder: folderUtf8, segmentBase, position, epochStart, nextOffset, batches, bytes };
  }

  /** Takes what was written, with its pins; `forJournal` says whether it may be wanted there. */
  add(run: readonly WrittenBatch[], forJournal: boolean): void {
    for (const written of run) {
      this.#batches.push(written);
      this.#bytes += written.batch.length;
    }
    if (forJournal && this.#bytes <= JOURNAL_ENTRY_BYTES_MAX) return;
    this.drop();
    this.#droppedNext = run.at(-1)!.nextOffset;
  }

  /** All before `durableNext` is durable. */
  durable(durableNext: number): void {
    let count = 0;
    for (const { batch, page, nextOffset } of this.#batches) {
      if (nextOffset > durableNext) break;
      page.pins -= 1;
      this.#bytes -= batch.length;
      count += 1;
    }
    if (count > 0) this.#batches.splice(0, count);
    // Also while more is written all the time: what was dropped is what counts.
    if (durableNext >= this.#droppedNext) this.#isWhole = true;
  }

  drop(): void {
    for (const { page } of this.#batches) page.pins -= 1;
    this.#batches = [];
    this.#bytes = 0;
    this.#isWhole = false;
  }
}
