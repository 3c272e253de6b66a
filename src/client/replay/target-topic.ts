import { Fault } from '../../base/faults.ts';
import { compressionOf, recordCount } from '../../record/batch.ts';
import type { Compression } from '../../record/compression.ts';
import type { PackedRecord } from '../../record/records.ts';
import type { Admin } from '../admin.ts';
import type { ProducerIdentity } from '../producer-batch.ts';
import { askIdentity } from '../producer-identity.ts';
import type { TargetState, TopicState } from './checkpoint.ts';
import type { Route } from './route.ts';
import { type ReplaySide, type SourceBatch, SourcePartition } from './source-partition.ts';
import { StoredTail } from './stored-tail.ts';
import { TargetPartition, type TargetSettings } from './target-partition.ts';

/** What is known of the topic to write to. */
export interface TargetFacts {
  readonly topic: string;
  readonly topicId: string | null;
  /** Those that records may go to. */
  readonly partitions: readonly number[];
  readonly storedBytesMax: number;
  /** Whether the topic keeps the records' own timestamps. */
  readonly keepsTimestamps: boolean;
}

/** Bytes that are sent or to be sent, and not stored. */
const UNSTORED_BYTES_MAX = 32 * 1024 * 1024;
/** All batches that are being filled, together. */
const FILLING_BYTES_MAX = 64 * 1024 * 1024;
const BATCH_BYTES_MAX = 512 * 1024;
const BATCH_BYTES_MIN = 16 * 1024;
/** Room for a header of a batch and what compression may add. */
const OVERHEAD_BYTES = 1024;
const TAIL_PREFETCH_BYTES = 8 * 1024 * 1024;

interface Slot {
  readonly target: TargetPartition;
  /** Records that are stored already are counted off against it. */
  readonly known: TargetState;
  readonly tail: StoredTail;
  readonly storedNext: number;
  /** The number of the next record. */
  next: number;
}

/** Writes a replay's records to a topic, each partition for itself, and knows what of them is stored. */
export class TargetTopic {
  readonly #route: Route;
  readonly #compression: Compression | 'same';
  readonly #state: TopicState;
  readonly #slots = new Map<number, Slot>();
  #unstoredBytes = 0;
  #waitingForRoom: (() => void)[] = [];
  #failure: { error: unknown } | null = null;
  readonly #whenFailed: Promise<never>;
  #fail: (error: unknown) => void = () => {};
  /** Records that an earlier run had stored, as far as they have come by. */
  found = 0;

