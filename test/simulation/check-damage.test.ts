import { describe, expect, test } from 'vitest';
import { checkLog } from './check-log.ts';
import { HandMade, P } from './hand-made.ts';

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
});
