import { Fault } from '../../base/faults.ts';
import { baseSequence, lastOffsetDelta, nextOffset, producerEpoch, producerId } from '../../record/batch.ts';
import { crc32c } from '../../record/crc32c.ts';
import type { PackedRecord } from '../../record/records.ts';
import type { ProducerIdentity } from '../producer-batch.ts';
import type { TargetState } from './checkpoint.ts';
import { recordsIn, type SourceBatch } from './source-partition.ts';

/*
 * What a run that ended without notice had stored in a partition of the target after its last checkpoint.
 *
 * Every batch carries the identity of its producer and a sequence, and a replay keeps both through all its runs: the sequence of a
 * record is its number among the replay's records in that partition. So the replay's own batches are known among those of any
 * other writer, and how far they go is read from the last one. The broker holds the same numbers against what it is sent: should
 * a request of the ended run arrive late, it or the first batch of the new run is out of sequence and refused, never stored twice.
 */

export const SEQUENCES = 2 ** 31;

/** A tail in the making, as its batches are read. */
export class StoredTail {
  readonly #identity: ProducerIdentity;
  readonly #known: TargetState;
  readonly #where: string;
  /** Whether batches may be missing at the beginning, deleted since. */
  readonly #mayBeCut: boolean;
  /** Of the replay's records from number `known.records` on; undefined where one was compacted or cut away. */
  readonly #checksums: (number | undefined)[] = [];
  readonly #withTimestamps: boolean;
  #recordsNext: number;
  #seen = false;
  /** After the last of the replay's batches. */
  offsetNext: number;

  constructor(
    known: TargetState,
    identity: ProducerIdentity,
    { where, mayBeCut, withTimestamps }: { where: string; mayBeCut: boolean; withTimestamps: boolean },
  ) {
    this.#known = known;
    this.#identity = identity;
    this.#where = where;
    this.#mayBeCut = mayBeCut;
    this.#withTimestamps = withTimestamps;
    this.#recordsNext = known.acknowledged;
    this.offsetNext = known.offset;
  }

  /** To be given every batch from the known offset on, in order. @throws Fault replayDiverged. */
  async add(batch: SourceBatch): Promise<void> {
    const { bytes, at } = batch;
    if (producerId(bytes, at) !== this.#identity.producerId) return;
    if (producerEpoch(bytes, at) !== this.#identity.epoch) return;
    const gap = (baseSequence(bytes, at) - (this.#recordsNext % SEQUENCES) + SEQUENCES) % SEQUENCES;
    if (gap !== 0 && !(this.#mayBeCut && !this.#seen)) {
      throw diverged(
        `${this.#where}: expected record ${this.#recordsNext} of the replay, found ${this.#recordsNext + gap}`,
      );
    }
    const first = this.#recordsNext + gap;
    this.#seen = true;
    this.#recordsNext = first + lastOffsetDelta(bytes, at) + 1;
    this.offsetNext = nextOffset(bytes, at);
    for (const record of await recordsIn(batch)) {
      const number = first + (record.offset - (this.offsetNext - (this.#recordsNext - first)));
      if (number >= this.#known.records) this.#checksums[number - this.#known.records] = this.#checksum(record);
    }
  }

  /** How many of the replay's records there are now, the known ones included. @throws Fault replayDiverged. */
  end(): number {
    if (this.#mayBeCut && !this.#seen) {
      throw diverged(
        `${this.#where}: records from offset ${this.#known.offset} on were deleted, and what they were cannot be told`,
      );
    }
    if (this.#recordsNext < this.#known.records) {
      throw diverged(
        `${this.#where}: ${this.#recordsNext} records of the replay are there, ${this.#known.records} were stored`,
      );
    }
    return this.#recordsNext;
  }

  /** Holds a record of the source against the one that was stored under its number. @throws Fault replayDiverged. */
  compare(number: number, record: PackedRecord): void {
    const stored = this.#checksums[number - this.#known.records];
    if (stored === undefined || stored === this.#checksum(record)) return;
    throw diverged(
      `${this.#where}: record ${number} of the replay is not the one that the source has now, at offset ${record.offset}`,
    );
  }

  #checksum({ timestampMs, content }: PackedRecord): number {
    const ofContent = crc32c(content);
    return this.#withTimestamps ? (ofContent ^ (timestampMs % 0x7fffffff)) >>> 0 : ofContent;
  }
}

function diverged(detail: string): Fault {
  return new Fault('replayDiverged', { detail });
}
