import type { Clock } from '../base/clock.ts';
import { Fault } from '../base/faults.ts';
import { invariant } from '../base/invariant.ts';
import { limits } from '../base/limits.ts';
import type { Random } from '../base/random.ts';
import type { Compression } from '../record/compression.ts';
import { Fifo } from './fifo.ts';
import type { TopicMetadata } from './metadata.ts';
import { PartitionQueue } from './partition-queue.ts';
import type { Partitioner } from './partitioner.ts';
import { ProducerBatch } from './producer-batch.ts';
import type { EncodedRecord, Pending } from './producer-record.ts';

export interface AccumulatorOptions {
  batchBytesMax: number;
  requestBytesMax: number;
  bufferBytesMax: number;
  deliveryTimeoutMs: number;
  compression: Compression;
  compressionLevel: number | undefined;
  partitioner: Partitioner;
  clock: Clock;
  random: Random;
  /** Looks for a topic that is not known yet. */
  findTopic: (name: string) => Promise<TopicMetadata>;
  /** What is known of a topic that was found, as of now. */
  topic: (name: string) => TopicMetadata | undefined;
  /** Asks again what is known of topics. */
  refresh: () => void;
  /** Called when a batch was started, and when one is full. */
  onBatch: (batch: ProducerBatch) => void;
  /** Called while there is no room: batches should not wait to become full. */
  onFull: () => void;
}

interface Send {
  readonly topic: TopicQueues;
  readonly record: EncodedRecord;
  readonly pending: Pending;
  readonly expiresAtMs: number;
}

interface TopicQueues {
  readonly name: string;
  readonly partitions: PartitionQueue[];
  /** Sends from before the topic was found; null afterwards. */
  unfound: Send[] | null;
  /** Resolves when the search for the topic has ended, however. */
  searched: Promise<void>;
  /** Where records without a key go for now. */
  sticky: { partition: number; bytes: number } | null;
}

/**
 * Puts records into batches, and makes them wait, first for their topic to be found, then for room in the buffer: in either
 * queue in the order in which they came, so that records of one partition keep theirs.
 */
export class Accumulator {
  readonly #options: AccumulatorOptions;
  readonly #topics = new Map<string, TopicQueues>();
  /** Partitions with something to send, those that had their turn last at the end. */
  readonly active = new Set<PartitionQueue>();
  /** Every batch whose records wait for their outcome, in the order in which they expire. */
  readonly unsettled = new Set<ProducerBatch>();
  readonly #waitingForRoom = new Fifo<Send>();
  /** How many sends have left that queue. */
  #admitted = 0;
  readonly #waitingForAdmission = new Fifo<{ admittedMin: number; resolve: () => void }>();
  #waitingForReady: (() => void)[] = [];
  /** The latest that an unsettled batch expires. */
  #lastExpiryMs = Number.NEGATIVE_INFINITY;
  #usedBytes = 0;
  #inFlightBytes = 0;
  #waitingBytes = 0;

  constructor(options: AccumulatorOptions) {
    this.#options = options;
  }

  /** Whether the buffer is used up. */
  get isFull(): boolean {
    return this.#usedBytes + this.#waitingBytes >= this.#options.bufferBytesMax;
  }

  /**
   * Whether more should be sent now. Beyond a request's worth of bytes that the brokers do not take yet, more would only lie
   * here, and a heap of waiting promises makes all slow.
   */
  get hasRoom(): boolean {
    const { requestBytesMax, batchBytesMax } = this.#options;
    const unsentBytes = this.#usedBytes + this.#waitingBytes - this.#inFlightBytes;
    // Batches being filled, one for each partition, are not what the brokers hold up.
    return !this.isFull && unsentBytes < requestBytesMax + this.active.size * batchBytesMax;
  }

