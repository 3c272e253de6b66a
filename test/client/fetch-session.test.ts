import { describe, expect, test } from 'vitest';
import { FetchSession } from '../../src/client/fetch-session.ts';

const at = (partition: number, fetchOffset: number, topicId = 'AAAAAAAAAAAAAAAAAAAAAQ') => ({
  topic: 'topic',
  topicId,
  partition,
  fetchOffset,
  partitionMaxBytes: 100,
});

describe('a fetch session', () => {
  test('asks for everything first, and then only for what changed', () => {
    const session = new FetchSession(true);
    expect(session.ask([at(0, 5), at(1, 7)])).toEqual({
      sessionId: 0,
      sessionEpoch: 0,
      asks: [at(0, 5), at(1, 7)],
      forgotten: [],
    });
    session.answered(99);
    expect(session.ask([at(0, 6), at(1, 7)])).toEqual({
      sessionId: 99,
      sessionEpoch: 1,
      asks: [at(0, 6)],
      forgotten: [],
    });
    session.answered(99);
    expect(session.ask([at(0, 6), at(2, 0)])).toEqual({
      sessionId: 99,
      sessionEpoch: 2,
      asks: [at(2, 0)],
      forgotten: [at(1, 7)],
    });
  });

  test('forgets a topic that was made again under the same name', () => {
    const session = new FetchSession(true);
    session.ask([at(0, 5)]);
    session.answered(99);
    const again = at(0, 5, 'AAAAAAAAAAAAAAAAAAAAAg');
    expect(session.ask([again])).toMatchObject({ asks: [again], forgotten: [at(0, 5)] });
  });

  test('begins anew after a reset', () => {
    const session = new FetchSession(true);
    session.ask([at(0, 5)]);
    session.answered(99);
    session.reset();
    expect(session.ask([at(0, 5)])).toEqual({ sessionId: 0, sessionEpoch: 0, asks: [at(0, 5)], forgotten: [] });
  });

  test('does without where the broker gives none', () => {
    const session = new FetchSession(true);
    session.ask([at(0, 5)]);
    session.answered(0);
    expect(session.ask([at(0, 5)])).toMatchObject({ sessionId: 0, sessionEpoch: 0, asks: [at(0, 5)] });
  });

  test('opens none when it is not to, or the broker knows none', () => {
    const session = new FetchSession(true);
    session.disable();
    for (const one of [session, new FetchSession(false)]) {
      one.ask([at(0, 5)]);
      one.answered(0);
      expect(one.ask([at(0, 5)])).toMatchObject({ sessionId: 0, sessionEpoch: -1, asks: [at(0, 5)] });
    }
  });
});
