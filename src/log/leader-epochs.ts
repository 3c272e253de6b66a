import { lastIndexWhere } from './offset-index.ts';

export interface EpochStart {
  readonly epoch: number;
  readonly startOffset: number;
}

export function areAscending(starts: readonly EpochStart[]): boolean {
  return starts.every(({ epoch, startOffset }, i) => {
    const before = starts[i - 1] ?? { epoch: -1, startOffset: -1 };
    return epoch > before.epoch && startOffset > before.startOffset;
  });
}

/** Leader epochs of which a record may have any. */
export interface EpochRange {
  readonly lowest: number;
  readonly highest: number;
}

/**
 * Which leader epoch begins at which offset (KIP-101). Clients ask for it to learn whether the log was cut behind what they
 * read. Epochs and start offsets both ascend.
 */
export class LeaderEpochs {
  #starts: EpochStart[];

  constructor(starts: readonly EpochStart[] = []) {
    this.#starts = [...starts];
  }

  get starts(): readonly EpochStart[] {
    return this.#starts;
  }

  get latest(): number {
    return this.#starts.at(-1)?.epoch ?? -1;
  }

  /** Where an epoch begins that is the latest; null when it has no record yet. */
  startOfLatest(epoch: number): number | null {
    const last = this.#starts.at(-1);
    return last?.epoch === epoch ? last.startOffset : null;
  }

  /** Notes that `epoch` begins at `startOffset`; false when it had begun already. */
  begin(epoch: number, startOffset: number): boolean {
    if (epoch <= this.latest) return false;
    // An epoch without a record leaves no trace.
    while (this.#starts.length > 0 && this.#starts.at(-1)!.startOffset >= startOffset) this.#starts.pop();
    this.#starts.push({ epoch, startOffset });
    return true;
  }

  /**
   * The largest epoch up to the one asked for, and the offset after its last record; null when no epoch is known. One whose
   * records are all deleted ends where the log starts: a reader that stands there has missed nothing.
   */
  endOf(epoch: number, logEndOffset: number): { epoch: number; endOffset: number } | null {
    if (this.#starts.length === 0) return null;
    const index = lastIndexWhere(this.#starts.length, (i) => this.#starts[i]!.epoch <= epoch);
    return {
      epoch: this.#starts[index]?.epoch ?? epoch,
      endOffset: this.#starts[index + 1]?.startOffset ?? logEndOffset,
    };
  }

  /** The epoch of the record at `offset`; -1 when it is not known. */
  at(offset: number): number {
    const index = lastIndexWhere(this.#starts.length, (i) => this.#starts[i]!.startOffset <= offset);
    return index < 0 ? -1 : this.#starts[index]!.epoch;
  }

  /** The epoch of the record at `offset`, as the one that it must have; null when it is not known. */
  knownAt(offset: number): EpochRange | null {
    const epoch = this.at(offset);
    return epoch < 0 ? null : { lowest: epoch, highest: epoch };
  }

  /** Forgets what lies before `startOffset`, which is the log's new start. */
  cutStart(startOffset: number): void {
    const index = lastIndexWhere(this.#starts.length, (i) => this.#starts[i]!.startOffset <= startOffset);
    if (index < 0) return;
    this.#starts.splice(0, index, { epoch: this.#starts[index]!.epoch, startOffset });
    this.#starts.splice(1, 1);
  }
}
