import { expect } from 'vitest';
import { Fault } from '../../../src/base/faults.ts';
import { ClassicGroup } from '../../../src/broker/groups/classic-group.ts';
import type { JoinAnswer, SyncAnswer } from '../../../src/broker/groups/classic-member.ts';
import type { Effect } from '../../../src/broker/groups/group.ts';
import type { ClassicGroupRecord } from '../../../src/broker/groups/group-events.ts';
import { consumerMetadata } from './consumer-metadata.ts';

export const SESSION_MS = 10_000;
export const REBALANCE_MS = 30_000;

/** A client: what it was told, and what it waits for. */
interface Client {
  readonly name: string;
  readonly instanceId: string | null;
  memberId: string;
  generation: number;
  leads: readonly string[] | null;
  hasWork: boolean;
  waits: { readonly what: string; readonly sinceMs: number } | null;
}

/** A group, its clients and a disk; the rules are checked at every answer. */
export class ClassicModel {
  readonly #settings = { initialRebalanceDelayMs: 0, membersMax: 100 };
  readonly clients: Client[];
  group = new ClassicGroup('g', this.#settings);
  nowMs = 0;
  diskFull = false;
  /** How often a client was told its work. */
  workTold = 0;
  #stores: Extract<Effect, { type: 'store' }>[] = [];
  #durable: ClassicGroupRecord | null = null;
  /** By generation, what was stored as its division of the work. */
  readonly #divisions = new Map<number, string>();
  /** The youngest generation that anybody was told in this run of the broker. */
  #toldGeneration = 0;
  #idNext = 0;

  constructor(clients: number) {
    this.clients = Array.from({ length: clients }, (_, i) => ({
      name: `c${i}`,
      // Some are static members; two of them share an instance, as when one was started twice.
      instanceId: i % 3 === 0 ? `i${i % 2}` : null,
      ...forgotten(),
    }));
  }

  join(client: Client, topics: readonly string[]): void {
    if (client.waits !== null) return;
    const wait = { what: 'join', sinceMs: this.nowMs };
    client.waits = wait;
    const { group } = this;
    const answered = (answer: JoinAnswer): void => {
      if (client.waits !== wait || group !== this.group) return;
      this.#answered(client);
      this.#joined(client, answer);
    };
    const request = {
      memberId: client.memberId,
      instanceId: client.instanceId,
      clientId: client.name,
      clientHost: '',
      sessionTimeoutMs: SESSION_MS,
      rebalanceTimeoutMs: REBALANCE_MS,
      protocolType: 'consumer',
      protocols: [{ name: 'range', metadata: consumerMetadata(topics) }],
      newMemberId: `${client.name}-${this.#idNext++}`,
      mustKnowId: true,
      maySkipAssignment: true,
    };
    this.#perform(group.join({ answered }, request, this.nowMs));
  }

  #joined(client: Client, { refused, memberId, generation, members, skipAssignment }: JoinAnswer): void {
    if (refused === null) {
      expect(generation, 'a generation is never told after a younger one').toBeGreaterThanOrEqual(this.#toldGeneration);
      this.#toldGeneration = generation;
      const leads = members.length === 0 || skipAssignment ? null : members.map((member) => member.memberId);
      if (leads !== null) expect(new Set(leads).size, 'no member is in a generation twice').toBe(leads.length);
      Object.assign(client, { memberId, generation, leads, hasWork: false });
    } else if (refused.fault === 'memberIdRequired') {
      client.memberId = memberId;
    } else if (refused.fault !== 'coordinatorNotAvailable' && refused.fault !== 'rebalanceInProgress') {
      Object.assign(client, forgotten());
    }
  }

  sync(client: Client): void {
    if (client.waits !== null || client.generation < 0) return;
    const wait = { what: 'sync', sinceMs: this.nowMs };
    client.waits = wait;
    const { group } = this;
    const { memberId, generation, instanceId } = client;
    const answered = (answer: SyncAnswer): void => {
      if (client.waits !== wait || group !== this.group) return;
      this.#answered(client);
      this.#synced(client, memberId, generation, answer);
    };
    // Each time another division: only the first of a generation may count.
    const round = this.#idNext++;
    const assignments = (client.leads ?? []).map((each) => ({
      memberId: each,
      assignment: Buffer.from(`${each} ${round}`),
    }));
    const request = { memberId, instanceId, generation, protocolType: null, protocolName: null, assignments };
    this.#perform(group.sync({ answered }, request, this.nowMs));
  }

  #synced(client: Client, memberId: string, generation: number, { refused, assignment }: SyncAnswer): void {
    if (refused !== null) {
      if (refused.fault === 'rebalanceInProgress' || refused.fault === 'coordinatorNotAvailable')
        client.generation = -1;
      else Object.assign(client, forgotten());
      return;
    }
    const work = Buffer.from(assignment).toString();
    client.hasWork = true;
    this.workTold += 1;
    if (work === '') return;
    const [, round] = work.split(' ');
    expect(this.#divisions.get(generation), 'work is durable before it is told').toBe(round);
    // A static member that came back has the work of the id before.
    if (client.instanceId === null) expect(work).toBe(`${memberId} ${round}`);
  }

  beat(client: Client): void {
    if (client.waits !== null || client.generation < 0) return;
    const { memberId, instanceId, generation } = client;
    try {
      this.group.heartbeat(memberId, instanceId, generation, this.nowMs);
    } catch (error) {
      const { fault } = error as Fault;
      if (fault === 'rebalanceInProgress') client.generation = -1;
      else Object.assign(client, forgotten());
    }
  }

  /** Tries to commit, also as one that does not know that it is out. */
  commit({ memberId, instanceId, generation }: Client): void {
    try {
      this.group.checkCommit({ memberId, instanceId, generation, saysEpoch: true }, this.nowMs);
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      return;
    }
    if (generation < 0) {
      expect(this.group.isEmpty, 'only a group without members is committed to from outside').toBe(true);
      return;
    }
    expect(this.group.stateName, 'no commit before the work is divided').not.toBe('CompletingRebalance');
    expect(generation, 'no commit of a generation before one that was told').toBe(this.group.generation);
    expect(generation).toBeGreaterThanOrEqual(this.#toldGeneration);
    expect(Array.from(this.group.members, (member) => member.memberId)).toContain(memberId);
  }

  leave(client: Client): void {
    if (client.memberId === '') return;
    const { refusals, effects } = this.group.leave([{ memberId: client.memberId, instanceId: null }], this.nowMs);
    this.#perform(effects);
    if (refusals[0] === null) {
      this.commitRefused(client);
      Object.assign(client, forgotten());
    }
  }

  commitRefused({ memberId, generation }: Client): void {
    if (generation < 0) return;
    const commit = () =>
      this.group.checkCommit({ memberId, instanceId: null, generation, saysEpoch: true }, this.nowMs);
    expect(commit, 'who has left cannot commit').toThrow(Fault);
  }

  /** A client that dies and starts again: it knows nothing, and nobody is told. */
  crash(client: Client): void {
    Object.assign(client, forgotten());
  }

  /** Its connection ends: it does not get the answer that it waits for, and may ask again. */
  cutOff(client: Client): void {
    client.waits = null;
  }

  /** The disk does what it was asked for. */
  settle(): void {
    for (let store = this.#stores.shift(); store !== undefined; store = this.#stores.shift()) {
      const record = store.events[0] as ClassicGroupRecord & { type: 'classicGroup' };
      if (!this.diskFull) {
        this.#durable = record;
        this.#divided(record);
      }
      this.#perform(store.then(this.diskFull ? new Fault('coordinatorNotAvailable') : null, this.nowMs));
    }
  }

  #divided({ generation, members }: ClassicGroupRecord): void {
    const rounds = new Set(members.map(({ assignment }) => Buffer.from(assignment).toString().split(' ')[1]));
    rounds.delete(undefined);
    const [round] = rounds;
    expect(rounds.size, 'a generation has one division').toBeLessThanOrEqual(1);
    if (round === undefined) return;
    const before = this.#divisions.get(generation);
    if (before !== undefined) expect(round, 'a generation is divided once').toBe(before);
    this.#divisions.set(generation, round);
  }

  wait(ms: number): void {
    const untilMs = this.nowMs + ms;
    this.settle();
    while (this.group.wakeAtMs <= untilMs) {
      this.nowMs = Math.max(this.nowMs, this.group.wakeAtMs);
      this.#perform(this.group.wake(this.nowMs));
      this.settle();
    }
    this.nowMs = untilMs;
    for (const { name, waits } of this.clients) {
      if (waits === null) continue;
      expect(untilMs - waits.sinceMs, `${name} waits for its ${waits.what}`).toBeLessThanOrEqual(REBALANCE_MS);
    }
  }

  /** A group of the new protocol was to take its place, and the disk refused that. */
  interrupt(): void {
    this.#perform(this.group.interrupt(this.nowMs));
  }

  /** The broker goes and comes again: clients' requests are cut off, and generations may be given again that nobody stored. */
  restart(): void {
    this.#stores = [];
    const record = this.#durable;
    this.group =
      record === null
        ? new ClassicGroup('g', this.#settings)
        : ClassicGroup.load('g', record, this.#settings, this.nowMs);
    this.#toldGeneration = record?.generation ?? 0;
    for (const generation of this.#divisions.keys())
      if (generation > this.#toldGeneration) this.#divisions.delete(generation);
    for (const client of this.clients) client.waits = null;
  }

  /** Every client does what a well-behaved one does next. True when all are at work. */
  round(): boolean {
    for (const client of this.clients) {
      if (client.generation >= 0 && client.hasWork) this.beat(client);
      if (client.generation < 0) this.join(client, []);
      else if (!client.hasWork) this.sync(client);
      this.settle();
    }
    this.wait(10);
    return this.clients.every(({ generation, hasWork }) => hasWork && generation === this.group.generation);
  }

  #answered(client: Client): void {
    client.waits = null;
  }

  #perform(effects: readonly Effect[]): void {
    for (const effect of effects) {
      if (effect.type === 'store') this.#stores.push(effect);
      else (effect.ask.answered as (answer: object) => void)(effect.answer);
    }
  }
}

function forgotten() {
  return { memberId: '', generation: -1, leads: null, hasWork: false, waits: null };
}
