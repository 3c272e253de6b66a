import { kafkaErrors } from '../../src/base/kafka-errors.ts';
import { buildBatch } from '../../src/record/batch-builder.ts';
import { compressions } from '../../src/record/compression.ts';
import type { SeededRandom } from '../seeded-random.ts';
import { type Client, Unanswered } from './client.ts';
import { errorName, isRetriable } from './error-names.ts';
import { type Pending, type Place, placeName } from './history.ts';
import { oneIn, pick } from './random-streams.ts';
import type { TopicPlan } from './topic-plans.ts';
import { rest, type Workload, type WorkloadContext } from './workload.ts';

interface Identity {
  readonly id: number;
  readonly epoch: number;
  readonly sequences: Map<string, number>;
}

/** One batch, from its first attempt to its last answer. */
interface Send {
  readonly plan: TopicPlan;
  readonly place: Place;
  readonly batch: Buffer;
  readonly pending: Pending<'send'>;
  /** Whether all that this producer sent there before is known to be stored for good. */
  readonly follows: boolean;
  state: 'open' | 'stored' | 'ended';
  /** An attempt was sent of which nothing was heard. */
  isUncertain: boolean;
}

const ATTEMPTS_MAX = 8;

/**
 * A producer as clients are: batches for several partitions in one request, several requests under way on one connection,
 * and what is not answered, or refused for the time being, sent again as it was. With an identity it numbers its batches, and
 * takes another when it must give one up.
 */
class Producer {
  readonly #context: WorkloadContext;
  readonly #random: SeededRandom;
  readonly #client: Client;
  readonly #process: number;
  readonly #acks: 0 | 1 | -1;
  readonly #isIdempotent: boolean;
  readonly #inFlightMax: number;
  readonly #attemptsMax: number;
  readonly #ids: Set<number>;
  #identity: Identity | null = null;
  #records = 0;

