import { expect, test } from 'vitest';
import { limits } from '../../../src/base/limits.ts';
import { ClassicGroup } from '../../../src/broker/groups/classic-group.ts';
import type { JoinAnswer } from '../../../src/broker/groups/classic-member.ts';
import type { Group } from '../../../src/broker/groups/group.ts';
import { GroupAlarms } from '../../../src/broker/groups/group-alarms.ts';
import { GroupClock } from '../../../src/broker/groups/group-clock.ts';
import { ManualClock } from '../../log/support.ts';

/* What a group may take of the broker, and when it is woken. */

test('ids are given out up to a limit, and again when some have lapsed', () => {
  const group = new ClassicGroup('g', { initialRebalanceDelayMs: 0, membersMax: 100 });
  const told = new Map<string, number>();
  const answered = ({ refused }: JoinAnswer) => void told.set(refused!.fault, (told.get(refused!.fault) ?? 0) + 1);
  const ask = (i: number, nowMs: number) => {
    const client = {
      instanceId: null,
      clientId: 'c',
      clientHost: '',
      sessionTimeoutMs: 10_000,
      rebalanceTimeoutMs: 10_000,
    };
    const protocols = [{ name: 'range', metadata: new Uint8Array() }];
    const wish = { memberId: '', newMemberId: `c-${i}`, protocolType: 'consumer', protocols };
    for (const effect of group.join(
      { answered },
      { ...client, ...wish, mustKnowId: true, maySkipAssignment: true },
      nowMs,
    )) {
      if (effect.type === 'answer') answered(effect.answer as JoinAnswer);
    }
  };
  for (let i = 0; i < limits.groupPendingMembersMax + 5; i += 1) ask(i, 0);
  expect(Object.fromEntries(told)).toEqual({ memberIdRequired: limits.groupPendingMembersMax, groupFull: 5 });
  group.wake(10_000);
  ask(limits.groupPendingMembersMax + 5, 10_000);
  expect(told.get('memberIdRequired')).toBe(limits.groupPendingMembersMax + 1);
  expect(group.isVoid).toBe(false);
  group.wake(20_000);
  expect(group.isVoid).toBe(true);
});

test('a group is woken at its deadline; after a standstill, only when its members could say that they live', () => {
  const clock = new ManualClock();
  const uptime = new GroupClock(clock, 0);
  const rung: number[] = [];
  const alarms = new GroupAlarms(clock, uptime, (_, nowMs) => void rung.push(nowMs));
  const wakeAt = (wakeAtMs: number) => alarms.watch({ id: 'g', wakeAtMs } as Group);
  wakeAt(1000);
  clock.advance(999);
  expect(rung).toEqual([]);
  clock.advance(1);
  expect(rung).toEqual([1000]);
  wakeAt(2000);
  // An earlier deadline counts, a later one does not put the alarm off.
  wakeAt(1500);
  wakeAt(3000);
  clock.advance(500);
  expect(rung).toEqual([1000, 1500]);
  wakeAt(2000);
  clock.advance(8000);
  expect(rung.length).toBe(2);
  clock.advance(500);
  expect(rung).toEqual([1000, 1500, 10_000]);
  wakeAt(11_000);
  alarms.forget('g');
  wakeAt(12_000);
  alarms.stop();
  clock.advance(5000);
  expect(rung.length).toBe(3);
  expect(clock.timers).toBe(0);
});
