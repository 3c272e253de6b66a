import { batchBytes, isControl, isTransactional, lastOffset, producerId } from '../record/batch.ts';
import { recordsOf } from '../record/records.ts';
import type { FetchAbortedTransaction } from '../wire/messages.generated.ts';

/** In a control record's key, after a version of two bytes: 0 marks an abort, 1 a commit. */
const MARKER_TYPE_AT = 2;
const ABORT = 0;

/**
 * Tells which batches of an answer belong to aborted transactions: those of a producer from where its aborted transaction
 * began, as the answer lists it, to the abort's marker. Batches must be shown in order.
 */
export class AbortedTransactions {
  readonly #coming: FetchAbortedTransaction[];
  readonly #producerIds = new Set<number>();

  constructor(transactions: readonly FetchAbortedTransaction[]) {
    this.#coming = [...transactions].sort((a, b) => a.firstOffset - b.firstOffset);
  }

  hides(buffer: Buffer, at: number): boolean {
    if (this.#coming.length === 0 && this.#producerIds.size === 0) return false;
    const last = lastOffset(buffer, at);
    while (this.#coming.length > 0 && this.#coming[0]!.firstOffset <= last) {
      this.#producerIds.add(this.#coming.shift()!.producerId);
    }
    const producer = producerId(buffer, at);
    if (isControl(buffer, at)) {
      if (isAbortMarker(buffer.subarray(at, at + batchBytes(buffer, at)))) this.#producerIds.delete(producer);
      return true;
    }
    return isTransactional(buffer, at) && this.#producerIds.has(producer);
  }
}

function isAbortMarker(batch: Buffer): boolean {
  for (const { key } of recordsOf(batch)) {
    if (key !== null && key.length >= MARKER_TYPE_AT + 2) return key.readInt16BE(MARKER_TYPE_AT) === ABORT;
  }
  return false;
}
