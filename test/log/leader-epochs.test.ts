import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LeaderEpochs } from '../../src/log/leader-epochs.ts';

const starts = [
  { epoch: 2, startOffset: 10 },
  { epoch: 5, startOffset: 20 },
  { epoch: 6, startOffset: 30 },
];

describe('where an epoch ends (KIP-101, as Kafka answers it)', () => {
  const epochs = new LeaderEpochs(starts);
  test.each([
    [5, { epoch: 5, endOffset: 30 }],
    [2, { epoch: 2, endOffset: 20 }],
    [6, { epoch: 6, endOffset: 99 }],
    // One that was never led here ends where the next one begins.
    [3, { epoch: 2, endOffset: 20 }],
    // Its records were deleted: it ends at the log's start, so that a reader that stands there is not told of a cut.
    [1, { epoch: 1, endOffset: 10 }],
    // Begun without a record so far: the broker's own epoch may be newer than the log's.
    [9, { epoch: 6, endOffset: 99 }],
  ])('epoch %d', (epoch, end) => {
    expect(epochs.endOf(epoch, 99)).toEqual(end);
  });

  test('is not known where no epoch is', () => {
    expect(new LeaderEpochs().endOf(0, 99)).toBe(null);
  });
});

test('an epoch begins once, and leaves no trace when it had no record', () => {
  const epochs = new LeaderEpochs();
  expect(epochs.latest).toBe(-1);
  expect(epochs.begin(3, 10)).toBe(true);
  expect(epochs.begin(3, 12)).toBe(false);
  expect(epochs.begin(2, 12)).toBe(false);
  expect(epochs.begin(4, 10)).toBe(true);
  expect(epochs.starts).toEqual([{ epoch: 4, startOffset: 10 }]);
});

test('what is deleted at the start takes its epochs along, but not the one that reaches past it', () => {
  const cut = (startOffset: number): unknown => {
    const epochs = new LeaderEpochs(starts);
    epochs.cutStart(startOffset);
    return epochs.starts;
  };
  expect(cut(5)).toEqual(starts);
  expect(cut(10)).toEqual(starts);
  expect(cut(15)).toEqual([{ epoch: 2, startOffset: 15 }, ...starts.slice(1)]);
  expect(cut(20)).toEqual(starts.slice(1));
  expect(cut(29)).toEqual([{ epoch: 5, startOffset: 29 }, starts[2]]);
  expect(cut(500)).toEqual([{ epoch: 6, startOffset: 500 }]);
});

test('every offset keeps its epoch through begins and cuts', () => {
  const anyOp = fc.oneof(
    fc.record({ begin: fc.integer({ min: 0, max: 2 }), records: fc.integer({ min: 1, max: 5 }) }),
    fc.record({ cutTo: fc.nat(100) }),
  );
  fc.assert(
    fc.property(fc.array(anyOp, { maxLength: 30 }), (ops) => {
      const epochs = new LeaderEpochs();
      const model: number[] = [];
      let start = 0;
      let epoch = 0;
      for (const op of ops) {
        if ('begin' in op) {
          epoch += op.begin;
          epochs.begin(epoch, model.length);
          for (let i = 0; i < op.records; i += 1) model.push(epoch);
        } else {
          start = Math.max(start, Math.floor((model.length * op.cutTo) / 100));
          epochs.cutStart(start);
        }
      }
      for (let offset = start; offset < model.length; offset += 1) expect(epochs.at(offset)).toBe(model[offset]);
      for (let asked = model[start] ?? epoch; asked <= epoch; asked += 1) {
        const end = model.findIndex((at, offset) => offset >= start && at > asked);
        if (model.length > start)
          expect(epochs.endOf(asked, model.length)!.endOffset).toBe(end < 0 ? model.length : end);
      }
    }),
  );
});
