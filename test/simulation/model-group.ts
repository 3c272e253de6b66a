import fc from 'fast-check';
import { HandMade } from './hand-made.ts';
import type { History, Membership, Place } from './history.ts';
import { placeName } from './history.ts';

/** What happens next to a group, and to those who use it. Indices are taken modulo what there is. */
export type GroupStep =
  | { readonly do: 'rebalance'; readonly members: number }
  | { readonly do: 'commit'; readonly place: number; readonly answer: 'comes' | 'never' | 'was not done' }
  | { readonly do: 'fetch' | 'zombie' | 'set'; readonly place: number }
  | { readonly do: 'remove'; readonly what: 'offsets' | 'group' }
  | { readonly do: 'heartbeat' | 'crash' };

const place = fc.nat(2);
export const groupSteps: fc.Arbitrary<GroupStep[]> = fc.array(
  fc.oneof(
    {
      weight: 3,
      arbitrary: fc.record({ do: fc.constant('rebalance' as const), members: fc.integer({ min: 1, max: 3 }) }),
    },
    {
      weight: 6,
      arbitrary: fc.record({
        do: fc.constant('commit' as const),
        place,
        answer: fc.constantFrom('comes' as const, 'comes' as const, 'never' as const, 'was not done' as const),
      }),
    },
    { weight: 4, arbitrary: fc.record({ do: fc.constant('fetch' as const), place }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('zombie' as const, 'set' as const), place }) },
    {
      weight: 1,
      arbitrary: fc.record({
        do: fc.constant('remove' as const),
        what: fc.constantFrom('offsets' as const, 'group' as const),
      }),
    },
    { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('heartbeat' as const, 'crash' as const) }) },
  ),
  { minLength: 5, maxLength: 60 },
);

const PLACES: readonly Place[] = [0, 1, 2].map((partition) => ({ topic: 't', partition }));

/** A group that does all it promises: offsets, a generation, and who has what in it. */
class ModelGroup {
  readonly told = new HandMade({ partitions: PLACES.length });
  readonly #committed = new Map<string, { offset: number; tag: string }>();
  readonly #readTo = new Map<string, number>();
  #generation = 0;
  #members: Membership[] = [];
  #zombies: Membership[] = [];
  #made = 0;

  run(step: GroupStep): void {
    if (step.do === 'rebalance') this.#rebalance(step.members);
    if (step.do === 'commit') this.#commit(step);
    if (step.do === 'fetch') this.#fetch(PLACES[step.place]!);
    if (step.do === 'zombie') this.#zombie(PLACES[step.place]!);
    if (step.do === 'set') this.#set(PLACES[step.place]!);
    if (step.do === 'remove') this.#remove(step.what);
    if (step.do === 'crash') this.told.crash('power');
    const members = step.do === 'heartbeat' ? this.#members : [];
    for (const member of [...members, ...members, ...members]) {
      this.#as(member).did('heartbeat', member, { generation: this.#generation, mustRejoin: false });
    }
  }

  #as({ member }: Membership): HandMade {
    this.told.process = Number(member.slice(1));
    return this.told;
  }

  #rebalance(count: number): void {
    this.#generation += 1;
    const generation = this.#generation;
    const stay = this.#members.slice(0, count);
    this.#zombies = [...this.#members.slice(count), ...this.#zombies].slice(0, 3);
    for (const member of stay) this.#as(member).did('owns', { ...member, places: [] }, {});
    while (stay.length < count) {
      stay.push({ group: 'g', member: `m${++this.#made}`, generation });
    }
    this.#members = stay.map((member) => ({ ...member, generation }));
    for (const member of this.#members) {
      this.#as(member).did('join', { group: 'g', protocol: 'classic' }, { member: member.member, generation });
    }
    for (const [i, member] of this.#members.entries()) {
      const places = PLACES.filter(({ partition }) => partition % count === i);
      this.#as(member).did('owns', { ...member, places }, {});
      for (const place of places)
        this.#readTo.set(placeName(place), this.#committed.get(placeName(place))?.offset ?? 0);
    }
  }

  #commit({ place: index, answer }: Extract<GroupStep, { do: 'commit' }>): void {
    const place = PLACES[index]!;
    const name = placeName(place);
    const member = this.#members[index % this.#members.length];
    if (member === undefined) return;
    const offset = this.#readTo.get(name)!;
    const next = offset + 3;
    const records = [0, 1, 2].map((i) => ({ offset: offset + i, value: `${name}:${offset + i}` }));
    const polled = { records, next, highWatermark: 1000, logStart: 0 };
    this.#as(member).did('poll', { place, offset, as: member }, polled);
    this.#readTo.set(name, next);
    const tag = `${++this.#made}`;
    const pending = this.told.begin('commit', { group: 'g', tag, as: member, offsets: [{ ...place, offset: next }] });
    if (answer !== 'was not done') this.#committed.set(name, { offset: next, tag });
    if (answer === 'comes') pending.ok({});
    else pending.info('disconnected');
  }

  #fetch(place: Place): void {
    const committed = this.#committed.get(placeName(place)) ?? null;
    this.told.did('fetchCommitted', { group: 'g', places: [place] }, { offsets: [{ ...place, committed }] });
  }

  #zombie(place: Place): void {
    const zombie = this.#zombies[place.partition % this.#zombies.length];
    if (zombie === undefined) return;
    const offset = this.#readTo.get(placeName(place))!;
    const call = { group: 'g', tag: `${++this.#made}`, as: zombie, offsets: [{ ...place, offset }] };
    this.#as(zombie).begin('commit', call).fail('ILLEGAL_GENERATION');
  }

  #set(place: Place): void {
    const committed = { offset: 500, tag: `${++this.#made}` };
    this.#committed.set(placeName(place), committed);
    this.told.did('commit', { group: 'g', tag: committed.tag, offsets: [{ ...place, offset: 500 }] }, {});
  }

  #remove(what: 'offsets' | 'group'): void {
    this.#committed.clear();
    if (what === 'offsets') {
      this.told.did('deleteOffsets', { group: 'g', places: PLACES }, {});
      return;
    }
    for (const member of this.#members) {
      this.#as(member).did('owns', { ...member, places: [] }, {});
      this.#as(member).did('leave', member, {});
    }
    this.told.did('deleteGroup', { group: 'g' }, {});
    [this.#members, this.#zombies, this.#generation] = [[], [], 0];
  }
}

/** The history of a group that does what it promises. */
export function modelGroupHistory(steps: readonly GroupStep[]): History {
  const group = new ModelGroup();
  for (const step of steps) group.run(step);
  return group.told.history();
}
