import { invariant } from '../base/invariant.ts';
import type { ProducerBatch, ProducerIdentity } from './producer-batch.ts';

/** After which an identity is spent and the next one is the broker's to give. */
const EPOCH_LAST = 0x7fff;

/**
 * The batches of one partition, and the order in which they may be sent. No time and no I/O.
 *
 * An idempotent producer numbers its records, and the broker takes only the number that comes next, so that an attempt whose
 * answer was lost can be repeated, and five batches can be in flight without changing places. The rules:
 *
 * - A batch keeps its number through all attempts, and a batch that waits for another attempt goes before all later ones.
 * - "Out of order" for a batch with an earlier one undecided means that one has to come first: it is tried again as it is.
 * - "Out of order" for the earliest undecided batch means that the broker has not stored it and that what came before is not,
 *   or no longer, there. So is every batch that fails for good a gap. The partition then starts over: once all numbered batches
 *   are decided, the next is numbered from 0 under a raised epoch, and the broker refuses what is left of the old one.
 * - A broker takes any number from a producer that it does not know. So the first batch travels alone: were it refused for a
 *   moment, the second would be stored before it.
 */
export class PartitionQueue {
  readonly topic: string;
  readonly partition: number;
  /** Lowered when the broker finds a batch too large. */
  batchBytesMax: number;
  /** Before which, by the monotonic clock, nothing is sent. */
  retryAtMs = 0;
  /** By order: batches being filled, full ones, and those to be sent again. */
  #waiting: ProducerBatch[] = [];
  /** By order: numbered batches that are not decided, in flight or waiting. */
  #undecided: ProducerBatch[] = [];
  #inFlight = 0;
  #recordsAdded = 0;
  #identity: ProducerIdentity | null = null;
  #nextSequence = 0;
  #startsOver = false;
  /** Whether the broker has stored a batch under the identity. */
  #isKnown = false;
  #spentProducerId: number | null = null;

  constructor(topic: string, partition: number, batchBytesMax: number) {
    this.topic = topic;
    this.partition = partition;
    this.batchBytesMax = batchBytesMax;
  }

  get isEmpty(): boolean {
    return this.#waiting.length === 0;
  }

  /** The order for the batch added next. */
  get nextOrder(): number {
    return this.#recordsAdded;
  }

  /** The batch that takes records; null when there is none. */
  get open(): ProducerBatch | null {
    const last = this.#waiting.at(-1);
    return last === undefined || last.closed ? null : last;
  }

  add(batch: ProducerBatch): void {
    invariant(this.open === null, 'a partition fills one batch at a time');
    this.#waiting.push(batch);
  }

  /** Ends the filling of the batch that takes records. */
  closeOpen(): void {
    const { open } = this;
    if (open === null) return;
    open.closed = true;
    this.#recordsAdded = open.order + open.count;
  }

  /** The batch to be sent next; null when it must wait for one in flight. It may still be open. */
  next(inFlightMax: number): ProducerBatch | null {
    const first = this.#undecided[0];
    if (first !== undefined && !first.inFlight) return first;
    if (this.#inFlight >= inFlightMax) return null;
    if (this.#undecided.some((batch) => !batch.inFlight)) return null;
    if ((this.#startsOver || !this.#isKnown) && this.#undecided.length > 0) return null;
    return this.#waiting[0] ?? null;
  }

  /** Whether the identity at hand is one under which this partition can number no more: a new one is needed. */
  refuses(identity: ProducerIdentity): boolean {
    return (this.#startsOver || this.#identity === null) && identity.producerId === this.#spentProducerId;
  }

  /** Takes the batch that `next` gave to be sent, numbered under the identity; null for a producer that is not idempotent. */
  take(batch: ProducerBatch, identity: ProducerIdentity | null): void {
    invariant(batch.closed, 'a batch is closed before it is sent');
    this.#remove(this.#waiting, batch);
    batch.inFlight = true;
    batch.attempts++;
    this.#inFlight++;
    if (identity === null || batch.isNumbered) return;
    if (this.#startsOver || this.#identity === null) this.#startOver(identity);
    const numbered = this.#identity;
    invariant(numbered !== null, 'a partition numbers under an identity');
    batch.number(numbered, this.#nextSequence);
    this.#nextSequence = batch.nextSequence;
    this.#undecided.push(batch);
  }

  #startOver(identity: ProducerIdentity): void {
    invariant(identity.producerId !== this.#spentProducerId, 'a spent identity is not used again', identity);
    const own = this.#identity;
    const raises = own !== null && own.producerId === identity.producerId;
    this.#identity = raises ? { producerId: own.producerId, epoch: own.epoch + 1 } : identity;
    if (this.#identity.epoch === EPOCH_LAST) this.#spentProducerId = this.#identity.producerId;
    this.#nextSequence = 0;
    this.#startsOver = false;
    this.#isKnown = false;
  }

  /** Stops counting a batch as in flight, whatever its outcome; the first call to make of it after `take`. */
  landed(batch: ProducerBatch): void {
    invariant(batch.inFlight, 'a batch lands once');
    batch.inFlight = false;
    this.#inFlight--;
  }

  /** The broker has stored it. */
  succeed(batch: ProducerBatch): void {
    this.#remove(this.#undecided, batch);
    if (batch.identity === this.#identity) this.#isKnown = true;
  }

  /** To be sent again as it is. */
  retry(batch: ProducerBatch): void {
    const at = this.#waiting.findIndex((other) => other.order > batch.order);
    this.#waiting.splice(at === -1 ? this.#waiting.length : at, 0, batch);
  }

  /** The broker says that its number, or what it knows of the producer, does not fit. */
  retryOutOfOrder(batch: ProducerBatch): void {
    if (this.#undecided[0] === batch) {
      this.#undecided.shift();
      batch.unnumber();
      this.#startsOver = true;
    }
    this.retry(batch);
  }

  /** It will not be sent again: refused for good, or too old. Whether it was stored may not be known. */
  giveUp(batch: ProducerBatch): void {
    if (batch === this.open) this.closeOpen();
    this.#remove(this.#waiting, batch);
    if (this.#remove(this.#undecided, batch)) this.#startsOver = true;
  }

  /** The broker refuses the identity itself; the partition needs a new one. */
  spendIdentity(): void {
    this.#spentProducerId = this.#identity?.producerId ?? null;
    this.#startsOver = true;
  }

  /** Puts the halves of a batch in its place. */
  replace(batch: ProducerBatch, halves: readonly ProducerBatch[]): void {
    const at = this.#undecided.indexOf(batch);
    if (at !== -1) this.#undecided.splice(at, 1, ...halves);
    for (const half of halves) this.retry(half);
  }

  #remove(list: ProducerBatch[], batch: ProducerBatch): boolean {
    const at = list.indexOf(batch);
    if (at !== -1) list.splice(at, 1);
    return at !== -1;
  }
}