  /** `ids` are those that any producer was given. `mayBeSilent`: it need not wait for answers. */
  constructor(context: WorkloadContext, name: string, ids: Set<number>, mayBeSilent = false) {
    this.#context = context;
    this.#ids = ids;
    this.#random = context.streams.of(name);
    this.#client = context.connect(name);
    this.#process = context.newProcess();
    this.#isIdempotent = !oneIn(this.#random, 3);
    this.#acks = this.#isIdempotent
      ? oneIn(this.#random, 4)
        ? 1
        : -1
      : pick(this.#random, mayBeSilent ? [-1, -1, 1, 0] : [-1, -1, 1]);
    // Without an identity each attempt may be stored.
    this.#attemptsMax = this.#isIdempotent || oneIn(this.#random, 2) ? ATTEMPTS_MAX : 1;
    this.#inFlightMax = oneIn(this.#random, 2) ? 1 : 1 + this.#random.below(4);
  }

  async run(): Promise<void> {
    while (!this.#context.isOver()) {
      if (this.#isIdempotent && this.#identity === null) await this.#takeIdentity();
      else await this.#round();
      if (oneIn(this.#random, 8)) await this.#refresh();
      await rest(this.#context, this.#random, 30);
    }
    this.#client.close();
  }

  /** Sends to every place. What was refused for the time being is not refused any more. */
  async reachAll(): Promise<void> {
    for (const plan of this.#context.topics.all) {
      for (let partition = 0; partition < plan.partitions; partition += 1) {
        const send = this.#newSend(plan, { topic: plan.name, partition }, true);
        for (let attempt = 0; send.state === 'open' && attempt < 100; attempt += 1) {
          await this.#attempt([send]);
          if (send.state === 'open') await rest(this.#context, this.#random, 400);
        }
        if (send.state === 'open') this.#giveUp(send, 'given up');
        if (send.state === 'stored') continue;
        this.#context.onViolation(`${placeName(send.place)} takes no records though nothing disturbs it any more`);
      }
    }
    this.#client.close();
  }

  async #refresh(): Promise<void> {
    try {
      await this.#context.topics.refresh(this.#client, this.#process);
    } catch (error) {
      if (!(error instanceof Unanswered)) throw error;
    }
  }

  async #takeIdentity(): Promise<void> {
    try {
      const answer = await this.#client.request('InitProducerId', 4, {
        transactionalId: null,
        transactionTimeoutMs: 0,
      });
      if (answer.errorCode !== 0) return;
      if (this.#ids.has(answer.producerId)) this.#context.onViolation('a producer id was given twice');
      this.#ids.add(answer.producerId);
      this.#identity = { id: answer.producerId, epoch: answer.producerEpoch, sequences: new Map() };
    } catch (error) {
      if (!(error instanceof Unanswered)) throw error;
    }
  }

  /** Some requests at once; then, one after the other, what has become of none of them. */
  async #round(): Promise<void> {
    const requests = Array.from({ length: 1 + this.#random.below(this.#inFlightMax) }, () => this.#newRequest());
    const sends = requests.flat();
    await Promise.all(requests.map((request) => this.#attempt(request)));
    for (let attempt = 1; attempt < this.#attemptsMax; attempt += 1) {
      const open = sends.filter(({ state }) => state === 'open');
      if (open.length === 0) break;
      await rest(this.#context, this.#random, 40 * attempt);
      // The oldest of each place: those behind it would be out of order.
      const places = new Map<string, Send>();
      for (const send of open) if (!places.has(placeName(send.place))) places.set(placeName(send.place), send);
      await this.#attempt([...places.values()]);
      if ([...places.values()].some(({ state }) => state === 'stored')) attempt = 1;
    }
    for (const send of sends) if (send.state === 'open') this.#giveUp(send, 'given up');
    if (sends.some(({ state }) => state !== 'stored')) this.#identity = null;
  }

  #newRequest(): Send[] {
    const sends = new Map<string, Send>();
    for (let part = 1 + this.#random.below(3); part > 0; part -= 1) {
      // There is little time until the clock is right again: few records would be stamped with the wrong one.
      const isStamped = this.#context.wall.isBehind && oneIn(this.#random, 2);
      // Its passes are to have much to do.
      const often = oneIn(this.#random, 6) ? 'trimmed' : undefined;
      const { plan, place } = this.#context.topics.place(this.#random, isStamped ? 'stamped' : often);
      if (!sends.has(placeName(place))) sends.set(placeName(place), this.#newSend(plan, place));
    }
    return [...sends.values()];
  }

  #newSend(plan: TopicPlan, place: Place, isFinal = false): Send {
    const { history, wall } = this.#context;
    const random = this.#random;
    const records = Array.from({ length: 1 + random.below(5) }, () => {
      const size = oneIn(random, 12) ? random.below(3000) : random.below(200);
      const value = `${this.#process}.${this.#records++}.${'x'.repeat(size)}`;
      const timestampMs = wall.trueMs - (oneIn(random, 10) ? random.below(5000) : 0);
      return { value, timestampMs, key: `k${random.below(20)}` };
    });
    const areTombstones = plan.isCompacted && oneIn(random, 3);
    const identity = this.#identity;
    const sequence = identity?.sequences.get(placeName(place)) ?? 0;
    identity?.sequences.set(placeName(place), sequence + records.length);
    const batch = buildBatch(
      records.map(({ timestampMs, key, value }) => ({
        timestampMs,
        key: Buffer.from(key),
        ...(areTombstones
          ? { value: null, headers: [{ key: 'value', value: Buffer.from(value) }] }
          : { value: Buffer.from(value) }),
      })),
      {
        compression: oneIn(random, 2) ? 'none' : pick(random, compressions),
        ...(identity && { producerId: identity.id, producerEpoch: identity.epoch, baseSequence: sequence }),
      },
    );
    const pending = history.invoke(this.#process, 'send', {
      place,
      acks: this.#acks,
      records: records.map(({ value, key }) => ({ value, key, ...(areTombstones && { isTombstone: true }) })),
      retries: this.#attemptsMax > 1,
      ...(isFinal && { isFinal }),
      ...(identity && { producer: { id: identity.id, epoch: identity.epoch, sequence } }),
      ...(plan.kind === 'stamped' && wall.isBehind && { isStampedBehind: true }),
      ...((plan.mayExpire || areTombstones) && { mayExpireFromMs: this.#context.scheduler.nowMs }),
    });
    const follows = identity !== null && plan.isSynced && this.#acks === -1 && this.#inFlightMax === 1;
    return { plan, place, batch, pending, follows, state: 'open', isUncertain: false };
  }

  /** Sends batches once, in one request. */
  async #attempt(sends: readonly Send[]): Promise<void> {
    const byId = oneIn(this.#random, 2);
    const topicData = sends.map(({ plan, place, batch }) => ({
      name: byId ? '' : plan.name,
      ...(byId && { topicId: plan.id }),
      partitionData: [{ index: place.partition, records: [batch] }],
    }));
    const request = { acks: this.#acks, timeoutMs: 5000, topicData };
    try {
      if (this.#acks === 0) {
        await this.#client.post('Produce', byId ? 13 : 12, request);
        for (const send of sends) this.#stored(send, null);
        return;
      }
      const { responses } = await this.#client.request('Produce', byId ? 13 : 12, request);
      for (const [i, send] of sends.entries()) this.#answered(send, responses[i]!.partitionResponses[0]!);
    } catch (error) {
      if (!(error instanceof Unanswered)) throw error;
      for (const send of sends) send.isUncertain ||= error.wasSent;
    }
  }

  /** A refusal is for good. What may be stored all the same, a broker is not sure of: it stops itself, here before it can answer. */
  #answered(send: Send, { errorCode, baseOffset }: { errorCode: number; baseOffset: number }): void {
    if (errorCode === kafkaErrors.NONE.code) this.#stored(send, baseOffset);
    else if (errorCode === kafkaErrors.OUT_OF_ORDER_SEQUENCE_NUMBER.code && this.#mustFollow(send)) {
      const where = placeName(send.place);
      this.#context.onViolation(`${where}: a sequence is out of order, though all before it was acknowledged`);
      this.#giveUp(send, errorName(errorCode));
    } else if (!isRetriable(errorCode)) this.#giveUp(send, errorName(errorCode));
  }

  /** Of damaged records the broker may not know any more who sent them. */
  #mustFollow({ follows, place }: Send): boolean {
    return follows && !this.#context.damages.hit(place);
  }

  #stored(send: Send, offset: number | null): void {
    send.state = 'stored';
    send.pending.ok({ offset, ...(send.isUncertain && { askedBefore: true }) });
  }

  #giveUp(send: Send, error: string): void {
    send.state = 'ended';
    if (send.isUncertain) send.pending.info(error);
    else send.pending.fail(error);
  }
}

/** Producers of all kinds. */
export function producers(): Workload {
  const ids = new Set<number>();
  return {
    name: 'producers',
    async run(context) {
      const count = 3 + context.streams.of('producers').below(3);
      await Promise.all(
        Array.from({ length: count }, (_, i) => new Producer(context, `producer ${i}`, ids, i > 0).run()),
      );
    },
    settle: (context) => new Producer(context, 'last producer', ids).reachAll(),
  };
}
