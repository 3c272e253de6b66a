import { describe, expect, test } from 'vitest';
import { checkLog } from './check-log.ts';
import { HandMade, P, sendOf } from './hand-made.ts';
import type { History, Pending } from './history.ts';
import { storyOf } from './violation.ts';

/* Each anomaly in the smallest history that shows it, and beside it the nearest history in which nothing is wrong. */

const found = (history: History): string[] =>
  checkLog(history).map(({ anomaly, offsets }) => [anomaly, ...offsets].join(' '));

function made(write: (history: HandMade) => History, facts: ConstructorParameters<typeof HandMade>[0] = {}): History {
  return write(new HandMade(facts));
}

describe('what was acknowledged', () => {
  test('is there at the end', () => {
    const history = made((h) => {
      h.sent(0, 'a b');
      h.sent(2, 'c');
      return h.finallyRead(0, 'a b c');
    });
    expect(found(history)).toEqual([]);
  });

  test('is lost when it is not', () => {
    const history = made((h) => {
      h.sent(0, 'a');
      h.sent(1, 'b');
      h.crash('power');
      return h.finallyRead(0, 'a');
    });
    expect(found(history)).toContain('lost 1');
  });

  test.each([
    ['kill', ['high watermark went back 1 0', 'lost 0']],
    ['power', []],
  ] as const)('with acks=1 survives a kill, and not a power cut: %s', (how, expected) => {
    const history = made((h) => {
      h.sent(0, 'a', { acks: 1 });
      if (how === 'kill') h.did('listOffsets', { place: P, at: 'latest' }, { offset: 1 });
      h.crash(how);
      return h.finallyRead(0, '');
    });
    expect(found(history)).toEqual(expected);
  });

  test('with acks=1 survives a power cut when something behind it was acknowledged with acks=all before', () => {
    const history = made((h) => {
      h.sent(0, 'a', { acks: 1 });
      h.sent(1, 'b');
      h.crash('power');
      h.sent(0, 'c', { acks: 1 });
      return h.finallyRead(0, 'c b');
    });
    expect(found(history)).toEqual(['inconsistent offset 0', 'order 0 0', 'lost 0']);
  });

  test('may be lost in a power cut where the topic is not synced at each message, and only there', () => {
    const lost = (how: 'power' | 'kill') =>
      made(
        (h) => {
          h.sent(0, 'a');
          h.read(0, 'a');
          h.crash(how);
          h.sent(0, 'b');
          return h.finallyRead(0, 'b');
        },
        { isSynced: false },
      );
    expect(found(lost('power'))).toEqual([]);
    expect(found(lost('kill'))).toEqual(['inconsistent offset 0', 'order 0 0', 'lost 0']);
  });

  test('may be gone when a trim asked for that, and nothing above it', () => {
    const trimmed = (before: number) =>
      made((h) => {
        h.sent(0, 'a b c');
        h.did('trim', { place: P, before }, { logStart: before });
        return h.finallyRead(2, 'c');
      });
    expect(found(trimmed(2))).toEqual([]);
    expect(found(trimmed(1))).toEqual(['trimmed too early 1', 'lost 1']);
  });

  test('may be gone when its time is over, and not before', () => {
    const expired = (timeMs: number) =>
      made((h) => {
        h.sent(0, 'a', { mayExpireFromMs: 1000 });
        h.timeMs = timeMs;
        return h.finallyRead(1, '');
      });
    expect(found(expired(1000))).toEqual([]);
    expect(found(expired(900))).toEqual(['trimmed too early 0', 'lost 0']);
  });

  test('is unseen when nobody read the end', () => {
    expect(
      found(
        made((h) => {
          h.sent(0, 'a');
          h.read(0, 'a');
          return h.history();
        }),
      ),
    ).toEqual(['unseen']);
    expect(
      found(
        made((h) => {
          h.sent(0, 'a b');
          return h.finallyRead(0, 'a', { highWatermark: 2 });
        }),
      ),
    ).toEqual(['unseen 1']);
  });

  test('of a compacted topic may go when a later record has its key', () => {
    const compacted = (last: string) =>
      made(
        (h) => {
          h.sent(0, 'k=1');
          h.sent(1, last);
          return h.finallyRead(0, '', { records: [{ offset: 1, value: last }], next: 2 });
        },
        { isCompacted: true },
      );
    expect(found(compacted('k=2'))).toEqual([]);
    expect(found(compacted('j=2'))).toEqual(['silent gap 0', 'lost 0']);
  });

  test('of a compacted topic may go when it lies there once more, since its client asked again', () => {
    const again = (offset: number) =>
      made(
        (h) => {
          const send = h.begin('send', sendOf('k=1', { retries: true }));
          h.read(0, 'k=1');
          send.ok({ offset });
          const records = offset === 0 ? [] : [{ offset, value: 'k=1' }];
          return h.finallyRead(0, '', { records, next: 2 });
        },
        { isCompacted: true },
      );
    expect(found(again(1))).toEqual([]);
    expect(found(again(0))).toEqual(['silent gap 0', 'lost 0']);
  });

  test('of a compacted topic may go for an older one that its client sent again, a tombstone that went then', () => {
    const again = (end: (send: Pending<'send'>) => void, timeMs = 1000) =>
      made(
        (h) => {
          const send = h.begin('send', sendOf('k=1!', { retries: true, mayExpireFromMs: 1000 }));
          h.read(0, 'k=1!');
          h.sent(1, 'k=2');
          end(send);
          h.timeMs = timeMs;
          return h.finallyRead(0, '', { next: 3 });
        },
        { isCompacted: true },
      );
    expect(found(again((send) => send.info('given up')))).toEqual([]);
    expect(found(again((send) => send.ok({ offset: 0, askedBefore: true })))).toEqual([]);
    // It was stored once, and lies before the other.
    expect(found(again((send) => send.ok({ offset: 0 })))).toEqual(['silent gap 1', 'lost 1']);
    expect(found(again((send) => send.info('given up'), 900))).toContain('lost 1');
  });

  test('of a compacted topic may not go for a record that went itself', () => {
    const history = made(
      (h) => {
        h.sent(0, 'k=1');
        h.begin('send', sendOf('k=2', { acks: 1 })).info('disconnected');
        h.crash('power');
        return h.finallyRead(0, '', { next: 1 });
      },
      { isCompacted: true },
    );
    expect(found(history)).toEqual(['lost 0']);
  });

  test('goes with a tombstone only when that may go', () => {
    const tombstoned = (timeMs: number) =>
      made(
        (h) => {
          h.sent(0, 'k=1');
          h.sent(1, 'k=2!', { mayExpireFromMs: 1000 });
          h.timeMs = timeMs;
          return h.finallyRead(0, '', { next: 2 });
        },
        { isCompacted: true },
      );
    expect(found(tombstoned(1000))).toEqual([]);
    expect(found(tombstoned(900))).toEqual(['silent gap 1', 'lost 0', 'lost 1']);
  });
});

