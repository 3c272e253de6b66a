import { describe, expect, test } from 'vitest';
import { HandMade, P } from './hand-made.ts';
import type { History } from './history.ts';
import type { Disturbance } from './nemesis.ts';
import { IN_EVERY_RUN, type Work, workDone } from './took-place.ts';
import { allWorkloads, simulate } from './world.ts';

const ALL: readonly Work[] = IN_EVERY_RUN;
const as = { group: 'g', member: 'm', generation: 1 };
const commit = { group: 'g', tag: 'c', as, offsets: [{ ...P, offset: 2 }] };
const record = { offset: 0, value: 'a' };

/** A send, a record read by a reader and one by a member, a commit: each made, or asked for in vain where that is said of it. */
function historyWithout(what?: Work): History {
  const h = new HandMade();
  const send = { place: P, acks: 1, records: [{ value: 'a' }] } as const;
  if (what === 'send that succeeded') h.begin('send', send).info('timeout');
  else h.did('send', send, { offset: what === 'send answered with its offset' ? null : 0 });
  h.sent(1, 'b', { isFinal: true });
  h.read(0, what === 'record read by a reader' ? '' : 'a');
  h.read(0, 'a', { isFinal: true });
  const records = what === 'record read by a member of a group' ? [] : [record];
  h.did('poll', { place: P, offset: 0, as }, { records, next: records.length, highWatermark: 1, logStart: 0 });
  if (what === 'commit by a member of a group') h.begin('commit', commit).fail('UNKNOWN_MEMBER_ID');
  else h.did('commit', commit, {});
  // Somebody else's, who is no member.
  h.did('commit', { group: 'g', tag: 'd', offsets: commit.offsets }, {});
  return h.history();
}

describe('it is noticed when', () => {
  test.each(ALL)('there is no %s', (what) => {
    const missing = (history: History): Work[] => ALL.filter((work) => !workDone(history).has(work));
    expect(missing(historyWithout())).toEqual([]);
    const alsoMissing = what === 'send that succeeded' ? ['send answered with its offset'] : [];
    expect(missing(historyWithout(what))).toEqual([what, ...alsoMissing]);
  });

  // What the last producer and the last reader do when all is over, they do nevertheless.
  test.each([
    { idle: 'producers', fails: IN_EVERY_RUN.slice(0, 3) },
    { idle: 'readers', fails: IN_EVERY_RUN.slice(2, 3) },
    { idle: 'groups', fails: IN_EVERY_RUN.slice(3) },
  ])('the $idle of a run do nothing', async ({ idle, fails }) => {
    const nothing = async (): Promise<void> => {};
    const workloads = allWorkloads().map((one) => {
      if (one.name !== idle) return one;
      // The members of groups work on when nothing disturbs them any more.
      return { ...one, run: nothing, ...(idle === 'groups' && { finish: nothing }) };
    });
    const { failures } = await simulate({ seed: 1, workloads, operations: 200 });
    const said = failures.map(({ says }) => says).filter((says) => says.startsWith('there was no '));
    expect(said).toEqual(fails.map((what) => `there was no ${what}`));
  });

  test('nothing but crashes is done to a broker, unless nothing else was to be', async () => {
    // However short it is, something is.
    const saysOf = async (without: readonly Disturbance[], operations: number): Promise<string[]> =>
      (await simulate({ seed: 1, without, operations })).failures.map(({ says }) => says);
    for (const operations of [1, 100]) expect(await saysOf([], operations)).toEqual([]);
    // When this was written, its last life ended by itself before anything was done to it.
    expect((await simulate({ seed: 8_001_432 })).failures).toEqual([]);
    expect(await saysOf(['disk', 'network', 'clock'], 100)).toEqual([]);
  });
});
