import { describe, expect, test } from 'vitest';
import { SESSION_TIMEOUT_MS } from './group-member.ts';
import { P } from './hand-made.ts';
import { as, found, type HandMadeGroup } from './hand-made-group.ts';

/* Each anomaly in the smallest history that shows it, and beside it the nearest history in which nothing is wrong. */

const Q = { ...P, partition: 1 };

describe('a committed offset', () => {
  test('stays, whatever becomes of the broker', () => {
    const whenTold = (tell: (group: HandMadeGroup) => void) =>
      found((g) => {
        g.committed('1', 5);
        g.committed('2', 7);
        g.crash('power');
        tell(g);
      });
    expect(whenTold((g) => g.fetched('2', 7))).toEqual([]);
    expect(whenTold((g) => g.fetched('1', 5))).toEqual(['commit went back 7 5']);
    expect(whenTold((g) => g.fetched(null))).toEqual(['commit lost 5']);
  });

  test('goes back when somebody sets it back', () => {
    const wrong = found((g) => {
      g.committed('1', 7);
      g.committed('2', 5);
      g.fetched('2', 5);
    });
    expect(wrong).toEqual([]);
  });

  test('that was not answered may be there or not, and is there once it was told', () => {
    const unanswered = (...told: [string | null, number?][]) =>
      found((g) => {
        g.begin('commit', { group: 'g', tag: '1', offsets: [{ ...P, offset: 5 }] }).info('disconnected');
        for (const [tag, offset] of told) g.fetched(tag, offset);
      });
    expect(unanswered([null])).toEqual([]);
    expect(unanswered([null], ['1', 5])).toEqual([]);
    expect(unanswered(['1', 5], [null])).toEqual(['commit lost 5']);
  });

  test('that was not answered may be done late, and not after the broker went down', () => {
    const late = (goesDown: boolean) =>
      found((g) => {
        g.begin('commit', { group: 'g', tag: '1', offsets: [{ ...P, offset: 5 }] }).info('disconnected');
        if (goesDown) g.crash('kill');
        g.committed('2', 7);
        g.fetched('1', 5);
      });
    expect(late(false)).toEqual([]);
    expect(late(true)).toEqual(['commit went back 7 5']);
  });

  test('was committed: by somebody, before, at that offset, and not refused', () => {
    expect(found((g) => g.fetched('1', 5))).toEqual(['commit never made 5']);
    const refused = found((g) => {
      g.begin('commit', { group: 'g', tag: '1', offsets: [{ ...P, offset: 5 }] }).fail('ILLEGAL_GENERATION');
      g.fetched('1', 5);
    });
    const another = found((g) => {
      g.committed('1', 5);
      g.fetched('1', 6);
    });
    const early = found((g) => {
      g.fetched('1', 5);
      g.committed('1', 5);
    });
    expect([refused, another, early].flat()).toEqual([
      'commit never made 5',
      'commit never made 6',
      'commit never made 5',
    ]);
  });

  test('is gone when it was removed, and only then', () => {
    const removed = (before: boolean) =>
      found((g) => {
        if (before) g.did('deleteOffsets', { group: 'g', places: [P] }, {});
        g.committed('1', 5);
        if (!before) g.did('deleteGroup', { group: 'g' }, {});
        g.fetched(null);
      });
    expect(removed(false)).toEqual([]);
    expect(removed(true)).toEqual(['commit lost 5']);
    const there = found((g) => {
      g.committed('1', 5);
      g.did('deleteOffsets', { group: 'g', places: [P] }, {});
      g.fetched('1', 5);
    });
    expect(there).toEqual(['commit went back 5']);
  });

  test('may expire only while it may', () => {
    const expired = (later: boolean) =>
      found((g) => {
        if (!later) g.committed('1', 5);
        g.did('mayExpireOffsets', { group: 'g' }, {});
        if (later) g.committed('1', 5);
        g.fetched(null);
      });
    expect(expired(false)).toEqual([]);
    expect(expired(true)).toEqual(['commit lost 5']);
  });

  test('is not beyond the end of the log', () => {
    const beyond = (end: number) =>
      found((g) => {
        g.committed('1', 5);
        g.did('listOffsets', { place: P, at: 'latest' }, { offset: end });
      });
    expect(beyond(5)).toEqual([]);
    expect(beyond(4)).toEqual(['commit beyond the end 5']);
  });

  test('is what a member has read up to', () => {
    const read = (from: number) =>
      found((g) => {
        g.handled(as('a', 1), 0, 'x');
        g.committed('1', 1, as('a', 1));
        g.handled(as('b', 2), from, 'y z');
        g.committed('2', 3, as('b', 2));
      });
    expect(read(1)).toEqual([]);
    expect(read(2)).toEqual(['wrong start 1']);
  });
});

