import fc from 'fast-check';
import { expect, test } from 'vitest';
import { PartitionQueue } from '../../src/client/partition-queue.ts';
import { ProducerBatch, type ProducerIdentity } from '../../src/client/producer-batch.ts';
import { baseSequence, producerEpoch, producerId, recordCount } from '../../src/record/batch.ts';
import { recordsOf } from '../../src/record/records.ts';

const IN_FLIGHT_MAX = 5;

/** What a broker knows of one partition: Kafka's rules for idempotent producers, with its memory of five batches. */
class ModelBroker {
  readonly log: string[] = [];
  #state: { producerId: number; epoch: number; next: number; last: number[] } | null = null;

  append(bytes: Buffer): 'stored' | 'duplicate' | 'outOfOrder' | 'fenced' {
    const [id, epoch, first, count] = [
      producerId(bytes, 0),
      producerEpoch(bytes, 0),
      baseSequence(bytes, 0),
      recordCount(bytes, 0),
    ];
    const state = this.#state;
    if (state !== null && state.producerId === id) {
      if (epoch < state.epoch) return 'fenced';
      if (epoch === state.epoch && state.last.includes(first)) return 'duplicate';
      if (epoch === state.epoch && first !== state.next) return 'outOfOrder';
      if (epoch > state.epoch && first !== 0) return 'outOfOrder';
    }
    const last = state?.producerId === id && state.epoch === epoch ? state.last : [];
    this.#state = { producerId: id, epoch, next: first + count, last: [...last, first].slice(-5) };
    for (const { value } of recordsOf(bytes)) this.log.push(value?.toString() ?? '');
    return 'stored';
  }

  /** As after an unclean restart, or when a producer was idle for too long. */
  forget(): void {
    this.#state = null;
  }
}

interface Sent {
  batch: ProducerBatch;
  bytes: Buffer;
  outcome: 'stored' | 'duplicate' | 'outOfOrder' | 'fenced' | 'lost' | 'refused' | null;
}

/** Drives one queue as the sender does: requests travel in order, answers come in order, and either may be lost. */
class Run {
  readonly broker = new ModelBroker();
  readonly queue = new PartitionQueue('t', 0, 1000);
  readonly resolved: string[] = [];
  readonly rejected = new Set<string>();
  #wire: Sent[] = [];
  #identity: ProducerIdentity;
  #created = 0;

  constructor(epoch = 0) {
    this.#identity = { producerId: 1, epoch };
  }

  get isIdle(): boolean {
    return this.#wire.length === 0 && this.queue.isEmpty;
  }

