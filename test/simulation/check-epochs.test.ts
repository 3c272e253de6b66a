import { describe, expect, test } from 'vitest';
import { checkLog } from './check-log.ts';
import { HandMade, P } from './hand-made.ts';

const found = (write: (history: HandMade) => void, facts: ConstructorParameters<typeof HandMade>[0] = {}): string[] => {
  const history = new HandMade(facts);
  history.sent(0, 'a b');
  history.read(0, 'a b', { epochs: [{ epoch: 1, from: 0, last: 1 }] });
  history.crash('power');
  write(history);
  history.finallyRead(0, 'a b c', { epochs: epochsOf(1, 2) });
  return checkLog(history.history()).map(({ anomaly, offsets }) => [anomaly, ...offsets].join(' '));
};

/** Of a and b, and of c. */
const epochsOf = (old: number, young: number) => [
  { epoch: old, from: 0, last: 1 },
  { epoch: young, from: 2, last: 2 },
];

const asked = (h: HandMade, epoch: number, answer: { epoch: number; endOffset: number }) =>
  h.did('epochEnd', { place: P, epoch }, answer);

describe('leader epochs', () => {
  test('end behind what was read in them, and before what is of the next', () => {
    const anomalies = found((h) => {
      asked(h, 1, { epoch: 1, endOffset: 2 });
      h.sent(2, 'c');
      h.read(2, 'c', { epochs: [{ epoch: 2, from: 2, last: 2 }] });
      asked(h, 1, { epoch: 1, endOffset: 2 });
      asked(h, 2, { epoch: 2, endOffset: 3 });
    });
    expect(anomalies).toEqual([]);
  });

  test.each([
    ['ends too early', { epoch: 1, endOffset: 1 }, ['divergence 1 1']],
    ['is not known any more', { epoch: -1, endOffset: -1 }, ['divergence 0 -1']],
    ['ends in the next one', { epoch: 1, endOffset: 3 }, ['divergence 2 3']],
  ])('part from what was read when one %s', (_, answer, expected) => {
    const anomalies = found((h) => {
      h.sent(2, 'c');
      h.read(2, 'c', { epochs: [{ epoch: 2, from: 2, last: 2 }] });
      asked(h, 1, answer);
    });
    expect(anomalies).toEqual(expected);
  });

  test('may part from what a power cut may have taken', () => {
    const anomalies = found(
      (h) => {
        asked(h, 1, { epoch: 1, endOffset: 1 });
        h.sent(2, 'c');
      },
      { isSynced: false },
    );
    expect(anomalies).toEqual([]);
  });

  test('of a record never change, and go up with the offsets', () => {
    const seen = (old: number, young: number) =>
      found((h) => {
        h.sent(2, 'c');
        h.read(0, 'a b c', { epochs: epochsOf(old, young) });
      });
    expect(seen(1, 2)).toEqual([]);
    expect(seen(0, 2)).toContain('epoch changed 0');
    expect(seen(1, 0)).toContain('epoch changed 1 2');
  });
});