describe('a commit', () => {
  const late = (more: { places?: (typeof P)[]; protocol?: 'consumer'; after?: (g: HandMadeGroup) => void }) =>
    found((g) => {
      const { places = [P], after, ...join } = more;
      g.joined('a', 1, join);
      g.owns(as('a', 1), P);
      g.handled(as('a', 1), 0, 'v');
      g.joined('b', 2, join);
      g.owns(as('b', 2), ...places);
      after?.(g);
      g.committed('1', 1, as('a', 1));
    });

  test('of an old generation is refused once somebody has work of a new one', () => {
    expect(late({})).toEqual(['zombie commit 1']);
    // Of one that gives up what it had there is nothing to learn: it may be a zombie itself.
    expect(late({ places: [] })).toEqual([]);
  });

  test('of an old epoch is refused for partitions that another member has got since', () => {
    expect(late({ protocol: 'consumer' })).toEqual(['zombie commit 1']);
    expect(late({ protocol: 'consumer', places: [Q] })).toEqual([]);
  });

  test('of an old generation is good in a group that was deleted and began anew', () => {
    expect(late({ after: (g) => g.did('deleteGroup', { group: 'g' }, {}) })).toEqual([]);
  });

  test('of a static member is refused when the instance is another by now', () => {
    const wrong = found((g) => {
      g.joined('a', 1, { instance: 'i' });
      g.handled(as('a', 1), 0, 'v');
      g.joined('b', 1, { instance: 'i' });
      g.committed('1', 1, as('b', 1, 'i'));
      g.committed('2', 1, as('a', 1, 'i'));
    });
    expect(wrong).toEqual(['zombie commit 1']);
  });

  test('of a static member is good again when the broker ended before its successor was given anything', () => {
    const wrong = (fate: { crash?: boolean; given?: boolean; protocol?: 'consumer' }) =>
      found((g) => {
        g.joined('a', 4, { ...fate, instance: 'i' });
        g.joined('b', 5, { ...fate, instance: 'i' });
        if (fate.given) g.owns(as('b', 5, 'i'));
        if (fate.crash) g.crash('power');
        g.committed('1', 0, as('a', 4, 'i'));
      });
    expect(wrong({ crash: true })).toEqual([]);
    expect(wrong({})).toEqual(['zombie commit 0']);
    expect(wrong({ crash: true, given: true })).toEqual(['zombie commit 0']);
    expect(wrong({ crash: true, protocol: 'consumer' })).toEqual(['zombie commit 0']);
  });

  test('of a member that has left is refused', () => {
    const wrong = found((g) => {
      g.handled(as('a', 1), 0, 'v');
      g.did('leave', as('a', 1), {});
      g.committed('1', 1, as('a', 1));
    });
    expect(wrong).toEqual(['zombie commit 1']);
  });
});

describe('a partition', () => {
  test('has one owner in a generation', () => {
    const both = (generation: number, instance?: string) =>
      found((g) => {
        g.owns(as('a', 1, instance), P);
        g.owns(as('b', generation, instance), P);
      });
    expect(both(1)).toEqual(['two owners']);
    expect(both(2)).toEqual([]);
    expect(both(1, 'i')).toEqual([]);
  });

  test('has no owner that is still accepted when another one has it', () => {
    const accepted = (gaveUp: boolean) =>
      found((g) => {
        g.owns(as('a', 1), P);
        if (gaveUp) g.owns(as('a', 1));
        g.owns(as('b', 2), P);
        g.by('a').did('heartbeat', as('a', 1), { generation: 1, mustRejoin: false });
      });
    expect(accepted(true)).toEqual([]);
    expect(accepted(false)).toEqual(['two owners']);
  });
});

