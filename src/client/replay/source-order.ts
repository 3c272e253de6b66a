import { baseOffset } from '../../record/batch.ts';
import type { PackedRecord } from '../../record/records.ts';
import { type BatchSource, recordsIn, type SourceBatch } from './source-partition.ts';

/*
 * The order in which the records of several partitions are replayed. It follows from the records alone, never from which broker
 * answers first: so a replay that goes on from a checkpoint gives every partition of the target the same records in the same
 * order as the run before it did, and those that are there already can be counted off.
 */

/** Records of one partition that come next, in order. */
export interface Portion {
  readonly partition: number;
  /** Where they all are one batch: that batch. */
  readonly batch: SourceBatch | null;
  /** They, or how to get at them. */
  readonly records: () => Promise<readonly PackedRecord[]> | readonly PackedRecord[];
}

/** Whose turn it is; JSON. */
export interface TurnState {
  readonly partition: number | null;
  /** A batch that begins from this offset on is of a later turn; null: the turn has not begun. */
  readonly endNext: number | null;
}

export interface SourceOrder {
  portions(): AsyncGenerator<Portion, void, undefined>;
  /** As of the portion given last. */
  readonly turn: TurnState;
}

export const NO_TURN: TurnState = { partition: null, endNext: null };

/** How many offsets of a partition come before it is the next one's turn. */
const TURN_OFFSETS = 16 * 1024;

/**
 * The partitions take turns. A turn ends where the next batch begins at or after the next multiple of TURN_OFFSETS, so it is the
 * same wherever in it a run begins.
 */
export class ByTurns implements SourceOrder {
  readonly #partitions: readonly BatchSource[];
  #turn: TurnState;

  constructor(partitions: readonly BatchSource[], turn: TurnState) {
    this.#partitions = [...partitions].sort((a, b) => a.partition - b.partition);
    this.#turn = turn;
  }

  get turn(): TurnState {
    return this.#turn;
  }

  async *portions(): AsyncGenerator<Portion, void, undefined> {
    const open = [...this.#partitions];
    let index = Math.max(
      0,
      open.findIndex(({ partition }) => partition >= (this.#turn.partition ?? 0)),
    );
    while (open.length > 0) {
      index %= open.length;
      const source = open[index]!;
      if (this.#turn.partition !== source.partition) this.#turn = { partition: source.partition, endNext: null };
      const batch = await source.peek();
      if (batch === null) {
        open.splice(index, 1);
        continue;
      }
      const startNext = baseOffset(batch.bytes, batch.at);
      const endNext = this.#turn.endNext ?? (Math.floor(startNext / TURN_OFFSETS) + 1) * TURN_OFFSETS;
      this.#turn = { partition: source.partition, endNext };
      if (startNext >= endNext) {
        index++;
        this.#turn = { partition: open[index % open.length]!.partition, endNext: null };
        continue;
      }
      source.take();
      yield { partition: source.partition, batch, records: () => recordsIn(batch) };
    }
  }
}

interface Head {
  readonly source: BatchSource;
  readonly records: readonly PackedRecord[];
  index: number;
}

/** Whichever partition's next record has the smallest timestamp goes first; of equal ones the partition with the smallest number. */
export class ByTimestamps implements SourceOrder {
  readonly turn = NO_TURN;
  readonly #partitions: readonly BatchSource[];

  constructor(partitions: readonly BatchSource[]) {
    this.#partitions = [...partitions].sort((a, b) => a.partition - b.partition);
  }

  async *portions(): AsyncGenerator<Portion, void, undefined> {
    const heads: Head[] = [];
    for (const source of this.#partitions) {
      const head = await headOf(source);
      if (head !== null) heads.push(head);
    }
    while (heads.length > 0) {
      let first = 0;
      for (let index = 1; index < heads.length; index++) {
        if (timestampOf(heads[index]!) < timestampOf(heads[first]!)) first = index;
      }
      const head = heads[first]!;
      const record = head.records[head.index++]!;
      yield { partition: head.source.partition, batch: null, records: () => [record] };
      if (head.index < head.records.length) continue;
      const next = await headOf(head.source);
      if (next === null) heads.splice(first, 1);
      else heads[first] = next;
    }
  }
}

function timestampOf({ records, index }: Head): number {
  return records[index]!.timestampMs;
}

/** The partition's next batch that holds records; null at the end. */
async function headOf(source: BatchSource): Promise<Head | null> {
  for (let batch = await source.peek(); batch !== null; batch = await source.peek()) {
    source.take();
    const records = await recordsIn(batch);
    if (records.length > 0) return { source, records, index: 0 };
  }
  return null;
}