  /** Adds a batch of a few records, named by their place. */
  produce(records: number): void {
    const place = { topic: 't', partition: 0, order: this.queue.nextOrder, createdAtMs: 0, expiresAtMs: 0 };
    const batch = new ProducerBatch(place, { compression: 'none', compressionLevel: undefined }, 1_000_000);
    for (let index = 0; index < records; index++) {
      const name = String(this.#created++);
      const record = { key: null, value: Buffer.from(name), headers: [], timestampMs: 1, partition: null, bytes: 1 };
      const pending = { resolve: () => this.resolved.push(name), reject: () => this.rejected.add(name) };
      batch.tryAppend(record, pending);
    }
    this.queue.add(batch);
    this.queue.closeOpen();
  }

  send(): void {
    const batch = this.queue.next(IN_FLIGHT_MAX);
    if (batch === null) return;
    if (!batch.isNumbered && this.queue.refuses(this.#identity)) {
      this.#identity = { producerId: this.#identity.producerId + 1, epoch: 0 };
    }
    expect(batch.build(() => {})).not.toBeNull();
    this.queue.take(batch, this.#identity);
    this.#wire.push({ batch, bytes: Buffer.from(batch.builtBytes), outcome: null });
  }

  /** The earliest request that is still on its way arrives; or never does; or is refused for what is in it. */
  arrive(how: 'arrives' | 'lost' | 'refused'): void {
    const sent = this.#wire.find((one) => one.outcome === null);
    if (sent === undefined) return;
    sent.outcome = how === 'arrives' ? this.broker.append(sent.bytes) : how;
  }

  /** The earliest answer comes back, or is lost. */
  answer(isLost: boolean): void {
    const sent = this.#wire[0];
    if (sent === undefined || sent.outcome === null) return;
    this.#wire.shift();
    const { batch } = sent;
    const outcome = isLost ? 'lost' : sent.outcome;
    this.queue.landed(batch);
    if (batch.settled) return;
    if (outcome === 'stored' || outcome === 'duplicate') {
      this.queue.succeed(batch);
      batch.resolve({ baseOffset: 0, logAppendTimeMs: -1 });
    } else if (outcome === 'outOfOrder') {
      batch.copyBytes();
      this.queue.retryOutOfOrder(batch);
    } else if (outcome === 'lost') {
      batch.copyBytes();
      this.queue.retry(batch);
    } else if (outcome === 'refused') {
      this.#giveUp(batch);
    } else {
      this.queue.spendIdentity();
      this.#giveUp(batch);
    }
  }

  /** A batch that is too old, wherever it is. */
  expire(): void {
    const batch = this.#wire[0]?.batch ?? this.queue.next(IN_FLIGHT_MAX);
    if (batch != null && !batch.settled) this.#giveUp(batch);
  }

  #giveUp(batch: ProducerBatch): void {
    this.queue.giveUp(batch);
    batch.reject(new Error('given up'));
  }

  split(): void {
    const sent = this.#wire[0];
    if (sent === undefined || sent.outcome !== null || sent.batch.settled || sent.batch.count < 2) return;
    // What is too large now was so at the first attempt, and was not stored then.
    if (sent.batch.attempts > 1) return;
    this.#wire.shift();
    this.queue.landed(sent.batch);
    this.queue.replace(sent.batch, sent.batch.split());
  }

  /** Everything arrives and is answered from now on. */
  finish(): void {
    for (let rounds = 0; !this.isIdle; rounds++) {
      expect(rounds).toBeLessThan(10_000);
      this.send();
      this.arrive('arrives');
      this.answer(false);
    }
  }

  check(): void {
    const places = this.broker.log.map(Number);
    expect(new Set(places).size, 'nothing is stored twice').toBe(places.length);
    expect(places, 'what is stored is stored in order').toEqual([...places].sort((a, b) => a - b));
    const stored = new Set(this.broker.log);
    for (const name of this.resolved) expect(stored.has(name), `${name} was said to be stored`).toBe(true);
    expect(this.resolved.length + this.rejected.size, 'each record has one outcome').toBe(this.#created);
  }
}

type Step = (run: Run) => void;

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.integer({ min: 1, max: 4 }).map(
      (records): Step =>
        (run) =>
          run.produce(records),
    ),
  },
  { weight: 6, arbitrary: fc.constant<Step>((run) => run.send()) },
  { weight: 6, arbitrary: fc.constant<Step>((run) => run.arrive('arrives')) },
  { weight: 6, arbitrary: fc.constant<Step>((run) => run.answer(false)) },
  { weight: 2, arbitrary: fc.constant<Step>((run) => run.arrive('lost')) },
  { weight: 2, arbitrary: fc.constant<Step>((run) => run.answer(true)) },
  { weight: 1, arbitrary: fc.constant<Step>((run) => run.arrive('refused')) },
  { weight: 1, arbitrary: fc.constant<Step>((run) => run.expire()) },
  { weight: 1, arbitrary: fc.constant<Step>((run) => run.split()) },
);

test('whatever is lost, refused, expired or split, records are stored at most once, in order, and with one outcome each', () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 10, maxLength: 120 }), (steps) => {
      const run = new Run();
      for (const one of steps) one(run);
      run.finish();
      run.check();
    }),
    { numRuns: 2_000 },
  );
});

test('a batch whose record was refused makes the next ones start over under a raised epoch', () => {
  const run = new Run();
  for (let batch = 0; batch < 3; batch++) run.produce(1);
  for (let batch = 0; batch < 3; batch++) run.send();
  run.arrive('refused');
  run.arrive('arrives');
  run.arrive('arrives');
  run.finish();
  expect(run.broker.log).toEqual(['1', '2']);
  expect([...run.rejected]).toEqual(['0']);
});

test('a broker that has forgotten the producer is started over with, and nothing is lost', () => {
  const run = new Run();
  run.produce(2);
  run.finish();
  run.broker.forget();
  run.produce(2);
  run.finish();
  expect(run.broker.log).toEqual(['0', '1', '2', '3']);
});

test('a spent epoch asks for a new identity', () => {
  const run = new Run(0x7fff - 3);
  for (let count = 0; count < 10; count++) {
    run.produce(1);
    run.send();
    run.arrive('refused');
    run.answer(false);
  }
  run.produce(1);
  run.finish();
  expect(run.broker.log).toEqual(['10']);
});