describe('a group', () => {
  test('never goes back to an earlier generation', () => {
    const back = (deleted: boolean) =>
      found((g) => {
        g.owns(as('a', 3), P);
        if (deleted) g.did('deleteGroup', { group: 'g' }, {});
        g.joined('b', 2);
      });
    expect(back(true)).toEqual([]);
    expect(back(false)).toEqual(['generation went back']);
  });

  test('comes to rest when nobody disturbs it, with an owner for each partition', () => {
    const rounds = (count: number, ...places: (typeof P)[]) =>
      found((g) => {
        const quiet = g.begin('quiet', { group: 'g', places: [P, Q] });
        for (let i = 1; i <= count; i += 1) g.owns(as('a', i), ...places);
        quiet.ok({});
      });
    expect(rounds(3, P, Q)).toEqual([]);
    expect(rounds(4, P, Q)).toEqual(['unstable group']);
    expect(rounds(2, P)).toEqual(['unstable group']);
  });
});

describe('a group whose members speak both protocols', () => {
  const consumer = { protocol: 'consumer' as const };

  test('may begin anew when its last member is gone, in the other protocol', () => {
    const wrong = found((g) => {
      g.joined('a', 5, consumer);
      g.owns(as('a', 5), P);
      g.joined('b', 1);
      g.owns(as('b', 1), P);
      g.committed('1', 0, as('b', 1));
    });
    expect(wrong).toEqual([]);
  });

  test('may have begun anew with one that was not answered: who comes next is told no more than was told before', () => {
    const wrong = (staysAMember: boolean) =>
      found((g) => {
        g.joined('d', 1);
        g.did('leave', as('d', 1), {});
        g.joined('a', 1, consumer);
        g.by('a').did('heartbeat', as('a', 1), { generation: 2, mustRejoin: false });
        g.owns(as('a', 2), P);
        g.owns(as('a', 2));
        if (!staysAMember) g.did('leave', as('a', 2), {});
        g.by('b').begin('join', { group: 'g', protocol: 'classic' }).info('disconnected');
        g.joined('c', 2, consumer);
        g.owns(as('c', 2), P);
        if (staysAMember) g.by('a').did('heartbeat', as('a', 2), { generation: 2, mustRejoin: false });
      });
    expect(wrong(false)).toEqual([]);
    expect(wrong(true)).toEqual(['two owners']);
  });

  test('may have begun anew where one that was removed from it comes again, as it is called', () => {
    const wrong = (fate: 'stays' | 'silent' | 'refused') =>
      found((g) => {
        g.joined('a', 5, consumer);
        g.by('b').begin('join', { group: 'g', protocol: 'classic' }).info('disconnected');
        if (fate === 'silent') g.timeMs += SESSION_TIMEOUT_MS;
        if (fate === 'refused') g.by('a').begin('heartbeat', as('a', 5)).fail('UNKNOWN_MEMBER_ID');
        g.joined('a', 1, consumer);
      });
    expect(wrong('stays')).toEqual(['generation went back']);
    expect(wrong('silent')).toEqual([]);
    expect(wrong('refused')).toEqual([]);
  });

  test('had members of both where one of the other protocol was not answered, or was only given its id', () => {
    const wrong = (ended: string) =>
      found((g) => {
        g.joined('a', 5, consumer);
        g.owns(as('a', 5), P);
        const join = g.by('b').begin('join', { group: 'g', protocol: 'classic' });
        if (ended === 'disconnected') join.info(ended);
        else join.fail(ended);
        g.joined('c', 2, consumer);
        g.owns(as('c', 2), P);
        g.committed('1', 0, as('c', 2));
      });
    expect(wrong('disconnected')).toEqual([]);
    expect(wrong('MEMBER_ID_REQUIRED')).toEqual([]);
    expect(wrong('INCONSISTENT_GROUP_PROTOCOL')).toEqual(['zombie commit 0', 'generation went back']);
  });

  test('does not begin anew beside a member that it goes on to accept', () => {
    const wrong = (rejoins: boolean) =>
      found((g) => {
        const beat = () => g.by('a').did('heartbeat', as('a', 5), { generation: 5, mustRejoin: false });
        g.joined('a', 5, consumer);
        beat();
        g.joined('b', 1);
        if (rejoins) g.joined('a', 5, consumer);
        beat();
      });
    expect(wrong(false)).toEqual(['generation went back']);
    expect(wrong(true)).toEqual([]);
  });

  test('keeps the generation of its members when it migrates', () => {
    const wrong = (generation: number) =>
      found((g) => {
        g.joined('a', 5);
        g.joined('b', 6, consumer);
        g.joined('a', generation);
      });
    expect(wrong(6)).toEqual([]);
    expect(wrong(2)).toEqual(['generation went back']);
  });

  test('forgets a generation that had begun when the broker ended, and that gave nobody anything', () => {
    const wrong = (fate: { crash?: boolean; given?: boolean; comesAgain?: boolean }) =>
      found((g) => {
        g.joined('b', 4, consumer);
        g.joined('a', 6);
        if (fate.given) g.owns(as('a', 6));
        if (fate.crash) g.crash('power');
        g.joined('a', 5);
        if (fate.comesAgain) g.joined('a', 6);
        if (fate.comesAgain) g.owns(as('a', 6));
      });
    expect(wrong({ crash: true })).toEqual([]);
    expect(wrong({ crash: true, comesAgain: true })).toEqual([]);
    expect(wrong({ crash: true, given: true, comesAgain: true })).toEqual(['generation went back']);
    expect(wrong({})).toEqual(['generation went back']);
    expect(wrong({ crash: true, given: true })).toEqual(['generation went back']);
  });

  test('gives a partition to one member, whatever it speaks', () => {
    const wrong = found((g) => {
      g.joined('a', 1);
      g.owns(as('a', 1), P);
      g.joined('b', 2, consumer);
      g.owns(as('b', 2), P);
      g.by('a').did('heartbeat', as('a', 1), { generation: 1, mustRejoin: true });
    });
    expect(wrong).toEqual(['two owners']);
  });

  test('gives no partition to two, though the second is told no higher a generation than the first', () => {
    const wrong = (fate: 'heard after' | 'heard before' | 'leaves' | 'silent' | 'crash') =>
      found((g) => {
        const beat = () => g.by('a').did('heartbeat', as('a', 2), { generation: 2, mustRejoin: false });
        g.joined('c', 1);
        g.joined('a', 2, consumer);
        if (fate !== 'heard after') for (let i = 0; i < 2; i += 1) beat();
        g.owns(as('a', 2), P);
        if (fate === 'leaves') g.by('a').begin('leave', as('a', 2));
        if (fate === 'silent') g.timeMs += SESSION_TIMEOUT_MS;
        if (fate === 'crash') g.crash('power');
        g.joined('b', 2, consumer);
        g.owns(as('b', 2), P);
        if (fate === 'heard after') beat();
      });
    expect(wrong('heard after')).toEqual(['two owners']);
    expect(wrong('heard before')).toEqual(['two owners']);
    expect(wrong('leaves')).toEqual([]);
    expect(wrong('silent')).toEqual([]);
    expect(wrong('crash')).toEqual([]);
  });

  test('takes no commit from a member whose partition another one was given', () => {
    const wrong = (place: typeof P) =>
      found((g) => {
        g.joined('a', 1);
        g.owns(as('a', 1), P);
        g.joined('b', 2, consumer);
        g.owns(as('b', 2), place);
        g.committed('1', 0, as('a', 1));
      });
    expect(wrong(P)).toEqual(['zombie commit 0']);
    expect(wrong(Q)).toEqual([]);
  });
});