  /** Resolves when more should be sent. */
  whenRoom(): Promise<void> {
    return this.hasRoom ? Promise.resolve() : new Promise((resolve) => this.#waitingForReady.push(resolve));
  }

  #wakeReady(): void {
    if (this.#waitingForReady.length === 0 || !this.hasRoom) return;
    for (const resolve of this.#waitingForReady.splice(0)) resolve();
  }

  /** A batch went out. */
  sent(batch: ProducerBatch): void {
    this.#inFlightBytes += batch.reservedBytes;
    this.#wakeReady();
  }

  /** A batch that went out is in flight no more, whatever became of it. */
  landed(batch: ProducerBatch): void {
    this.#inFlightBytes -= batch.reservedBytes;
  }

  add(topicName: string, record: EncodedRecord, pending: Pending): void {
    const { bufferBytesMax } = this.#options;
    if (record.bytes > bufferBytesMax) {
      const detail = `a record of ${record.bytes} bytes is larger than bufferBytesMax, ${bufferBytesMax}`;
      pending.reject(new Fault('invalidArgument', { detail }));
      return;
    }
    const topic = this.#topics.get(topicName) ?? this.#startTopic(topicName);
    if (topic.unfound === null && this.#waitingForRoom.length === 0 && this.#fits(record)) {
      this.#append(topic, record, pending);
    } else this.#wait(topic, record, pending);
    if (this.isFull) this.#options.onFull();
  }

  #wait(topic: TopicQueues, record: EncodedRecord, pending: Pending): void {
    if (this.#waitingBytes + record.bytes > limits.producerWaitingBytesMax) {
      pending.reject(new Fault('producerOverfull', { detail: `${this.#waitingBytes} bytes wait` }));
      return;
    }
    this.#waitingBytes += record.bytes;
    const send = { topic, record, pending, expiresAtMs: this.#expiry() };
    if (topic.unfound !== null) topic.unfound.push(send);
    else this.#waitingForRoom.push(send);
  }

  /** When, by the monotonic clock, what is sent now was tried for too long. */
  #expiry(): number {
    return this.#options.clock.monotonicMs() + this.#options.deliveryTimeoutMs;
  }

  #fits(record: EncodedRecord): boolean {
    return this.#usedBytes === 0 || this.#usedBytes + record.bytes <= this.#options.bufferBytesMax;
  }

