import { describe, expect, test } from 'vitest';
import { checkLog } from './check-log.ts';
import { HandMade, P } from './hand-made.ts';

/* A compacted topic in which k is deleted. What may expire does so from the beginning. */

const found = (write: (history: HandMade) => void): string[] => {
  const history = new HandMade({ isCompacted: true });
  write(history);
  return checkLog(history.history()).map(({ anomaly, offsets }) => [anomaly, ...offsets].join(' '));
};

const mayExpire = { mayExpireFromMs: 0 };

/** The last reading: records by their offsets. */
const finallyRead = (h: HandMade, there: Record<number, string>, next: number, logStart = 0): void => {
  const records = Object.entries(there).map(([offset, value]) => ({ offset: Number(offset), value }));
  h.finallyRead(logStart, '', { records, next, logStart });
};

describe('a deleted key', () => {
  const deleted = (there: Record<number, string>, logStart = 0) =>
    found((h) => {
      h.sent(0, 'k=1', mayExpire);
      h.sent(1, 'k=2', mayExpire);
      h.sent(2, 'k=3!', mayExpire);
      h.sent(3, 'j=1', mayExpire);
      finallyRead(h, { ...there, 3: 'j=1' }, 4, logStart);
    });

  test('may be there with its tombstone, or be gone with it', () => {
    expect(deleted({ 0: 'k=1', 1: 'k=2', 2: 'k=3!' })).toEqual([]);
    expect(deleted({ 2: 'k=3!' })).toEqual([]);
    expect(deleted({})).toEqual([]);
  });

  test('has come back when an older value is there without its tombstone', () => {
    expect(deleted({ 0: 'k=1' })).toEqual(['deleted key came back 0 2']);
    expect(deleted({ 0: 'k=1', 1: 'k=2' })).toEqual(['deleted key came back 0 1 2']);
    expect(deleted({ 1: 'k=2' }, 1)).toEqual(['deleted key came back 1 2']);
  });

  test('has not come back where a batch before the start of the log is read whole', () => {
    const before = found((h) => {
      h.sent(0, 'k=1', mayExpire);
      h.sent(1, 'k=2!', mayExpire);
      h.read(0, 'k=1', { logStart: 0, highWatermark: 2, isFinal: true });
      finallyRead(h, {}, 2, 1);
    });
    expect(before).toEqual([]);
  });

  test('may be sent again', () => {
    const again = found((h) => {
      h.sent(0, 'k=1', mayExpire);
      h.sent(1, 'k=2!', mayExpire);
      h.sent(2, 'k=3', mayExpire);
      finallyRead(h, { 0: 'k=1', 2: 'k=3' }, 3);
    });
    expect(again).toEqual([]);
  });

  test('may be there when its tombstone is lost with the power, and not otherwise', () => {
    const cut = (acks: 1 | -1) =>
      found((h) => {
        h.sent(0, 'k=1', mayExpire);
        h.sent(1, 'k=2!', { ...mayExpire, acks });
        h.crash('power');
        h.sent(2, 'j=1', mayExpire);
        finallyRead(h, { 0: 'k=1', 2: 'j=1' }, 3);
      });
    expect(cut(1)).toEqual([]);
    expect(cut(-1)).toEqual(['deleted key came back 0 1']);
  });

  test('may be there when its tombstone is damaged, or what came behind it', () => {
    const damaged = (from: number, isMended: boolean) =>
      found((h) => {
        h.sent(0, 'k=1', mayExpire);
        h.sent(1, 'k=2!', mayExpire);
        h.sent(2, 'k=3', mayExpire);
        h.sent(3, 'j=1', mayExpire);
        const flip = h.begin('flip', { place: P, from, to: from + 1 });
        if (isMended) flip.ok({});
        else h.begin('poll', { place: P, offset: from, isFinal: true }).fail('CORRUPT_MESSAGE');
        finallyRead(h, { 0: 'k=1', ...(from === 1 && { 2: 'k=3' }), 3: 'j=1' }, 4);
      });
    expect(damaged(1, false)).toEqual([]);
    expect(damaged(2, false)).toEqual([]);
    expect(damaged(2, true)).toContain('deleted key came back 0 1');
  });
});

describe('a key of a compacted topic', () => {
  const twice = (before: number, prepare: (h: HandMade) => void = () => {}) =>
    found((h) => {
      h.sent(0, 'k=1');
      h.sent(1, 'k=2');
      prepare(h);
      h.did('cleaned', { place: P, before }, {});
      finallyRead(h, { 0: 'k=1', 1: 'k=2' }, 2);
    });

  test('is there once at most in what is compacted', () => {
    expect(twice(0)).toEqual([]);
    expect(twice(1)).toEqual([]);
    expect(twice(2)).toEqual(['not compacted 0 1']);
  });

  test('may be there more often where a bit was flipped', () => {
    expect(twice(2, (h) => h.begin('flip', { place: P, from: 0, to: 1 }).ok({}))).toEqual([]);
  });
});

test('what expires goes from the start of a log, and a tombstone from anywhere', () => {
  const gone = (there: Record<number, string>, logStart: number) =>
    found((h) => {
      for (const [offset, value] of ['a=1', 'b=1', 'c=1!', 'd=1'].entries()) h.sent(offset, value, mayExpire);
      finallyRead(h, there, 4, logStart);
    });
  expect(gone({ 3: 'd=1' }, 3)).toEqual([]);
  expect(gone({ 0: 'a=1', 1: 'b=1', 3: 'd=1' }, 0)).toEqual([]);
  expect(gone({ 0: 'a=1', 3: 'd=1' }, 0)).toEqual(['lost 1']);
});
