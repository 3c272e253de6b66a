import { baseOffset, batchBytes, batchesIn, checkBatch, leaderEpoch, nextOffset } from '../../src/record/batch.ts';
import { recordsOf } from '../../src/record/records.ts';
import type { Messages } from '../../src/wire/messages.generated.ts';
import type { SeededRandom } from '../seeded-random.ts';
import { type Client, Unanswered } from './client.ts';
import { errorName } from './error-names.ts';
import { type EpochRange, type Pending, type Place, placeName, type SeenRecord } from './history.ts';
import { oneIn } from './random-streams.ts';
import type { TopicPlan } from './topic-plans.ts';
import { rest, type Workload, type WorkloadContext } from './workload.ts';

const EARLIEST = -2;
const LATEST = -1;

type FetchAnswer = Messages['Fetch']['response'];
type PartitionAnswer = FetchAnswer['responses'][number]['partitions'][number];

/** A place that is read, and how far. */
interface Position {
  readonly plan: TopicPlan;
  readonly place: Place;
  /** Null when it is to be asked for. */
  offset: number | null;
  /** As last told. A session does not repeat them. */
  highWatermark: number;
  logStart: number;
  /** The leader epoch of what it read last; -1 before it has read anything. */
  epoch: number;
}

interface Reading {
  readonly position: Position;
  readonly offset: number;
  readonly pending: Pending<'poll'>;
}

/** A consumer without a group: fetches some places from wherever it begins, in a session or not, and starts anew now and then. */
export class Reader {
  readonly #context: WorkloadContext;
  readonly #random: SeededRandom;
  readonly #client: Client;
  readonly #process: number;
  readonly #isFinal: boolean;
  #positions: Position[] = [];
  #usesSession = false;
  #byId = false;
  /** The connection broke: by now the log may be another's. */
  #mustCompare = false;
  #session = { id: 0, epoch: -1 };

  constructor(context: WorkloadContext, name: string, isFinal = false) {
    this.#context = context;
    this.#random = context.streams.of(name);
    this.#client = context.connect(name);
    this.#process = context.newProcess();
    this.#isFinal = isFinal;
  }

  async run(): Promise<void> {
    while (!this.#context.isOver()) {
      if (this.#positions.length === 0 || oneIn(this.#random, 25)) this.#startAnew();
      for (const position of this.#positions) if (position.offset === null) await this.#seek(position);
      if (this.#mustCompare) await this.#compareEpochs();
      await this.#fetch();
      await rest(this.#context, this.#random, 40);
    }
    this.#client.close();
  }

  /** Reads a place from its start to the end that it had when asked. @throws Error when that cannot be done in many attempts */
  async readAll(plan: TopicPlan, place: Place): Promise<void> {
    const position: Position = { plan, place, offset: null, highWatermark: -1, logStart: -1, epoch: -1 };
    this.#positions = [position];
    let end: number | null = null;
    for (let attempt = 0; attempt < 1000; attempt += 1) {
      end ??= await this.#offsetOf(position, LATEST);
      position.offset ??= await this.#offsetOf(position, EARLIEST);
      if (end === null || position.offset === null) await rest(this.#context, this.#random, 200);
      else {
        await this.#fetch();
        // One that is empty is asked for what it has, too.
        if (position.offset === null || position.offset < end || position.highWatermark < 0) continue;
        await this.#compareEpochs();
        return;
      }
    }
    throw new Error(`${placeName(place)} cannot be read to its end`);
  }

  /** Asks for a topic that should be gone: if it is not, the history tells. */
  async lookFor(plan: TopicPlan): Promise<void> {
    const place = { topic: plan.name, partition: 0 };
    await this.#offsetOf({ plan, place, offset: null, highWatermark: -1, logStart: -1, epoch: -1 }, EARLIEST);
  }

  close(): void {
    this.#client.close();
  }

  #startAnew(): void {
    const random = this.#random;
    this.#usesSession = oneIn(random, 2);
    this.#byId = oneIn(random, 2);
    this.#session = { id: 0, epoch: this.#usesSession ? 0 : -1 };
    const positions = new Map<string, Position>();
    for (let i = 1 + random.below(4); i > 0; i -= 1) {
      const { plan, place } = this.#context.topics.place(random);
      positions.set(placeName(place), { plan, place, offset: null, highWatermark: -1, logStart: -1, epoch: -1 });
    }
    this.#positions = [...positions.values()];
  }

  /** To the start, the end, or somewhere between. */
  async #seek(position: Position): Promise<void> {
    const start = await this.#offsetOf(position, EARLIEST);
    const end = oneIn(this.#random, 2) ? start : await this.#offsetOf(position, LATEST);
    if (start === null || end === null) return;
    position.offset = oneIn(this.#random, 2) ? end : start + this.#random.below(Math.max(0, end - start) + 1);
  }

  /** Null when it was not told. */
  async #offsetOf(position: Position, at: -1 | -2): Promise<number | null> {
    const { place } = position;
    const pending = this.#context.history.invoke(this.#process, 'listOffsets', {
      place,
      at: at === LATEST ? 'latest' : 'earliest',
    });
    try {
      const partitions = [{ partitionIndex: place.partition, timestamp: at }];
      const answer = await this.#client.request('ListOffsets', 7, {
        replicaId: -1,
        topics: [{ name: place.topic, partitions }],
      });
      const { errorCode, offset } = answer.topics[0]!.partitions[0]!;
      if (errorCode === 0) {
        pending.ok({ offset });
        return offset;
      }
      pending.fail(errorName(errorCode));
      this.#lost(position, errorCode);
    } catch (error) {
      if (!(error instanceof Unanswered)) throw error;
      pending.info(error.message);
    }
    return null;
  }

