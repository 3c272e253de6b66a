import { describe, expect, test } from 'vitest';
import { SESSION_TIMEOUT_MS } from './group-member.ts';
import { as, found } from './hand-made-group.ts';

describe('a member that was heard less than a session ago', () => {
  const refused = (
    tell: {
      after?: number;
      error?: string;
      instance?: string;
      mustRejoin?: boolean;
      crashes?: boolean;
      beats?: number;
    } = {},
  ) =>
    found((g) => {
      const { after = 100, error = 'UNKNOWN_MEMBER_ID', instance, mustRejoin = false, crashes, beats = 2 } = tell;
      const who = as('a', 1, instance);
      for (let i = 1; i <= beats; i += 1) {
        g.by('a').did('heartbeat', who, { generation: 1, mustRejoin: i === beats && mustRejoin });
      }
      g.timeMs += after;
      if (crashes) g.crash('kill');
      g.by('a').begin('heartbeat', who).fail(error);
    });

  test('is a member still', () => {
    expect(refused()).toEqual(['session cut short']);
    expect(refused({ error: 'GROUP_ID_NOT_FOUND' })).toEqual(['session cut short']);
    expect(refused({ after: SESSION_TIMEOUT_MS - 10 })).toEqual(['session cut short']);
    expect(refused({ after: SESSION_TIMEOUT_MS })).toEqual([]);
  });

  test('may be told that its generation is over', () => {
    expect(refused({ error: 'ILLEGAL_GENERATION' })).toEqual([]);
  });

  test('may be removed for what it did not do: join a rebalance, or give up what it was told to', () => {
    expect(refused({ mustRejoin: true })).toEqual([]);
    expect(refused({ beats: 1 })).toEqual([]);
  });

  test('may be forgotten in a crash, or be replaced by another of its instance', () => {
    expect(refused({ crashes: true })).toEqual([]);
    expect(refused({ instance: 'i' })).toEqual([]);
  });
});
