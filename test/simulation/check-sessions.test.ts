import { describe, expect, test } from 'vitest';
import { REBALANCE_TIMEOUT_MS, SESSION_TIMEOUT_MS } from './group-member.ts';
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

describe('a classic member that joins again in its generation, and is accepted', () => {
  interface Fate {
    readonly join?: 'unanswered' | 'answered' | 'refused';
    readonly syncsAgain?: boolean;
    readonly crashes?: boolean;
    readonly afterJoinMs?: number;
    readonly isMixed?: boolean;
  }

  const removed = ({ join = 'unanswered', syncsAgain, crashes, afterJoinMs, isMixed = true }: Fate = {}) =>
    found((g) => {
      const beat = () => g.by('a').begin('heartbeat', as('a', 2));
      if (isMixed) g.joined('b', 1, { protocol: 'consumer' });
      g.joined('a', 2);
      g.owns(as('a', 2));
      const joinedMs = g.timeMs;
      const again = g.by('a').begin('join', { group: 'g', protocol: 'classic', member: 'a' });
      if (join === 'answered') again.ok({ member: 'a', generation: 2 });
      else if (join === 'refused') again.fail('COORDINATOR_NOT_AVAILABLE');
      else again.info('disconnected');
      if (syncsAgain) g.owns(as('a', 2));
      if (crashes) g.crash('kill');
      g.timeMs = joinedMs + (afterJoinMs ?? REBALANCE_TIMEOUT_MS) - 100;
      for (let i = 0; i < 2; i += 1) beat().ok({ generation: 2, mustRejoin: false });
      g.timeMs = joinedMs + (afterJoinMs ?? REBALANCE_TIMEOUT_MS);
      beat().fail('UNKNOWN_MEMBER_ID');
    });

  test('may be removed for the sync that it owes since, when its time for that is over', () => {
    expect(removed()).toEqual([]);
    expect(removed({ join: 'answered' })).toEqual([]);
    expect(removed({ afterJoinMs: REBALANCE_TIMEOUT_MS - 100 })).toEqual(['session cut short']);
  });

  test('owes none when it has synced, was refused, or the broker began anew; nor where all are of its protocol', () => {
    expect(removed({ join: 'answered', syncsAgain: true })).toEqual(['session cut short']);
    expect(removed({ join: 'refused' })).toEqual(['session cut short']);
    expect(removed({ crashes: true })).toEqual(['session cut short']);
    expect(removed({ isMixed: false })).toEqual(['session cut short']);
  });
});