  async #fetch(): Promise<void> {
    const readings = this.#positions.flatMap((position): Reading[] => {
      const { offset, place } = position;
      if (offset === null) return [];
      const call = { place, offset, ...(this.#isFinal && { isFinal: true }) };
      return [{ position, offset, pending: this.#context.history.invoke(this.#process, 'poll', call) }];
    });
    if (readings.length === 0) return;
    try {
      const answer = await this.#client.request('Fetch', this.#byId ? 15 : 12, this.#request(readings));
      this.#take(answer, readings);
    } catch (error) {
      if (!(error instanceof Unanswered)) throw error;
      this.#session = { id: 0, epoch: this.#usesSession ? 0 : -1 };
      this.#mustCompare = true;
      for (const { pending } of readings) pending.info(error.message);
    }
  }

  /** Asks where the epochs end in which it read last, as clients do that find a leader again (KIP-320), and goes back where it read on. */
  async #compareEpochs(): Promise<void> {
    const read = this.#positions.filter(({ epoch, offset }) => epoch >= 0 && offset !== null);
    const { history } = this.#context;
    const asked = read.map(({ place, epoch }) => history.invoke(this.#process, 'epochEnd', { place, epoch }));
    if (read.length === 0) return;
    try {
      const topics = read.map(({ place: { topic, partition }, epoch }) => {
        return { topic, partitions: [{ partition, currentLeaderEpoch: -1, leaderEpoch: epoch }] };
      });
      const answer = await this.#client.request('OffsetForLeaderEpoch', 4, { replicaId: -1, topics });
      this.#mustCompare = false;
      for (const [i, position] of read.entries()) {
        const { errorCode, leaderEpoch, endOffset } = answer.topics[i]!.partitions[0]!;
        if (errorCode === 0) asked[i]!.ok({ epoch: leaderEpoch, endOffset });
        else asked[i]!.fail(errorName(errorCode));
        if (errorCode !== 0 || position.offset! <= endOffset) continue;
        position.offset = Math.max(0, endOffset);
        position.epoch = -1;
      }
    } catch (error) {
      if (!(error instanceof Unanswered)) throw error;
      for (const pending of asked) pending.info(error.message);
    }
  }

  #request(readings: readonly Reading[]) {
    const random = this.#random;
    const topics = readings.map(({ position: { plan, place }, offset }) => ({
      topic: this.#byId ? '' : plan.name,
      ...(this.#byId && { topicId: plan.id }),
      partitions: [
        {
          partition: place.partition,
          fetchOffset: offset,
          partitionMaxBytes: 1 + random.below(random.below(20_000) + 1),
        },
      ],
    }));
    return {
      maxWaitMs: this.#isFinal ? 0 : random.below(300),
      minBytes: random.below(2) * random.below(4000),
      maxBytes: 1 + random.below(60_000),
      sessionId: this.#session.id,
      sessionEpoch: this.#session.epoch,
      topics,
      forgottenTopicsData: [],
    };
  }

  #take(answer: FetchAnswer, readings: readonly Reading[]): void {
    if (answer.errorCode !== 0) {
      // The session is gone; another begins.
      this.#session = { id: 0, epoch: this.#usesSession ? 0 : -1 };
      for (const { pending } of readings) pending.fail(errorName(answer.errorCode));
      return;
    }
    if (this.#session.epoch >= 0) {
      this.#session = { id: answer.sessionId, epoch: answer.sessionId === 0 ? 0 : this.#session.epoch + 1 };
    }
    const answers = new Map<string, PartitionAnswer>();
    for (const { topic, topicId, partitions } of answer.responses) {
      for (const one of partitions) answers.set(`${this.#byId ? topicId : topic}/${one.partitionIndex}`, one);
    }
    for (const reading of readings) {
      const { plan, place } = reading.position;
      const found = answers.get(`${this.#byId ? plan.id : plan.name}/${place.partition}`);
      this.#takeOne(reading, found);
    }
  }

  #takeOne({ position, offset, pending }: Reading, answer: PartitionAnswer | undefined): void {
    if (answer !== undefined && answer.errorCode !== 0) {
      pending.fail(errorName(answer.errorCode));
      this.#lost(position, answer.errorCode);
      return;
    }
    let records: SeenRecord[] = [];
    let next = offset;
    let epochs: readonly EpochRange[] = [];
    if (answer !== undefined) {
      position.highWatermark = answer.highWatermark;
      position.logStart = answer.logStartOffset;
      ({ records, next, epochs } = this.#recordsIn(answer.records, position.place, offset));
    }
    const { highWatermark, logStart, plan } = position;
    pending.ok({ records, next, highWatermark, logStart, epochs });
    position.offset = next;
    position.epoch = epochs.at(-1)?.epoch ?? position.epoch;
    // Where nothing follows damaged records, nobody is led past them yet.
    if (this.#isFinal && next === offset && plan.skipsRot) this.#stepOver(position);
  }

  #recordsIn(buffers: readonly Buffer[] | null, place: Place, offset: number) {
    const bytes = Buffer.concat(buffers ?? []);
    const records: SeenRecord[] = [];
    const epochs: EpochRange[] = [];
    let next = offset;
    for (const at of batchesIn(bytes)) {
      // As consumers do: what is cut off at the end is left for the next fetch.
      if (bytes.length - at < 12 || batchBytes(bytes, at) > bytes.length - at) break;
      const fault = checkBatch(bytes, at, bytes.length);
      if (fault !== null) this.#context.onViolation(`${placeName(place)}: a reader got a damaged batch: ${fault}`);
      for (const record of recordsOf(bytes, at)) {
        // A tombstone has no value of its own.
        const value = record.value ?? record.headers[0]?.value;
        if (record.offset >= offset) records.push({ offset: record.offset, value: String(value) });
      }
      next = Math.max(next, nextOffset(bytes, at));
      const [epoch, last] = [leaderEpoch(bytes, at), records.at(-1)?.offset ?? -1];
      const range = epochs.at(-1);
      if (range?.epoch === epoch) epochs.splice(-1, 1, { ...range, last });
      else if (last >= Math.max(offset, baseOffset(bytes, at))) {
        epochs.push({ epoch, from: Math.max(offset, baseOffset(bytes, at)), last });
      }
    }
    return { records, next, epochs };
  }

  /** It goes on behind damaged records, as a user does that was told of them. */
  #stepOver(position: Position): void {
    if (position.offset === null) return;
    const damage = this.#context.damages.at(position.place, position.offset);
    if (damage === null) return;
    position.offset = damage.to;
    // What follows is to be asked for, also when there is nothing.
    if (this.#isFinal) position.highWatermark = -1;
  }

  /** What it asked for is not there (any more): it looks where the log begins, or gives the topic up. */
  #lost(position: Position, errorCode: number): void {
    const error = errorName(errorCode);
    if (error === 'OFFSET_OUT_OF_RANGE') position.offset = null;
    if (error === 'CORRUPT_MESSAGE') this.#stepOver(position);
    if (error === 'UNKNOWN_TOPIC_OR_PARTITION' || error === 'UNKNOWN_TOPIC_ID') {
      this.#positions = this.#positions.filter((other) => other !== position);
      this.#session = { id: 0, epoch: this.#usesSession ? 0 : -1 };
    }
  }
}

/** Readers of all kinds, and at the end one that reads everything. */
export const readers: Workload = {
  name: 'readers',
  async run(context) {
    const count = 2 + context.streams.of('readers').below(2);
    await Promise.all(Array.from({ length: count }, (_, i) => new Reader(context, `reader ${i}`).run()));
  },
  async finish(context) {
    const reader = new Reader(context, 'last reader', true);
    for (const plan of context.topics.deleted) await reader.lookFor(plan);
    for (const plan of [...context.topics.all]) {
      for (let partition = 0; partition < plan.partitions; partition += 1) {
        await reader.readAll(plan, { topic: plan.name, partition });
      }
    }
    reader.close();
  },
};
