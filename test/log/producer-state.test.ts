import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Fault, FaultName } from '../../src/base/faults.ts';
import { ProducerState, type Undo } from '../../src/log/producer-state.ts';
import { batchOf } from './support.ts';

const SEQUENCES = 2 ** 31;

interface Sent {
  id: number;
  epoch: number;
  sequence: number;
  count: number;
}

const bytesOf = ({ id, epoch, sequence, count }: Sent): Buffer =>
  batchOf({ count, valueBytes: 1, producerId: id, producerEpoch: epoch, baseSequence: sequence });

/** A state with offsets of its own: what a partition does with it. */
class Partition {
  readonly state = new ProducerState();
  nextOffset = 100;

  /** The base offset, whether the batch is new or a retry; or the fault. */
  send(sent: Sent): { offset: number; isNew: boolean } | FaultName {
    const batch = bytesOf(sent);
    try {
      const stored = this.state.check(batch);
      if (stored !== null) return { offset: stored.baseOffset, isNew: false };
    } catch (error) {
      return (error as Fault).fault;
    }
    const offset = this.nextOffset;
    this.nextOffset += sent.count;
    this.state.apply(batch, offset, this.nextOffset - 1, 0);
    return { offset, isNew: true };
  }
}

const send = (partition: Partition, sequence: number, { id = 7, epoch = 0, count = 1 } = {}) =>
  partition.send({ id, epoch, sequence, count });

describe('a producer', () => {
  test('that is not known may begin at any sequence, since its state may have been deleted with its records', () => {
    expect(send(new Partition(), 1234)).toEqual({ offset: 100, isNew: true });
  });

  test('goes on with the next sequence only', () => {
    const partition = new Partition();
    send(partition, 0, { count: 3 });
    expect(send(partition, 4)).toBe('outOfOrderSequence');
    expect(send(partition, 2)).toBe('outOfOrderSequence');
    expect(send(partition, 3)).toEqual({ offset: 103, isNew: true });
  });

  test('that sends one of its last five batches again gets its first offset; an older one is out of order', () => {
    const partition = new Partition();
    for (let i = 0; i < 6; i += 1) send(partition, i * 2, { count: 2 });
    for (let i = 1; i < 6; i += 1) {
      expect(send(partition, i * 2, { count: 2 })).toEqual({ offset: 100 + i * 2, isNew: false });
    }
    expect(send(partition, 0, { count: 2 })).toBe('outOfOrderSequence');
    // A part of a stored batch is no retry: clients send the same batches again.
    expect(send(partition, 10, { count: 1 })).toBe('outOfOrderSequence');
    expect(send(partition, 12)).toEqual({ offset: 112, isNew: true });
  });

  test('wraps its sequences at 2^31 - 1, between batches and inside one', () => {
    const partition = new Partition();
    send(partition, SEQUENCES - 5, { count: 3 });
    expect(send(partition, SEQUENCES - 2, { count: 2 })).toMatchObject({ isNew: true });
    expect(send(partition, 0, { count: 2 })).toMatchObject({ isNew: true });
    expect(send(partition, SEQUENCES - 2, { count: 2 })).toEqual({ offset: 103, isNew: false });
    const inside = new Partition();
    send(inside, SEQUENCES - 2, { count: 5 });
    expect(send(inside, SEQUENCES - 2, { count: 5 })).toEqual({ offset: 100, isNew: false });
    expect(send(inside, 4)).toBe('outOfOrderSequence');
    expect(send(inside, 3)).toMatchObject({ isNew: true });
  });

  test('of a new epoch begins at 0, and one of an older epoch is refused from then on', () => {
    const partition = new Partition();
    send(partition, 0);
    expect(send(partition, 1, { epoch: 1 })).toBe('outOfOrderSequence');
    expect(send(partition, 0, { epoch: 1 })).toEqual({ offset: 101, isNew: true });
    expect(send(partition, 1)).toBe('invalidProducerEpoch');
    expect(send(partition, 0)).toBe('invalidProducerEpoch');
    expect(send(partition, 0, { epoch: 1 })).toEqual({ offset: 101, isNew: false });
  });

  test('without an id leaves no trace', () => {
    const partition = new Partition();
    expect(partition.state.apply(batchOf(), 0, 0, 0)).toBe(null);
    expect(partition.state.check(batchOf())).toBe(null);
    expect(partition.state.size).toBe(0);
  });

  test('is forgotten when it was silent for long enough, and no sooner', () => {
    const state = new ProducerState();
    for (const id of [1, 2, 3]) state.apply(bytesOf({ id, epoch: 0, sequence: 0, count: 1 }), 0, 0, id * 10);
    state.expire(20);
    expect(state.size).toBe(2);
    expect(state.check(bytesOf({ id: 1, epoch: 0, sequence: 9, count: 1 }))).toBe(null);
    expect(() => state.check(bytesOf({ id: 2, epoch: 0, sequence: 9, count: 1 }))).toThrow();
  });
});

// The plain rule, over all that was ever stored: what ProducerState says with five batches must agree with it.
class Model {
  readonly stored: (Sent & { offset: number })[] = [];

