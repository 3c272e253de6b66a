import type { CancelTimer } from '../base/clock.ts';
import { Fault } from '../base/faults.ts';
import type { KafkaErrorName } from '../base/kafka-errors.ts';
import { Accumulator } from './accumulator.ts';
import { type Backoff, backoffMs } from './backoff.ts';
import type { Cluster } from './cluster.ts';
import type { Connection } from './connection.ts';
import type { PartitionQueue } from './partition-queue.ts';
import { type PartitionAnswer, produce } from './produce-request.ts';
import type { ProducerBatch, ProducerIdentity } from './producer-batch.ts';
import { askIdentity } from './producer-identity.ts';
import type { SendSettings } from './producer-options.ts';

/** A request under way: the batches in it, each with the queue it came from. */
interface Parcel {
  readonly broker: number;
  readonly batches: Map<PartitionQueue, ProducerBatch>;
  bytes: number;
}

const LANE = 'produce';
/** The broker does not have what the batch's number says came before it. */
const sequenceFaults: ReadonlySet<KafkaErrorName> = new Set(['OUT_OF_ORDER_SEQUENCE_NUMBER', 'UNKNOWN_PRODUCER_ID']);
/** The broker knows a newer producer under the same identity. */
const identityFaults: ReadonlySet<KafkaErrorName> = new Set([
  'INVALID_PRODUCER_EPOCH',
  'PRODUCER_FENCED',
  'INVALID_PRODUCER_ID_MAPPING',
]);

/** Sends full batches to the leaders of their partitions, and settles each by the answer. */
export class Sender {
  readonly accumulator: Accumulator;
  readonly #cluster: Cluster;
  readonly #settings: SendSettings;
  readonly #backoff: Backoff;
  /** Requests to each broker that are not answered yet. */
  readonly #inFlight = new Map<number, number>();
  readonly #connecting = new Set<number>();
  #identity: ProducerIdentity | null = null;
  #askingIdentity = false;
  #refreshing = false;
  #flushing = 0;
  #stopped = false;
  #drainScheduled = false;
  #cancelWake: CancelTimer | null = null;
  #wakeAtMs = Number.POSITIVE_INFINITY;

  constructor(cluster: Cluster, settings: SendSettings, backoff: Backoff) {
    this.#cluster = cluster;
    this.#settings = settings;
    this.#backoff = backoff;
    const { deliveryTimeoutMs: timeoutMs, unknownTopicMs: unknownMs, autoCreate } = settings;
    this.accumulator = new Accumulator({
      ...settings,
      clock: cluster.clock,
      random: cluster.random,
      findTopic: (name) => cluster.findTopic(name, { timeoutMs, unknownMs, autoCreate }),
      topic: (name) => cluster.topic(name),
      refresh: () => void cluster.refresh(),
      onBatch: (batch) => this.#onBatch(batch),
      onFull: () => this.#schedule(),
    });
  }

  /** Resolves when all that was sent before has its outcome; meanwhile no batch waits to become full. */
  async flush(): Promise<void> {
    this.#flushing++;
    this.#schedule();
    try {
      await this.accumulator.whenAdmitted();
      await Promise.all([...this.accumulator.unsettled].map((batch) => batch.whenSettled()));
    } finally {
      this.#flushing--;
    }
  }

  /** Gives up all that is not delivered. */
  stop(fault: Fault): void {
    this.#stopped = true;
    this.#cancelWake?.();
    this.accumulator.rejectWaiting(fault);
    for (const batch of [...this.accumulator.unsettled]) this.#reject(batch, fault);
    this.accumulator.active.clear();
  }

  #onBatch(batch: ProducerBatch): void {
    if (batch.closed || this.#flushing > 0 || this.#settings.lingerMs === 0) this.#schedule();
    else this.#wakeAt(batch.createdAtMs + this.#settings.lingerMs);
  }

  /** Sending waits for the end of the caller's turn, so that what he sends in it travels together. */
  #schedule(): void {
    if (this.#drainScheduled || this.#stopped) return;
    this.#drainScheduled = true;
    queueMicrotask(() => {
      this.#drainScheduled = false;
      this.#drain();
    });
  }

