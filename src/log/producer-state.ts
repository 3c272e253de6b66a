import { Fault } from '../base/faults.ts';
import { baseSequence, lastSequence, producerEpoch, producerId } from '../record/batch.ts';

/** Batches remembered per producer: as many as a Kafka client may have in flight. */
const BATCHES_KEPT = 5;
/** Sequence numbers go from 0 to this and start again. */
const SEQUENCE_LAST = 0x7fffffff;

export interface StoredBatch {
  readonly firstSequence: number;
  readonly lastSequence: number;
  readonly baseOffset: number;
  readonly lastOffset: number;
}

interface Producer {
  readonly epoch: number;
  /** The youngest last; never empty. */
  readonly batches: readonly StoredBatch[];
  /** Monotonic time of the last batch or of the start: producers expire by time spent silent, not by the wall clock. */
  readonly seenMs: number;
}

/** Takes an application of a batch back. Undone youngest first. */
export type Undo = () => void;

type Snapshot = [id: number, epoch: number, batches: [number, number, number, number][]][];

/**
 * What one partition knows of the idempotent producers that write to it: enough to tell a retry from a gap. Producers'
 * entries are never changed, only replaced, so that a failed write is undone by putting the earlier ones back.
 */
export class ProducerState {
  #producers = new Map<number, Producer>();

  get size(): number {
    return this.#producers.size;
  }

  /**
   * Judges a batch: null when it is to be appended, the stored one when it is a retry of it.
   * @throws Fault invalidProducerEpoch, outOfOrderSequence
   */
  check(batch: Buffer): StoredBatch | null {
    const id = producerId(batch, 0);
    const producer = id < 0 ? undefined : this.#producers.get(id);
    // An unknown producer may start anywhere: its earlier batches may have been deleted with its state.
    if (producer === undefined) return null;
    const epoch = producerEpoch(batch, 0);
    const first = baseSequence(batch, 0);
    if (epoch < producer.epoch) {
      throw new Fault('invalidProducerEpoch', { detail: `producer ${id} has epoch ${producer.epoch}, sent ${epoch}` });
    }
    if (epoch > producer.epoch) {
      if (first === 0) return null;
      throw new Fault('outOfOrderSequence', {
        detail: `producer ${id} begins epoch ${epoch} at sequence ${first}, not 0`,
      });
    }
    const last = lastSequence(batch, 0);
    const stored = producer.batches.find((b) => b.firstSequence === first && b.lastSequence === last);
    if (stored !== undefined) return stored;
    const expected = sequenceAfter(producer.batches.at(-1)!.lastSequence);
    if (first === expected) return null;
    throw new Fault('outOfOrderSequence', { detail: `producer ${id} sent sequence ${first}, expected ${expected}` });
  }

  /** Takes note of a batch that has its offset. */
  apply(batch: Buffer, baseOffset: number, lastOffset: number, nowMs: number): Undo | null {
    const id = producerId(batch, 0);
    // None: usually -1, but Kafka takes any below 0 for it.
    if (id < 0) return null;
    const before = this.#producers.get(id);
    const epoch = producerEpoch(batch, 0);
    const kept = before?.epoch === epoch ? before.batches.slice(1 - BATCHES_KEPT) : [];
    const stored = {
      firstSequence: baseSequence(batch, 0),
      lastSequence: lastSequence(batch, 0),
      baseOffset,
      lastOffset,
    };
    this.#producers.set(id, { epoch, batches: [...kept, stored], seenMs: nowMs });
    return () => {
      if (before === undefined) this.#producers.delete(id);
      else this.#producers.set(id, before);
    };
  }

  /** Whether the batch of a producer that ends at `lastOffset` is one that a retry of it would be known by. */
  remembers(id: number, lastOffset: number): boolean {
    return this.#producers.get(id)?.batches.some((batch) => batch.lastOffset === lastOffset) ?? false;
  }

  /** Forgets the producers silent since before `seenMs`. */
  expire(seenMs: number): void {
    for (const [id, producer] of this.#producers) if (producer.seenMs < seenMs) this.#producers.delete(id);
  }

  clear(): void {
    this.#producers.clear();
  }

  snapshot(): Snapshot {
    return Array.from(this.#producers, ([id, { epoch, batches }]) => [
      id,
      epoch,
      batches.map((b) => [b.firstSequence, b.lastSequence, b.baseOffset, b.lastOffset]),
    ]);
  }

  /**
   * The state when nothing from `nextOffset` on had been applied; null where that is not known any more. A producer has no more
   * batches under way than are remembered of it: of those before, the ones that are forgotten here are not sent again.
   */
  snapshotBefore(nextOffset: number): Snapshot | null {
    const snapshot: Snapshot = [];
    for (const [id, epoch, batches] of this.snapshot()) {
      const before = batches.filter(([, , , lastOffset]) => lastOffset < nextOffset);
      if (before.length === 0) return null;
      snapshot.push([id, epoch, before]);
    }
    return snapshot;
  }

  /** The inverse of `snapshot`; false, and empty, when the content is not one. */
  restore(content: unknown, nowMs: number): boolean {
    this.clear();
    if (!isSnapshot(content)) return false;
    for (const [id, epoch, batches] of content) {
      const stored = batches.map(([firstSequence, last, baseOffset, lastOffset]) => ({
        firstSequence,
        lastSequence: last,
        baseOffset,
        lastOffset,
      }));
      this.#producers.set(id, { epoch, batches: stored, seenMs: nowMs });
    }
    return true;
  }
}

function isSnapshot(content: unknown): content is Snapshot {
  return (
    Array.isArray(content) &&
    content.every(
      (entry) =>
        Array.isArray(entry) &&
        Number.isSafeInteger(entry[0]) &&
        Number.isSafeInteger(entry[1]) &&
        Array.isArray(entry[2]) &&
        entry[2].length > 0 &&
        entry[2].every((batch) => Array.isArray(batch) && batch.length === 4 && batch.every(Number.isSafeInteger)),
    )
  );
}

function sequenceAfter(sequence: number): number {
  return sequence === SEQUENCE_LAST ? 0 : sequence + 1;
}