  private constructor(route: Route, compression: Compression | 'same', state: TopicState) {
    this.#route = route;
    this.#compression = compression;
    this.#state = state;
    this.#whenFailed = new Promise((_, reject) => {
      this.#fail = reject;
    });
    this.#whenFailed.catch(() => {});
  }

  /** What a replay begins from: nothing of it is there. */
  static async begin(side: ReplaySide, admin: Admin, facts: TargetFacts): Promise<TopicState> {
    const { producerId, epoch: producerEpoch } = await askIdentity(side.cluster, side.callTimeoutMs);
    const ends = await admin.offsets(facts.topic, 'latest', { partitions: facts.partitions });
    const partitions = facts.partitions.map((partition) => ({
      partition,
      records: 0,
      acknowledged: 0,
      offset: ends.get(partition)!.offset,
    }));
    return { topicId: facts.topicId, producerId, producerEpoch, partitions };
  }

  /** Finds what is stored beyond the state, and goes on after it. @throws Fault replayDiverged and others. */
  static async resume(
    side: ReplaySide,
    admin: Admin,
    facts: TargetFacts,
    state: TopicState,
    how: { route: Route; compression: Compression | 'same' },
  ): Promise<TargetTopic> {
    if (facts.topicId !== state.topicId) {
      throw new Fault('replayDiverged', { detail: `topic ${facts.topic} was deleted and made again` });
    }
    const target = new TargetTopic(how.route, how.compression, state);
    const partitions = state.partitions.map(({ partition }) => partition);
    const earliest = await admin.offsets(facts.topic, 'earliest', { partitions });
    const latest = await admin.offsets(facts.topic, 'latest', { partitions });
    const settings: TargetSettings = {
      topic: facts.topic,
      identity: { producerId: state.producerId, epoch: state.producerEpoch },
      batchBytesMax: batchBytesMax(facts, state.partitions.length),
      storedBytesMax: facts.storedBytesMax,
      findStored: async (partition, { records, offset }) => {
        const only = { partitions: [partition] };
        const bounds = {
          earliest: (await admin.offsets(facts.topic, 'earliest', only)).get(partition)!.offset,
          latest: (await admin.offsets(facts.topic, 'latest', only)).get(partition)!.offset,
        };
        const known = { partition, records, acknowledged: records, offset };
        const tail = await tailOf(side, facts, settings.identity, known, bounds);
        return { records: tail.end(), offset: tail.offsetNext };
      },
      onStored: (bytes) => target.#onStored(bytes),
      onFailed: (error) => target.#onFailed(error),
    };
    for (const known of state.partitions) {
      const { partition } = known;
      const bounds = { earliest: earliest.get(partition)!.offset, latest: latest.get(partition)!.offset };
      const tail = await tailOf(side, facts, settings.identity, known, bounds);
      const storedNext = tail.end();
      const start = { partition, records: storedNext, offset: tail.offsetNext };
      const slot = { target: new TargetPartition(side, settings, start), known, tail, storedNext, next: known.records };
      target.#slots.set(partition, slot);
    }
    return target;
  }

  /** Takes a record; what is returned is to be waited for before the next. @throws what cannot be cured */
  add(sourcePartition: number, record: PackedRecord, compression: Compression): Promise<void> | undefined {
    const slot = this.#slotOf(this.#route.of(sourcePartition, record));
    if (slot.next < slot.storedNext) {
      slot.tail.compare(slot.next++, record);
      this.found++;
      return undefined;
    }
    slot.next++;
    const chosen = this.#compression === 'same' ? compression : this.#compression;
    if (slot.target.addNow(record.timestampMs, record.content, chosen)) return undefined;
    return this.#count(slot.target.add(record, chosen));
  }

  /** Takes a whole batch as it is, if that can be done; false with nothing done if not. */
  async tryAddBatch(batch: SourceBatch): Promise<boolean> {
    const partition = this.#route.fixed(batch.partition);
    if (partition === null) return false;
    const slot = this.#slotOf(partition);
    const compression = compressionOf(batch.bytes, batch.at);
    const chosen = this.#compression === 'same' ? compression : this.#compression;
    // Plain records fill larger batches than they came in.
    if (slot.next < slot.storedNext || compression === 'none' || !slot.target.passes(batch, chosen)) return false;
    await this.#count(slot.target.seal());
    slot.next += recordCount(batch.bytes, batch.at);
    await this.#count(Promise.resolve(slot.target.addBatch(batch)));
    return true;
  }

  #slotOf(partition: number): Slot {
    const slot = this.#slots.get(partition);
    if (slot !== undefined) return slot;
    const detail = `the partition chosen for a record is ${partition}, which the target does not have`;
    throw new Fault('invalidArgument', { detail });
  }

  /** Ends the batches that are being filled, so that what was taken is on its way. */
  async seal(): Promise<void> {
    for (const { target } of this.#slots.values()) await this.#count(target.seal());
  }

  /** At the end of the range: whether all that was found stored has come by. @throws Fault replayDiverged. */
  checkFound(): void {
    for (const { target, next, storedNext } of this.#slots.values()) {
      if (next >= storedNext) continue;
      const detail = `partition ${target.partition} of the target has ${storedNext} records of the replay, the source now gives ${next}`;
      throw new Fault('replayDiverged', { detail });
    }
  }

  /** As it is once all that was taken is stored, which `whenStored` waits for; to be called after seal. */
  mark(): { state: TopicState; whenStored: Promise<void> } {
    const slots = [...this.#slots.values()];
    // What was found stored and has not come by yet is to be found again next time.
    const partitions = slots.map(({ target, known, next, storedNext }) =>
      next < storedNext ? { ...known, records: next } : target.state,
    );
    const stored = Promise.all(slots.map(({ target }) => target.whenStored())).then(() => {});
    return { state: { ...this.#state, partitions }, whenStored: Promise.race([stored, this.#whenFailed]) };
  }

  stop(): void {
    for (const { target } of this.#slots.values()) target.stop();
    this.wake();
  }

  async #count(sealed: Promise<number>): Promise<void> {
    const bytes = await sealed;
    this.#unstoredBytes += bytes;
    if (this.#failure !== null) throw this.#failure.error;
  }

  /** Whether more should be given. */
  get hasRoom(): boolean {
    return this.#unstoredBytes <= UNSTORED_BYTES_MAX;
  }

  /** Resolves when there is room, and after `wake`. @throws what cannot be cured */
  async whenRoom(): Promise<void> {
    if (!this.hasRoom && this.#failure === null) {
      await new Promise<void>((resolve) => this.#waitingForRoom.push(resolve));
    }
    if (this.#failure !== null) throw this.#failure.error;
  }

  /** Lets who waits for room look up. */
  wake(): void {
    for (const resolve of this.#waitingForRoom.splice(0)) resolve();
  }

  #onStored(bytes: number): void {
    this.#unstoredBytes -= bytes;
    if (this.hasRoom) this.wake();
  }

  #onFailed(error: unknown): void {
    this.#failure ??= { error };
    this.stop();
    this.#fail(error);
  }
}

function batchBytesMax({ storedBytesMax }: TargetFacts, partitions: number): number {
  const share = Math.max(BATCH_BYTES_MIN, Math.floor(FILLING_BYTES_MAX / Math.max(1, partitions)));
  return Math.max(1, Math.min(BATCH_BYTES_MAX, share, storedBytesMax - OVERHEAD_BYTES));
}

/** What the target has of the replay in a partition behind what is known. @throws Fault replayDiverged and others */
async function tailOf(
  side: ReplaySide,
  { topic, keepsTimestamps }: TargetFacts,
  identity: ProducerIdentity,
  known: TargetState,
  { earliest, latest }: { earliest: number; latest: number },
): Promise<StoredTail> {
  const { partition, offset } = known;
  const where = `topic ${topic}, partition ${partition}`;
  if (latest < offset) {
    const detail = `${where} ends at offset ${latest}, and was written up to ${offset}`;
    throw new Fault('replayDiverged', { detail });
  }
  const tail = new StoredTail(known, identity, {
    where,
    mayBeCut: earliest > offset,
    withTimestamps: keepsTimestamps,
  });
  const source = new SourcePartition(side, {
    topic,
    partition,
    startNext: Math.max(offset, earliest),
    endNext: latest,
    isolation: 'uncommitted',
    prefetchBytes: TAIL_PREFETCH_BYTES,
  });
  for (let batch = await source.peek(); batch !== null; batch = await source.peek()) {
    source.take();
    await tail.add(batch);
  }
  return tail;
}