  #wakeAt(atMs: number): void {
    if (atMs >= this.#wakeAtMs || this.#stopped) return;
    this.#cancelWake?.();
    this.#wakeAtMs = atMs;
    this.#cancelWake = this.#cluster.clock.after(atMs - this.#cluster.clock.monotonicMs(), () => {
      this.#wakeAtMs = Number.POSITIVE_INFINITY;
      this.#cancelWake = null;
      this.#drain();
    });
  }

  /** Sends what is due, as far as the brokers take it now; whatever stands in the way calls this again when it is gone. */
  #drain(): void {
    if (this.#stopped) return;
    const nowMs = this.#cluster.clock.monotonicMs();
    this.#expire(nowMs);
    for (let parcels = this.#pack(nowMs); parcels.length > 0; parcels = this.#pack(nowMs)) {
      for (const { parcel, connection } of parcels) void this.#deliver(parcel, connection);
    }
    this.#cluster.refreshIfStale();
  }

  #expire(nowMs: number): void {
    const { deliveryTimeoutMs } = this.#settings;
    const timedOut = (detail: string, cause: Error | null): Fault =>
      new Fault('deliveryTimedOut', { detail: cause === null ? detail : `${detail}; last, ${cause.message}`, cause });
    for (const batch of this.accumulator.unsettled) {
      if (batch.expiresAtMs > nowMs) {
        this.#wakeAt(batch.expiresAtMs);
        break;
      }
      const detail = `topic ${batch.topic}, partition ${batch.partition}, after ${deliveryTimeoutMs} ms`;
      this.accumulator.queueOf(batch).giveUp(batch);
      this.#reject(batch, timedOut(detail, this.#cluster.lastFault ?? batch.lastFault));
    }
    const nextMs = this.accumulator.expireWaiting(nowMs, () =>
      timedOut(`no room in the buffer for ${deliveryTimeoutMs} ms`, this.#cluster.lastFault),
    );
    if (nextMs !== Number.POSITIVE_INFINITY) this.#wakeAt(nextMs);
  }

  /** At most one request for each broker, with at most one batch of each partition. */
  #pack(nowMs: number): { parcel: Parcel; connection: Connection }[] {
    const parcels = new Map<number, { parcel: Parcel; connection: Connection }>();
    const { inFlightMax, requestBytesMax } = this.#settings;
    for (const queue of this.accumulator.active) {
      if (queue.isEmpty) {
        this.accumulator.active.delete(queue);
        continue;
      }
      const batch = this.#dueOf(queue, nowMs);
      if (batch === null || !this.#hasIdentity(queue, batch)) continue;
      const broker = this.#leaderOf(queue);
      const connection = broker === null ? null : this.#connectionTo(broker);
      if (broker === null || connection === null || (this.#inFlight.get(broker) ?? 0) >= inFlightMax) continue;
      const parcel = parcels.get(broker)?.parcel ?? { broker, batches: new Map(), bytes: 0 };
      if (parcel.bytes > 0 && parcel.bytes + batch.sizeBytes > requestBytesMax) continue;
      if (!batch.closed) queue.closeOpen();
      if (batch.build(() => this.#onBuilt(queue, batch)) === null) continue;
      queue.take(batch, this.#settings.idempotent && !batch.isNumbered ? this.#identity : null);
      this.accumulator.sent(batch);
      parcel.batches.set(queue, batch);
      parcel.bytes += batch.sizeBytes;
      parcels.set(broker, { parcel, connection });
    }
    for (const [broker, { parcel }] of parcels) {
      this.#inFlight.set(broker, (this.#inFlight.get(broker) ?? 0) + 1);
      for (const queue of parcel.batches.keys()) this.#toTheEnd(queue);
    }
    return [...parcels.values()];
  }

  /** So that each partition has its turn when a request cannot hold a batch of all. */
  #toTheEnd(queue: PartitionQueue): void {
    this.accumulator.active.delete(queue);
    if (!queue.isEmpty) this.accumulator.active.add(queue);
  }

  /** The partition's next batch, if it need not wait to become full, for a pause to pass, or for one in flight. */
  #dueOf(queue: PartitionQueue, nowMs: number): ProducerBatch | null {
    if (queue.retryAtMs > nowMs) {
      this.#wakeAt(queue.retryAtMs);
      return null;
    }
    const batch = queue.next(this.#settings.inFlightMax);
    if (batch === null || batch.closed || this.#flushing > 0 || this.accumulator.isFull) return batch;
    const lingerEndMs = batch.createdAtMs + this.#settings.lingerMs;
    if (lingerEndMs <= nowMs) return batch;
    this.#wakeAt(lingerEndMs);
    return null;
  }

  #hasIdentity(queue: PartitionQueue, batch: ProducerBatch): boolean {
    if (!this.#settings.idempotent || batch.isNumbered) return true;
    if (this.#identity !== null && queue.refuses(this.#identity)) this.#identity = null;
    if (this.#identity === null && !this.#askingIdentity) void this.#askIdentity();
    return this.#identity !== null;
  }

  async #askIdentity(): Promise<void> {
    this.#askingIdentity = true;
    try {
      this.#identity = await askIdentity(this.#cluster, this.#settings.deliveryTimeoutMs);
    } catch (error) {
      // What waits for an identity cannot be sent; what was sent under an older one is still under way.
      for (const batch of [...this.accumulator.unsettled]) {
        if (!batch.inFlight && !batch.isNumbered) this.#giveUp(this.accumulator.queueOf(batch), batch, error as Error);
      }
    } finally {
      this.#askingIdentity = false;
      this.#schedule();
    }
  }

  #leaderOf({ topic, partition }: PartitionQueue): number | null {
    const leader = this.#cluster.topic(topic)?.partitions[partition]?.leader ?? -1;
    if (leader >= 0) return leader;
    this.#refresh();
    return null;
  }

  /** Asks again who leads what, and then sends on. */
  #refresh(): void {
    if (this.#refreshing) return;
    this.#refreshing = true;
    void this.#cluster.refresh().then(() => {
      this.#refreshing = false;
      this.#schedule();
    });
  }

  #connectionTo(broker: number): Connection | null {
    const current = this.#cluster.currentConnection(broker, LANE);
    if (current !== null || this.#connecting.has(broker)) return current;
    this.#connecting.add(broker);
    this.#cluster
      .connection(broker, LANE)
      .catch(() => this.#cluster.refresh())
      .finally(() => {
        this.#connecting.delete(broker);
        this.#schedule();
      });
    return null;
  }

  #onBuilt(queue: PartitionQueue, batch: ProducerBatch): void {
    if (batch.failure !== null && !batch.settled) this.#giveUp(queue, batch, batch.failure);
    this.#schedule();
  }

  async #deliver({ broker, batches }: Parcel, connection: Connection): Promise<void> {
    const { acks, requestTimeoutMs } = this.#settings;
    try {
      const answers = await produce(this.#cluster, connection, batches.values(), { acks, requestTimeoutMs });
      for (const [queue, batch] of batches) {
        this.#landed(queue, batch);
        this.#settle(queue, batch, answers(batch));
      }
    } catch (error) {
      for (const [queue, batch] of batches) {
        this.#landed(queue, batch);
        this.#onFailure(queue, batch, error as Error);
      }
    } finally {
      this.#inFlight.set(broker, (this.#inFlight.get(broker) ?? 1) - 1);
      this.#schedule();
    }
  }

  #landed(queue: PartitionQueue, batch: ProducerBatch): void {
    queue.landed(batch);
    this.accumulator.landed(batch);
  }

  #settle(queue: PartitionQueue, batch: ProducerBatch, answer: PartitionAnswer | undefined): void {
    if (batch.settled) return;
    if (answer === undefined) {
      const detail = `no answer for topic ${batch.topic}, partition ${batch.partition}`;
      this.#onFailure(queue, batch, new Fault('malformedResponse', { detail }));
      return;
    }
    const { fault } = answer;
    if (fault === null || fault.kafka === 'DUPLICATE_SEQUENCE_NUMBER') {
      queue.succeed(batch);
      batch.resolve(fault === null ? answer : { ...answer, baseOffset: -1 });
      this.accumulator.release(batch);
    } else if (fault.kafka === 'MESSAGE_TOO_LARGE' && batch.count > 1) {
      this.#split(queue, batch);
    } else if (batch.isNumbered && sequenceFaults.has(fault.kafka)) {
      this.#retry(queue, batch, fault, () => queue.retryOutOfOrder(batch));
    } else if (batch.isNumbered && identityFaults.has(fault.kafka)) {
      queue.spendIdentity();
      this.#giveUp(queue, batch, fault);
    } else {
      this.#onFailure(queue, batch, fault, answer.recordFaults);
    }
  }

  #onFailure(
    queue: PartitionQueue,
    batch: ProducerBatch,
    error: Error,
    recordFaults?: ReadonlyMap<number, Error>,
  ): void {
    if (batch.settled) return;
    if (error instanceof Fault && error.retriable) this.#retry(queue, batch, error, () => queue.retry(batch));
    else this.#giveUp(queue, batch, error, recordFaults);
  }

  #retry(queue: PartitionQueue, batch: ProducerBatch, fault: Fault, enqueue: () => void): void {
    const { clock, random, logger } = this.#cluster;
    logger.debug(
      { topic: batch.topic, partition: batch.partition, attempts: batch.attempts, err: fault },
      'a batch is sent again',
    );
    batch.lastFault = fault;
    batch.copyBytes();
    enqueue();
    queue.retryAtMs = clock.monotonicMs() + backoffMs(this.#backoff, batch.attempts, random);
    this.accumulator.active.add(queue);
    this.#refresh();
  }

  #split(queue: PartitionQueue, batch: ProducerBatch): void {
    queue.batchBytesMax = Math.max(1, Math.min(queue.batchBytesMax, batch.sizeBytes >> 1));
    const halves = batch.split();
    queue.replace(batch, halves);
    this.accumulator.replace(batch, halves);
    this.accumulator.active.add(queue);
  }

  #giveUp(queue: PartitionQueue, batch: ProducerBatch, error: Error, recordFaults?: ReadonlyMap<number, Error>): void {
    queue.giveUp(batch);
    this.#reject(batch, error, recordFaults);
  }

  #reject(batch: ProducerBatch, error: Error, recordFaults?: ReadonlyMap<number, Error>): void {
    batch.reject(error, recordFaults);
    this.accumulator.release(batch);
  }
}
