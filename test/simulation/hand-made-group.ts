import { checkGroups } from './check-groups.ts';
import { HandMade, P } from './hand-made.ts';
import type { History, Membership, Protocol } from './history.ts';

export const as = (member: string, generation: number, instance?: string): Membership => ({
  group: 'g',
  member,
  generation,
  ...(instance === undefined ? {} : { instance }),
});

/** A group written by hand. The process of a member is its letter's place in the alphabet. */
export class HandMadeGroup extends HandMade {
  constructor() {
    super({ partitions: 2 });
  }

  by(member: string): this {
    this.process = member.charCodeAt(0) - 96;
    return this;
  }

  joined(member: string, generation: number, more: { instance?: string; protocol?: 'consumer' } = {}): void {
    const { instance, protocol = 'classic' as Protocol } = more;
    const call = { group: 'g', protocol, ...(instance === undefined ? {} : { instance }) };
    this.by(member).did('join', call, { member, generation });
  }

  owns(who: Membership, ...places: (typeof P)[]): void {
    this.by(who.member).did('owns', { ...who, places }, {});
  }

  committed(tag: string, offset: number, who?: Membership): void {
    if (who !== undefined) this.by(who.member);
    const by = who === undefined ? {} : { as: who };
    this.did('commit', { group: 'g', tag, offsets: [{ ...P, offset }], ...by }, {});
  }

  fetched(tag: string | null, offset = 0): void {
    const committed = tag === null ? null : { tag, offset };
    this.did('fetchCommitted', { group: 'g', places: [P] }, { offsets: [{ ...P, committed }] });
  }

  handled(who: Membership, offset: number, values: string): void {
    const records = values.split(' ').map((value, i) => ({ offset: offset + i, value }));
    const next = offset + records.length;
    const result = { records, next, highWatermark: next, logStart: 0 };
    this.by(who.member).did('poll', { place: P, offset, as: who }, result);
  }
}

/** What is wrong with it: each anomaly, and its offsets. */
export function found(write: (group: HandMadeGroup) => void): string[] {
  const group = new HandMadeGroup();
  write(group);
  const history: History = group.history();
  return checkGroups(history).map(({ anomaly, offsets }) => [anomaly, ...offsets].join(' '));
}
