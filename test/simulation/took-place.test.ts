import { describe, expect, test } from 'vitest';
import { HandMade, P } from './hand-made.ts';
import type { History } from './history.ts';
import { IN_EVERY_RUN, missingWork } from './took-place.ts';
import { allWorkloads, simulate } from './world.ts';

const as = { group: 'g', member: 'm', generation: 1 };
const commit = { group: 'g', tag: 'c', as, offsets: [{ ...P, offset: 2 }] };

/** One send, one record read by a reader and one by a member, one commit: each made, or refused where that is said of it. */
function historyWithout(what?: (typeof IN_EVERY_RUN)[number]): History {
  const h = new HandMade();
  if (what === 'acknowledged send') h.did('send', { place: P, acks: 0, records: [{ value: 'a' }] }, { offset: null });
  else h.sent(0, 'a');
  h.read(0, what === 'record read by a reader' ? '' : 'a');
  const records = what === 'record read by a member of a group' ? [] : [{ offset: 0, value: 'a' }];
  h.did('poll', { place: P, offset: 0, as }, { records, next: records.length, highWatermark: 1, logStart: 0 });
  if (what === 'commit by a member of a group') h.begin('commit', commit).fail('UNKNOWN_MEMBER_ID');
  else h.did('commit', commit, {});
  return h.history();
}

describe('a run shows nothing', () => {
  test.each(IN_EVERY_RUN)('without one %s', (what) => {
    expect(missingWork(historyWithout())).toEqual([]);
    expect(missingWork(historyWithout(what))).toEqual([what]);
  });

  // What is done at its end, by the last producer and the last reader, is done nevertheless.
  test.each([
    // Members commit where they begin, also when there is nothing to read.
    {
      idle: 'producers',
      missing: ['acknowledged send', 'record read by a reader', 'record read by a member of a group'],
    },
    { idle: 'readers', missing: ['record read by a reader'] },
    { idle: 'groups', missing: ['record read by a member of a group', 'commit by a member of a group'] },
  ])('whose $idle do nothing', async ({ idle, missing }) => {
    const workloads = allWorkloads().map((one) => (one.name === idle ? { ...one, run: async () => {} } : one));
    expect(workloads).not.toEqual(allWorkloads());
    const { failures } = await simulate({ seed: 1, workloads });
    const said = failures.map(({ says }) => says).filter((says) => says.startsWith('there was no '));
    expect(said).toEqual(missing.map((what) => `there was no ${what}`));
  });
});
