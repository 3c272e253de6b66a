import { describe, expect, test } from 'vitest';
import { checkLog } from './check-log.ts';
import { HandMade, P, sendOf } from './hand-made.ts';

/* A bit of b, at offset 1, is flipped in its file. */

const found = (write: (history: HandMade) => void, facts: ConstructorParameters<typeof HandMade>[0] = {}): string[] => {
  const history = new HandMade(facts);
  history.sent(0, 'a');
  history.sent(1, 'b');
  history.sent(2, 'c');
  history.crash('power');
  write(history);
  return checkLog(history.history()).map(({ anomaly, offsets }) => [anomaly, ...offsets].join(' '));
};

const flip = (h: HandMade) => h.begin('flip', { place: P, from: 1, to: 2 });
const told = (h: HandMade, offset: number) =>
  h.begin('poll', { place: P, offset, isFinal: true }).fail('CORRUPT_MESSAGE');

const finallyRead = (h: HandMade, offset: number, values: string) =>
  h.finallyRead(offset, values, { logStart: 0, highWatermark: 3 });

describe('a damaged record', () => {
  test('may be missing when its reader was told so, and the others may not', () => {
    const history = (others: boolean) => (h: HandMade) => {
      flip(h);
      if (others) finallyRead(h, 0, 'a');
      told(h, 1);
      finallyRead(h, 2, 'c');
    };
    expect(found(history(true))).toEqual([]);
    expect(found(history(false))).toEqual(['lost 0']);
  });

  test('is never left out without a word, unless its topic has millrace.rot=skip', () => {
    const silent = (h: HandMade) => {
      flip(h);
      h.finallyRead(0, '', {
        records: [
          { offset: 0, value: 'a' },
          { offset: 2, value: 'c' },
        ],
        next: 3,
      });
    };
    expect(found(silent)).toEqual(['silent gap 1', 'lost 1']);
    expect(found(silent, { skipsRot: true })).toEqual([]);
  });

  test('is lost when the reader simply goes on behind it', () => {
    const silent = (h: HandMade) => {
      flip(h);
      finallyRead(h, 0, 'a');
      finallyRead(h, 2, 'c');
    };
    expect(found(silent)).toContain('lost 1');
  });

  test('is there once the bit is flipped back', () => {
    const mended = (values: string) => (h: HandMade) => {
      flip(h).ok({});
      if (values === '') told(h, 1);
      finallyRead(h, 0, values === '' ? 'a' : values);
      if (values === '') finallyRead(h, 2, 'c');
    };
    expect(found(mended('a b c'))).toEqual([]);
    expect(found(mended(''))).toEqual(['damage never done 1', 'lost 1']);
  });

  test('is told of where it is, and nowhere else', () => {
    const elsewhere = (h: HandMade) => {
      flip(h);
      told(h, 0);
      finallyRead(h, 0, 'a');
      told(h, 1);
      finallyRead(h, 2, 'c');
    };
    expect(found(elsewhere)).toEqual(['damage never done 0']);
    const passed = (h: HandMade) => {
      flip(h);
      told(h, 1);
      finallyRead(h, 0, 'a b c');
    };
    expect(found(passed, { skipsRot: true })).toEqual(['damage never done 1']);
  });

  test('may be stored once more by a retry, also when the bit is flipped back by then, and by nothing else', () => {
    const producer = { id: 7, epoch: 0, sequence: 0 };
    const copies = (flips: (h: HandMade, part: 'before' | 'while it is sent' | 'behind') => void): string[] => {
      const h = new HandMade();
      h.sent(0, 'a');
      flips(h, 'before');
      const send = h.begin('send', sendOf('b', { producer, retries: true }));
      h.crash('power');
      flips(h, 'while it is sent');
      send.ok({ offset: 2 });
      h.read(0, 'a b b');
      flips(h, 'behind');
      h.finallyRead(0, 'a b b');
      return checkLog(h.history()).map(({ anomaly, offsets }) => [anomaly, ...offsets].join(' '));
    };
    expect(copies((h, part) => part === 'while it is sent' && flip(h).ok({}))).toEqual([]);
    for (const wrong of ['never', 'before', 'behind']) {
      expect(copies((h, part) => part === wrong && flip(h).ok({}))).toEqual(['duplicate 1 2']);
    }
  });
});