describe('what a reader saw', () => {
  test('must survive all that comes later, acknowledged or not', () => {
    const history = made((h) => {
      h.begin('send', sendOf('a')).info('disconnected');
      h.read(0, 'a');
      h.crash('power');
      return h.finallyRead(0, '');
    });
    expect(found(history)).toEqual(['high watermark went back 1 0', 'dirty read 0']);
  });

  test('was sent, there, before, and not refused', () => {
    const refused = made((h) => {
      h.begin('send', sendOf('a')).fail('NOT_ENOUGH_REPLICAS');
      return h.finallyRead(0, 'a');
    });
    const never = made((h) => h.finallyRead(0, 'a'));
    const early = made((h) => {
      h.read(0, 'a');
      h.begin('send', sendOf('a')).info('disconnected');
      return h.finallyRead(0, 'a');
    });
    const elsewhere = made(
      (h) => {
        h.begin('send', sendOf('a', { place: { ...P, partition: 1 } })).info('disconnected');
        return h.finallyRead(0, 'a');
      },
      { partitions: 2 },
    );
    for (const history of [refused, never, early, elsewhere]) expect(found(history)).toContain('phantom 0');
    const unknown = made((h) => {
      h.begin('send', sendOf('a')).info('disconnected');
      return h.finallyRead(0, 'a');
    });
    expect(found(unknown)).toEqual([]);
  });

  test('keeps its offset: one offset has one value', () => {
    const history = made((h) => {
      h.begin('send', sendOf('a')).info('disconnected');
      h.begin('send', sendOf('b')).info('disconnected');
      h.read(0, 'a');
      return h.finallyRead(0, 'b');
    });
    expect(found(history)).toEqual(['inconsistent offset 0', 'dirty read 0']);
  });

  test('has no gap: neither an offset without a record, nor one whose record is known', () => {
    const history = made((h) => {
      h.sent(0, 'a b c');
      h.read(0, 'a', { next: 3 });
      return h.finallyRead(0, 'a b c');
    });
    expect(found(history)).toEqual(['silent gap 1 2']);
  });

  test('agrees with itself', () => {
    const answers = [
      {
        records: [
          { offset: 1, value: 'b' },
          { offset: 0, value: 'a' },
        ],
        next: 2,
      },
      { records: [{ offset: 0, value: 'a' }], next: 0, highWatermark: 2 },
      { records: [{ offset: 0, value: 'a' }], next: 1, highWatermark: 0 },
      { records: [], next: 0, highWatermark: 2, logStart: 3 },
    ];
    for (const answer of answers) {
      const history = made((h) => {
        h.sent(0, 'a b');
        h.read(0, '', answer);
        return h.finallyRead(0, 'a b');
      });
      expect(found(history).join()).toContain('impossible answer');
    }
  });
});