  #startTopic(name: string): TopicQueues {
    const topic: TopicQueues = { name, partitions: [], unfound: [], searched: Promise.resolve(), sticky: null };
    this.#topics.set(name, topic);
    topic.searched = this.#options.findTopic(name).then(
      () => this.#onFound(topic),
      (error: Error) => this.#onUnfound(topic, error),
    );
    return topic;
  }

  #onFound(topic: TopicQueues): void {
    for (const waiting of topic.unfound ?? []) this.#waitingForRoom.push(waiting);
    topic.unfound = null;
    this.#admitWaiting();
  }

  /** The next send to the topic looks for it again. */
  #onUnfound(topic: TopicQueues, error: Error): void {
    this.#topics.delete(topic.name);
    for (const { record, pending } of topic.unfound ?? []) {
      this.#waitingBytes -= record.bytes;
      pending.reject(error);
    }
    topic.unfound = null;
  }

  #admitWaiting(): void {
    for (let head = this.#waitingForRoom.peek(); head !== undefined; head = this.#waitingForRoom.peek()) {
      if (!this.#fits(head.record)) break;
      this.#shiftWaiting();
      this.#append(head.topic, head.record, head.pending, head.expiresAtMs);
    }
    if (this.isFull) this.#options.onFull();
    this.#wakeReady();
  }

  /** What goes wrong with a record, a bug too, is told to its sender, who would wait for ever; nobody else waits for it. */
  #append(topic: TopicQueues, record: EncodedRecord, pending: Pending, expiresAtMs?: number): void {
    let queue: PartitionQueue;
    try {
      queue = this.#place(topic, record, pending, expiresAtMs);
    } catch (error) {
      pending.reject(error as Error);
      return;
    }
    this.#usedBytes += record.bytes;
    const batch = queue.open!;
    const isFull = batch.sizeBytes >= queue.batchBytesMax;
    if (isFull) queue.closeOpen();
    if (isFull || batch.count === 1) this.#options.onBatch(batch);
  }

  /** Puts a record into the open batch of the queue that is returned. @throws Fault invalidArgument, unknownTopic. */
  #place(topic: TopicQueues, record: EncodedRecord, pending: Pending, expiresAtMs?: number): PartitionQueue {
    const partition = this.#choose(topic, record);
    const bytes = (record.key?.length ?? 0) + (record.value?.length ?? 0);
    let queue = this.#queueOf(topic, partition ?? this.#stickyOf(topic, bytes));
    if (queue.open?.tryAppend(record, pending)) return queue;
    if (partition === null && queue.open !== null) {
      // A full batch is where records without a key turn to another partition, whose batch may have room.
      queue.closeOpen();
      topic.sticky = null;
      queue = this.#queueOf(topic, this.#stickyOf(topic, bytes));
      if (queue.open?.tryAppend(record, pending)) return queue;
    }
    queue.closeOpen();
    this.#startBatch(queue, record, pending, expiresAtMs ?? this.#expiry());
    return queue;
  }

  /** Null: whichever is being filled with records without a key. @throws Fault invalidArgument, unknownTopic. */
  #choose({ name }: TopicQueues, record: EncodedRecord): number | null {
    const partitionCount = this.#options.topic(name)?.partitions.length ?? 0;
    if (partitionCount === 0) throw new Fault('unknownTopic', { detail: name });
    const { key, value } = record;
    const partition = record.partition ?? this.#options.partitioner({ topic: name, key, value, partitionCount });
    if (partition === null) return null;
    if (Number.isInteger(partition) && partition >= 0 && partition < partitionCount) return partition;
    // It may have been added since.
    this.#options.refresh();
    const detail = `topic ${name} has partitions 0 to ${partitionCount - 1}, not ${partition}`;
    throw new Fault('invalidArgument', { detail });
  }

  /** Where the next record without a key goes: at random among the partitions with a leader, then there for a batch's worth of bytes. */
  #stickyOf(topic: TopicQueues, bytes: number): number {
    const { batchBytesMax, random } = this.#options;
    if (topic.sticky !== null && topic.sticky.bytes < batchBytesMax) {
      topic.sticky.bytes += bytes;
      return topic.sticky.partition;
    }
    const all = this.#options.topic(topic.name)?.partitions ?? [];
    const led = all.filter(({ leader }) => leader >= 0);
    const choices = led.length > 0 ? led : all;
    const partition = choices[random.below(choices.length)]?.partition ?? 0;
    topic.sticky = { partition, bytes };
    return partition;
  }

  #queueOf(topic: TopicQueues, partition: number): PartitionQueue {
    return (topic.partitions[partition] ??= new PartitionQueue(topic.name, partition, this.#options.batchBytesMax));
  }

  #startBatch(queue: PartitionQueue, record: EncodedRecord, pending: Pending, expiresAtMs: number): void {
    const { topic, partition, nextOrder: order } = queue;
    const createdAtMs = this.#options.clock.monotonicMs();
    const batch = new ProducerBatch(
      { topic, partition, order, createdAtMs, expiresAtMs },
      this.#options,
      queue.batchBytesMax,
    );
    const appended = batch.tryAppend(record, pending);
    invariant(appended, 'a first record always fits');
    queue.add(batch);
    this.active.add(queue);
    this.#track(batch);
  }

  /** Gives back the room of a batch whose records have been told their outcome. */
  release(batch: ProducerBatch): void {
    if (!this.unsettled.delete(batch)) return;
    this.#usedBytes -= batch.reservedBytes;
    this.#admitWaiting();
  }

  /** Puts a batch's halves in its place. */
  replace(batch: ProducerBatch, halves: readonly ProducerBatch[]): void {
    this.unsettled.delete(batch);
    for (const half of halves) this.#track(half);
  }

  /** Adds an unsettled batch. It may expire before others that are older, when its records waited for their topic. */
  #track(batch: ProducerBatch): void {
    this.unsettled.add(batch);
    if (batch.expiresAtMs >= this.#lastExpiryMs) {
      this.#lastExpiryMs = batch.expiresAtMs;
      return;
    }
    const inOrder = [...this.unsettled].sort((one, other) => one.expiresAtMs - other.expiresAtMs);
    this.unsettled.clear();
    for (const each of inOrder) this.unsettled.add(each);
  }

  /** Rejects the sends that have waited for room for too long; returns when, by the monotonic clock, the next one will have. */
  expireWaiting(nowMs: number, faultOf: () => Fault): number {
    for (let head = this.#waitingForRoom.peek(); head !== undefined; head = this.#waitingForRoom.peek()) {
      if (head.expiresAtMs > nowMs) return head.expiresAtMs;
      this.#shiftWaiting();
      head.pending.reject(faultOf());
      // A smaller one behind it may fit.
      this.#admitWaiting();
    }
    return Number.POSITIVE_INFINITY;
  }

  /** Takes away the send that has waited for room for longest. */
  #shiftWaiting(): Send | undefined {
    const head = this.#waitingForRoom.shift();
    if (head === undefined) return undefined;
    this.#waitingBytes -= head.record.bytes;
    this.#admitted++;
    while (this.#admitted >= (this.#waitingForAdmission.peek()?.admittedMin ?? Number.POSITIVE_INFINITY)) {
      this.#waitingForAdmission.shift()?.resolve();
    }
    return head;
  }

  /** Resolves when the sends that wait now, for their topic or for room, wait no more. */
  async whenAdmitted(): Promise<void> {
    await Promise.all([...this.#topics.values()].map((topic) => topic.searched));
    if (this.#waitingForRoom.length === 0) return;
    const admittedMin = this.#admitted + this.#waitingForRoom.length;
    await new Promise<void>((resolve) => this.#waitingForAdmission.push({ admittedMin, resolve }));
  }

  /** The queue that a batch came from. */
  queueOf(batch: ProducerBatch): PartitionQueue {
    const queue = this.#topics.get(batch.topic)?.partitions[batch.partition];
    invariant(queue !== undefined, 'a batch comes from a queue');
    return queue;
  }

  /** Rejects all sends that wait for their topic or for room. */
  rejectWaiting(error: Error): void {
    for (const topic of this.#topics.values()) {
      for (const { pending, record } of topic.unfound?.splice(0) ?? []) {
        this.#waitingBytes -= record.bytes;
        pending.reject(error);
      }
    }
    for (let head = this.#shiftWaiting(); head !== undefined; head = this.#shiftWaiting()) head.pending.reject(error);
    for (const resolve of this.#waitingForReady.splice(0)) resolve();
  }
}
