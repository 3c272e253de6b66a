import { expect, test } from 'vitest';
import { AbortedTransactions } from '../../src/client/aborted-transactions.ts';
import { buildBatch } from '../../src/record/batch-builder.ts';

const inTransaction = (producerId: number, baseOffset: number): Buffer =>
  buildBatch([{ timestampMs: 1, value: Buffer.from('x') }], {
    baseOffset,
    producerId,
    producerEpoch: 0,
    baseSequence: 0,
    isTransactional: true,
  });

/** Version 0, then type 0 for an abort or 1 for a commit. */
const marker = (producerId: number, baseOffset: number, type: 'abort' | 'commit'): Buffer =>
  buildBatch([{ timestampMs: 1, key: Buffer.from([0, 0, 0, type === 'abort' ? 0 : 1]), value: Buffer.alloc(6) }], {
    baseOffset,
    producerId,
    producerEpoch: 0,
    isTransactional: true,
    isControl: true,
  });

const plain = (baseOffset: number): Buffer => buildBatch([{ timestampMs: 1, value: Buffer.from('x') }], { baseOffset });

// Producer 1 aborts what it wrote at 0 and 2, then commits 6; producer 2, in between, commits; 4 is in no transaction.
test('hides exactly the batches of aborted transactions, and all markers', () => {
  const aborted = new AbortedTransactions([{ producerId: 1, firstOffset: 0 }]);
  const log: [batch: Buffer, isHidden: boolean][] = [
    [inTransaction(1, 0), true],
    [inTransaction(2, 1), false],
    [inTransaction(1, 2), true],
    [marker(1, 3, 'abort'), true],
    [plain(4), false],
    [marker(2, 5, 'commit'), true],
    [inTransaction(1, 6), false],
    [marker(1, 7, 'commit'), true],
  ];
  // Once nothing aborted is left, markers are left to the reader, which skips all of them.
  expect(log.slice(0, 5).map(([batch]) => aborted.hides(batch, 0))).toEqual(
    log.slice(0, 5).map(([, hidden]) => hidden),
  );
  expect(aborted.hides(inTransaction(1, 6), 0)).toBe(false);
});

test('a transaction that begins later does not hide what its producer wrote before', () => {
  const aborted = new AbortedTransactions([{ producerId: 1, firstOffset: 5 }]);
  expect(aborted.hides(inTransaction(1, 4), 0)).toBe(false);
  expect(aborted.hides(inTransaction(1, 5), 0)).toBe(true);
});

test('with nothing aborted, nothing is hidden', () => {
  expect(new AbortedTransactions([]).hides(inTransaction(1, 0), 0)).toBe(false);
});
