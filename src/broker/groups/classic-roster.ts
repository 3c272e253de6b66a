import { Fault } from '../../base/faults.ts';
import { invariant } from '../../base/invariant.ts';
import { type ClassicMember, type ClassicProtocol, metadataOf } from './classic-member.ts';
import { subscribedTopics } from './classic-subscription.ts';

/** The members of a classic group, in the order in which they came: who leads, who is static, what they all support. */
export class ClassicRoster {
  readonly #members = new Map<string, ClassicMember>();
  /** Member id by instance id. */
  readonly #instances = new Map<string, string>();
  /** How many members offer each protocol. */
  readonly #offered = new Map<string, number>();
  leader: string | null = null;

  [Symbol.iterator](): IterableIterator<ClassicMember> {
    return this.#members.values();
  }

  get size(): number {
    return this.#members.size;
  }

  get(memberId: string): ClassicMember | undefined {
    return this.#members.get(memberId);
  }

  /** The member that has this instance id now. */
  idOfInstance(instanceId: string): string | undefined {
    return this.#instances.get(instanceId);
  }

  /** The first member leads. */
  add(member: ClassicMember): void {
    const { memberId, instanceId } = member;
    invariant(!this.#members.has(memberId), 'a member joined twice', { memberId });
    invariant(instanceId === null || !this.#instances.has(instanceId), 'an instance joined twice', { instanceId });
    this.#members.set(memberId, member);
    if (instanceId !== null) this.#instances.set(instanceId, memberId);
    this.leader ??= memberId;
    this.#count(member.protocols, 1);
  }

  /** The oldest of those who stay leads, if the leader goes. */
  remove(memberId: string): void {
    const member = this.#members.get(memberId);
    if (member === undefined) return;
    this.#members.delete(memberId);
    if (member.instanceId !== null) this.#instances.delete(member.instanceId);
    this.#count(member.protocols, -1);
    if (this.leader === memberId) this.leader = this.#members.keys().next().value ?? null;
  }

  /** A static member goes on under another id. */
  replace(old: ClassicMember, next: ClassicMember): void {
    const { leader } = this;
    this.remove(old.memberId);
    this.add(next);
    this.leader = leader === old.memberId ? next.memberId : leader;
  }

  setProtocols(member: ClassicMember, protocols: readonly ClassicProtocol[]): void {
    this.#count(member.protocols, -1);
    member.protocols = protocols;
    this.#count(protocols, 1);
  }

  /** Why somebody is not the member that it says it is; null when it is. */
  refusal(memberId: string, instanceId: string | null): Fault | null {
    if (instanceId !== null) {
      const current = this.#instances.get(instanceId);
      if (current === undefined) return new Fault('unknownMember');
      if (current !== memberId) return new Fault('fencedInstance');
    }
    return this.#members.has(memberId) ? null : new Fault('unknownMember');
  }

  /** Members whose join waits for the others. */
  get joined(): number {
    let count = 0;
    for (const { joinAsk } of this) if (joinAsk !== null) count += 1;
    return count;
  }

  /** The longest that any member wants to be waited for. */
  get rebalanceTimeoutMs(): number {
    let longestMs = 0;
    for (const { rebalanceTimeoutMs } of this) longestMs = Math.max(longestMs, rebalanceTimeoutMs);
    return longestMs;
  }

  /** The leader must be one who has joined; a static one that has not gives way. False when nobody has joined. */
  electLeader(): boolean {
    const joined = Array.from(this).find(({ joinAsk }) => joinAsk !== null);
    if (joined === undefined) return false;
    const leader = this.#members.get(this.leader ?? '');
    if (leader === undefined || leader.joinAsk === null) this.leader = joined.memberId;
    return true;
  }

  /** Whether all members offer this protocol. */
  allOffer(protocol: string): boolean {
    return (this.#offered.get(protocol) ?? 0) === this.#members.size;
  }

  /** The protocol that most members like best among those that all offer; of equals the one first voted for. */
  chosenProtocol(): string {
    const votes = new Map<string, number>();
    for (const { protocols } of this) {
      const vote = protocols.find(({ name }) => this.allOffer(name));
      invariant(vote !== undefined, 'a member has no protocol in common with the others');
      votes.set(vote.name, (votes.get(vote.name) ?? 0) + 1);
    }
    const most = Math.max(...votes.values());
    return Array.from(votes).find(([, count]) => count === most)![0];
  }

  /** The topics that consumers have subscribed to by their metadata for a protocol; null when one's cannot be read. */
  topics(protocol: string): Set<string> | null {
    const all = new Set<string>();
    for (const member of this) {
      const topics = subscribedTopics(metadataOf(member, protocol));
      if (topics === null) return null;
      for (const topic of topics) all.add(topic);
    }
    return all;
  }

  #count(protocols: readonly ClassicProtocol[], by: 1 | -1): void {
    for (const { name } of protocols) {
      const count = (this.#offered.get(name) ?? 0) + by;
      if (count === 0) this.#offered.delete(name);
      else this.#offered.set(name, count);
    }
  }
}
