import { type Clock, sleep } from '../base/clock.ts';
import { Fault } from '../base/faults.ts';
import { limits } from '../base/limits.ts';
import { Pace } from '../base/pace.ts';
import { Semaphore } from '../base/semaphore.ts';
import { compressionOf } from '../record/batch.ts';
import { type Codecs, decompressSync, threadedCodecs } from '../record/compression.ts';
import { payloadOf, type RecordKey, recordKeysOf } from '../record/records.ts';

/** Of a batch; whoever sent more without a key learns as much from these. */
const TOLD_MAX = 100;

/** What comes out of a batch that is decompressed at once: another thread would take longer to be asked. */
const AT_ONCE_BYTES_MAX = 64 * 1024;
/** … and of all such batches in one turn of the event loop: a millisecond or two of work. */
const TURN_BYTES_MAX = 256 * 1024;
/** What such a batch costs beside, in bytes of work. */
const BATCH_BYTES = 8 * 1024;

/** What comes out of a batch of which several are decompressed at a time: most hold no more. */
const SEVERAL_BYTES_MAX = 4 * 1024 * 1024;
const SEVERAL = 4;

/** What it costs to pass over a record without headers, in bytes of work … */
const RECORD_BYTES = 40;
/** … and what came out of its batch, one part in so many: lz4 and snappy decompress on the event loop. */
const PAYLOAD_SHARE = 8;

/** More than Node ever takes out of memory that others have a part in. */
const RELEASED_BYTES_MIN = 1024 * 1024;

/** A batch for a compacted topic with records that have no key: which they are, as KIP-467 tells producers. */
export class KeylessRecords extends Fault {
  /** By their place in the batch. */
  readonly indexes: readonly number[];

  constructor(indexes: readonly number[]) {
    super('recordRefused', { detail: `record ${indexes[0]} has no key, which a compacted topic needs` });
    this.indexes = indexes;
  }
}

/** What a sound batch that is not compressed must be refused for; null for nothing. */
export function shownKeysFault(records: Buffer): KeylessRecords | null {
  return keysFault(records, payloadOf(records, 0));
}

function keysFault(records: Buffer, payload: Buffer): KeylessRecords | null {
  const keyless = new Keyless();
  for (const record of recordKeysOf(records, 0, payload)) if (keyless.note(record)) break;
  return keyless.fault;
}

/**
 * Checks the keys of compressed batches without holding up the event loop. Those that hold little are looked into at once, as many
 * as a turn of the loop has room for; of the others some are decompressed at a time, and of those that hold much (which a few bytes
 * may do) fewer. The rest wait in the order in which they came. How much a batch holds only decompression tells.
 */
export class HiddenKeys {
  readonly #codecs: Codecs;
  readonly #reads: Semaphore;
  readonly #clock: Clock;
  readonly #pace: Pace;
  readonly #several = new Semaphore(SEVERAL);
  readonly #large = new Semaphore(limits.keyChecksAtOnceMax);
  #turnBytes = 0;
  #nextTurn: Promise<void> = Promise.resolve();

  /** `reads`: the turns in which threads are used, so that some are left for syncs. */
  constructor(codecs: Codecs | undefined, reads: Semaphore, clock: Clock) {
    this.#codecs = codecs ?? threadedCodecs;
    this.#reads = reads;
    this.#clock = clock;
    this.#pace = new Pace(clock, Number.POSITIVE_INFINITY, () => {});
  }

  /** As faultOf, of a batch that holds little; undefined when it may not, or the turn has no room for it. */
  faultAtOnce(records: Buffer): Fault | null | undefined {
    const compressed = payloadOf(records, 0);
    if (compressed.length > AT_ONCE_BYTES_MAX || this.#turnBytes >= TURN_BYTES_MAX) return undefined;
    if (this.#turnBytes === 0) this.#nextTurn = sleep(this.#clock, 0).then(() => void (this.#turnBytes = 0));
    this.#turnBytes += BATCH_BYTES;
    try {
      const bytesMax = AT_ONCE_BYTES_MAX;
      const payload = decompressSync(compressionOf(records, 0), compressed, { bytesMax });
      this.#turnBytes += payload.length;
      return keysFault(records, payload);
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      // Whether it holds too much or cannot be read, the long way tells.
      this.#turnBytes += AT_ONCE_BYTES_MAX;
      return undefined;
    }
  }

  /**
   * What a batch must be refused for: records without a key, or that it cannot be read; null for nothing. `sinceMs`: when its
   * request came. @throws Fault requestTimedOut
   */
  async faultOf(records: Buffer, sinceMs: number): Promise<Fault | null> {
    if (this.#turnBytes >= TURN_BYTES_MAX) await this.#nextTurn;
    const known = this.faultAtOnce(records);
    if (known !== undefined) return known;
    const fault = await this.#several.run(() => this.#check(records, SEVERAL_BYTES_MAX, sinceMs));
    // Again one that may hold too much, or cannot be read.
    if (fault === null || fault instanceof KeylessRecords) return fault;
    return this.#large.run(() => this.#check(records, limits.decompressedBytesMax, sinceMs));
  }

  async #check(records: Buffer, bytesMax: number, sinceMs: number): Promise<Fault | null> {
    if (this.#clock.monotonicMs() - sinceMs > limits.keyChecksWaitMaxMs) {
      throw new Fault('requestTimedOut', { detail: 'too many batches wait for their keys to be looked for' });
    }
    try {
      const compressed = payloadOf(records, 0);
      const compression = compressionOf(records, 0);
      const payload = await this.#reads.run(() => this.#codecs.decompress(compression, compressed, { bytesMax }));
      return await this.#keysFault(records, payload).finally(() => release(payload));
    } catch (error) {
      if (error instanceof Fault) return error;
      throw error;
    }
  }

  async #keysFault(records: Buffer, payload: Buffer): Promise<KeylessRecords | null> {
    await this.#pace.items(0, payload.length / PAYLOAD_SHARE);
    const keyless = new Keyless();
    for (const record of recordKeysOf(records, 0, payload)) {
      if (keyless.note(record)) break;
      const pause = this.#pace.items(0, RECORD_BYTES + record.headerBytes);
      if (pause !== null) await pause;
    }
    return keyless.fault;
  }
}

/** Gives back at once what the garbage collector would keep for a while, unless it may be a part of something else. */
function release(payload: Buffer): void {
  const { buffer } = payload;
  if (payload.length >= RELEASED_BYTES_MIN && buffer instanceof ArrayBuffer) buffer.transfer(0);
}

class Keyless {
  readonly #indexes: number[] = [];

  /** Whether enough is known. */
  note({ offset, hasKey }: RecordKey): boolean {
    if (!hasKey) this.#indexes.push(offset);
    return this.#indexes.length === TOLD_MAX;
  }

  get fault(): KeylessRecords | null {
    return this.#indexes.length === 0 ? null : new KeylessRecords(this.#indexes);
  }
}