describe('a record', () => {
  test('is there once, unless its client asked again without a sequence', () => {
    const twice = (call: Parameters<typeof sendOf>[1]) =>
      made((h) => {
        h.begin('send', sendOf('a', call)).info('disconnected');
        return h.finallyRead(0, 'a a');
      });
    expect(found(twice({ retries: true }))).toEqual([]);
    expect(found(twice({}))).toEqual(['duplicate 0 1']);
    const producer = { id: 1, epoch: 0, sequence: 0 };
    expect(found(twice({ retries: true, producer }))).toEqual(['duplicate 0 1']);
  });

  test('lies where it was acknowledged', () => {
    const history = made((h) => {
      h.sent(0, 'a');
      h.sent(0, 'b', { retries: true });
      return h.finallyRead(0, 'a b');
    });
    expect(found(history)).toEqual(['inconsistent offset 0', 'order 0 0', 'lost 0']);
  });

  test('lies behind those that were acknowledged before it was sent', () => {
    const order = (overlap: boolean) =>
      made((h) => {
        const first = h.begin('send', sendOf('a'));
        if (!overlap) first.ok({ offset: 1 });
        h.sent(0, 'b');
        if (overlap) first.ok({ offset: 1 });
        return h.finallyRead(0, 'b a');
      });
    expect(found(order(true))).toEqual([]);
    expect(found(order(false))).toEqual(['order 1 0']);
  });

  test('of an idempotent producer lies in the order of sequences, though nothing was acknowledged', () => {
    const history = made((h) => {
      h.begin('send', sendOf('a', { producer: { id: 1, epoch: 0, sequence: 0 } })).info('disconnected');
      h.begin('send', sendOf('b', { producer: { id: 1, epoch: 0, sequence: 1 } })).info('disconnected');
      return h.finallyRead(0, 'b a');
    });
    expect(found(history)).toEqual(['order 1 0']);
  });

  test('is there with all others of its request, or none is', () => {
    const history = made((h) => {
      h.begin('send', sendOf('a b c')).info('disconnected');
      return h.finallyRead(0, 'a b');
    });
    expect(found(history)).toEqual(['torn send 2']);
  });
});

describe('what is told of a partition', () => {
  test('does not go back: the high watermark', () => {
    const history = made((h) => {
      h.sent(0, 'a b');
      h.did('listOffsets', { place: P, at: 'latest' }, { offset: 1 });
      return h.finallyRead(0, 'a b');
    });
    expect(found(history)).toEqual(['high watermark went back 2 1']);
  });

  test('does not go back: the log start, not even by a power cut', () => {
    const history = made((h) => {
      h.sent(0, 'a b');
      h.did('trim', { place: P, before: 1 }, { logStart: 1 });
      h.crash('power');
      return h.finallyRead(0, 'a b');
    });
    expect(found(history)).toEqual(['log start went back 1 0']);
  });

  test('ends when it was deleted', () => {
    const history = made((h) => {
      h.sent(0, 'a');
      h.did('deleteTopic', { topic: P.topic }, {});
      h.crash('power');
      return h.finallyRead(0, 'a');
    });
    expect(found(history)).toEqual(['deleted topic came back']);
  });
});

test('a violation tells its story in the order in which things were asked', () => {
  const history = made((h) => {
    h.sent(0, 'a');
    h.crash('power');
    return h.finallyRead(0, '');
  });
  const story = storyOf(checkLog(history).find(({ anomaly }) => anomaly === 'lost')!);
  expect(story).toEqual([
    'LOST t/0 @0: a not there at the end (read 0 to 0)',
    '  #0 [0 to 1] client 1 send {"place":{"topic":"t","partition":0},"acks":-1,"records":[{"value":"a"}]} ok {"offset":0}',
    expect.stringMatching(/^ {2}#2 \[4 to 5\] client 1 poll .*"isFinal":true/),
  ]);
});