  expect(sent: Sent): { offset: number; isNew: boolean } | FaultName {
    const ofProducer = this.stored.filter(({ id }) => id === sent.id);
    const epoch = ofProducer.at(-1)?.epoch;
    if (epoch === undefined) return { offset: -1, isNew: true };
    if (sent.epoch < epoch) return 'invalidProducerEpoch';
    if (sent.epoch > epoch) return sent.sequence === 0 ? { offset: -1, isNew: true } : 'outOfOrderSequence';
    const ofEpoch = ofProducer.filter((batch) => batch.epoch === epoch);
    const same = ofEpoch.slice(-5).find((batch) => batch.sequence === sent.sequence && batch.count === sent.count);
    if (same !== undefined) return { offset: same.offset, isNew: false };
    const last = ofEpoch.at(-1)!;
    const next = (last.sequence + last.count) % SEQUENCES;
    return sent.sequence === next ? { offset: -1, isNew: true } : 'outOfOrderSequence';
  }
}

test('agrees with the plain rule, through retries, gaps, epochs, wraps, snapshots and failed writes', () => {
  const anySent = fc.record({
    id: fc.integer({ min: 1, max: 2 }),
    epochUp: fc.integer({ min: -1, max: 1 }),
    // Mostly what a client would send next, or one of its last batches again.
    back: fc.integer({ min: -1, max: 7 }),
    begin: fc.constantFrom(0, 0, 5, SEQUENCES - 3),
    count: fc.integer({ min: 1, max: 3 }),
    after: fc.constantFrom('keep', 'keep', 'keep', 'undo', 'snapshot'),
  });
  const seen = new Set<string>();
  fc.assert(
    fc.property(fc.array(anySent, { minLength: 1, maxLength: 60 }), (steps) => {
      const partition = new Partition();
      const model = new Model();
      for (const { id, epochUp, back, begin, count, after } of steps) {
        const ofProducer = model.stored.filter((batch) => batch.id === id);
        const last = ofProducer.at(-1);
        const again = back > 0 ? ofProducer.at(-back) : undefined;
        const bump = back === -1 ? epochUp : 0;
        const sent: Sent = again ?? {
          id,
          epoch: Math.max(0, (last?.epoch ?? 0) + bump),
          sequence: last === undefined || bump !== 0 ? begin : (last.sequence + last.count) % SEQUENCES,
          count,
        };
        const expected = model.expect(sent);
        const before = JSON.stringify(partition.state.snapshot().sort());
        const undo = spyOnUndo(partition.state);
        const found = partition.send(sent);
        if (typeof expected === 'string') expect(found).toBe(expected);
        else expect(found).toMatchObject({ isNew: expected.isNew, ...(expected.isNew ? {} : expected) });
        seen.add(typeof found === 'string' ? found : found.isNew ? 'new' : 'retry');
        if (typeof found !== 'string' && found.isNew) {
          if (after === 'undo') {
            undo();
            partition.nextOffset = found.offset;
            expect(JSON.stringify(partition.state.snapshot().sort())).toBe(before);
          } else model.stored.push({ ...sent, offset: found.offset });
        }
        if (after === 'snapshot') expect(partition.state.restore(partition.state.snapshot(), 0)).toBe(true);
      }
    }),
    { numRuns: 300 },
  );
  expect([...seen].sort()).toEqual(['invalidProducerEpoch', 'new', 'outOfOrderSequence', 'retry']);
});

/** Takes back the next batch that the state applies. */
function spyOnUndo(state: ProducerState): Undo {
  const { apply } = ProducerState.prototype;
  let undo: Undo | null = null;
  state.apply = (...args) => {
    undo = apply.apply(state, args);
    return undo;
  };
  return () => undo!();
}

test('failed writes are taken back youngest first, through all that a producer sent since', () => {
  const state = new ProducerState();
  const undos: Undo[] = [];
  state.apply(bytesOf({ id: 1, epoch: 0, sequence: 0, count: 1 }), 0, 0, 0);
  const before = JSON.stringify(state.snapshot());
  for (const [sequence, epoch] of [
    [1, 0],
    [2, 0],
    [0, 1],
    [1, 1],
  ] as const) {
    undos.push(state.apply(bytesOf({ id: 1, epoch, sequence, count: 1 }), 5, 5, 0)!);
  }
  for (const undo of undos.toReversed()) undo();
  expect(JSON.stringify(state.snapshot())).toBe(before);
});

test.each([
  ['nothing', undefined],
  ['no list', { 1: [] }],
  ['an entry that is no list', [5]],
  ['a producer without batches', [[1, 0, []]]],
  ['an id that is no number', [['1', 0, [[0, 0, 0, 0]]]]],
  ['a batch that is short', [[1, 0, [[0, 0, 0]]]]],
  ['a batch with a fraction', [[1, 0, [[0, 0, 0, 0.5]]]]],
])('%s is no snapshot, and leaves the state empty', (_, content) => {
  const state = new ProducerState();
  state.apply(bytesOf({ id: 1, epoch: 0, sequence: 0, count: 1 }), 0, 0, 0);
  expect(state.restore(content, 0)).toBe(false);
  expect(state.size).toBe(0);
});
