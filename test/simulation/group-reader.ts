import { batchBytes, batchesIn, nextOffset } from '../../src/record/batch.ts';
import { recordsOf } from '../../src/record/records.ts';
import type { SeededRandom } from '../seeded-random.ts';
import { type Client, Unanswered } from './client.ts';
import { errorName } from './error-names.ts';
import { type Membership, type Place, placeName, type SeenRecord } from './history.ts';
import { oneIn, pick } from './random-streams.ts';
import type { TopicPlan } from './topic-plans.ts';
import type { WorkloadContext } from './workload.ts';

const EARLIEST = -2;

interface Held {
  readonly plan: TopicPlan;
  readonly place: Place;
  /** Where it goes on; null until it knows. */
  position: number | null;
  /** What it has committed, or found committed. */
  committed: number | null;
}

/** What a request for a group may come to. */
export type Answer = 'ok' | 'unanswered' | { readonly error: string };

/** The part of a member that is the same in all protocols: it has partitions, reads on in them, and commits how far it came. */
export class GroupReader {
  readonly client: Client;
  readonly process: number;
  readonly #context: WorkloadContext;
  readonly #random: SeededRandom;
  readonly #group: string;
  readonly #plans: readonly TopicPlan[];
  readonly #held = new Map<string, Held>();
  #commits = 0;

  constructor(context: WorkloadContext, random: SeededRandom, group: string, plans: readonly TopicPlan[]) {
    this.#context = context;
    this.#random = random;
    this.#group = group;
    this.#plans = plans;
    this.process = context.newProcess();
    this.client = context.connect(`member ${this.process}`);
  }

  get places(): Place[] {
    return [...this.#held.values()].map(({ place }) => place);
  }

  has(place: Place): boolean {
    return this.#held.has(placeName(place));
  }

  /** From now on it has just these. It says so, and does not know yet where it goes on in those that are new. */
  hold(places: readonly Place[], as: Membership): void {
    const names = new Set(places.map(placeName));
    for (const name of this.#held.keys()) if (!names.has(name)) this.#held.delete(name);
    for (const place of places) {
      const plan = this.#plans.find(({ name }) => name === place.topic);
      if (plan === undefined || this.has(place)) continue;
      this.#held.set(placeName(place), { plan, place, position: null, committed: null });
    }
    this.#context.history.note(this.process, 'owns', { ...as, places: this.places });
  }

  /** Finds where to go on, reads on a little. Resolves to how the group took it. */
  async readOn(as: Membership): Promise<Answer> {
    const unknown = [...this.#held.values()].filter(({ position }) => position === null);
    if (unknown.length > 0) {
      const answer = await this.#findPositions(unknown, as);
      if (answer !== 'ok') return answer;
    }
    const known = [...this.#held.values()].filter(({ position }) => position !== null);
    if (known.length > 0) await this.#fetch(pick(this.#random, known), as);
    return 'ok';
  }

  async #findPositions(held: readonly Held[], as: Membership): Promise<Answer> {
    const { history } = this.#context;
    const places = held.map(({ place }) => place);
    const pending = history.invoke(this.process, 'fetchCommitted', { group: this.#group, as, places });
    const byEpoch = as.member !== '' && this.#isConsumer;
    try {
      const topics = this.#byTopic(held, ({ place }) => place.partition).map(([plan, partitionIndexes]) => ({
        ...this.#named(plan, 9),
        partitionIndexes,
      }));
      const groups = [
        {
          groupId: this.#group,
          memberId: byEpoch ? as.member : null,
          memberEpoch: byEpoch ? as.generation : -1,
          topics,
        },
      ];
      const answer = await this.client.request('OffsetFetch', 9, {
        groups,
        requireStable: this.#random.below(2) === 0,
      });
      const { errorCode, topics: found } = answer.groups[0]!;
      if (errorCode !== 0) {
        pending.fail(errorName(errorCode));
        return { error: errorName(errorCode) };
      }
      const offsets = found.flatMap(({ name, partitions }) =>
        partitions.map(({ partitionIndex: partition, committedOffset: offset, metadata }) => ({
          topic: name,
          partition,
          committed: offset < 0 ? null : { offset, tag: metadata ?? '' },
        })),
      );
      pending.ok({ offsets });
      for (const { committed, ...place } of offsets) {
        const one = this.#held.get(placeName(place));
        if (one !== undefined) one.position = one.committed = committed?.offset ?? null;
      }
      for (const one of held) if (one.position === null) await this.#toStart(one);
      return 'ok';
    } catch (error) {
      if (!(error instanceof Unanswered)) throw error;
      pending.info(error.message);
      return 'unanswered';
    }
  }

  /** Whether it names its epoch with what it asks: a member of the new protocol. */
  set isConsumer(is: boolean) {
    this.#isConsumer = is;
  }
  #isConsumer = false;

  async #toStart(held: Held): Promise<void> {
    const { place } = held;
    const pending = this.#context.history.invoke(this.process, 'listOffsets', { place, at: 'earliest' });
    try {
      const partitions = [{ partitionIndex: place.partition, timestamp: EARLIEST }];
      const topics = [{ name: place.topic, partitions }];
      const answer = await this.client.request('ListOffsets', 7, { replicaId: -1, topics });
      const { errorCode, offset } = answer.topics[0]!.partitions[0]!;
      if (errorCode !== 0) {
        pending.fail(errorName(errorCode));
        return;
      }
      pending.ok({ offset });
      held.position = offset;
    } catch (error) {
      if (!(error instanceof Unanswered)) throw error;
      pending.info(error.message);
    }
  }

  async #fetch(held: Held, as: Membership): Promise<void> {
    const { place, position } = held;
    const offset = position!;
    const pending = this.#context.history.invoke(this.process, 'poll', { place, offset, as });
    try {
      const partitions = [
        { partition: place.partition, fetchOffset: offset, partitionMaxBytes: 1 + this.#random.below(3000) },
      ];
      const answer = await this.client.request('Fetch', 12, {
        maxWaitMs: this.#random.below(60),
        minBytes: 1,
        maxBytes: 100_000,
        sessionId: 0,
        sessionEpoch: -1,
        topics: [{ topic: place.topic, partitions }],
        forgottenTopicsData: [],
      });
      const found = answer.responses[0]!.partitions[0]!;
      if (found.errorCode !== 0) {
        pending.fail(errorName(found.errorCode));
        if (errorName(found.errorCode) === 'OFFSET_OUT_OF_RANGE') await this.#toStart(held);
        return;
      }
      const { records, next } = recordsIn(found.records, offset);
      pending.ok({ records, next, highWatermark: found.highWatermark, logStart: found.logStartOffset });
      held.position = next;
    } catch (error) {
      if (!(error instanceof Unanswered)) throw error;
      pending.info(error.message);
    }
  }

  /** Commits how far it has read, in all that it has or in some; now and then once more. Resolves to how the group took it. */
  async commit(as: Membership, places: readonly Place[] = this.places, isSure = false): Promise<Answer> {
    const again = isSure || oneIn(this.#random, 4);
    const held = places.flatMap((place) => this.#held.get(placeName(place)) ?? []);
    const some = held.filter(({ position, committed }) => position !== null && (again || position !== committed));
    if (some.length === 0) return 'ok';
    const offsets = some.map(({ place, position }) => ({ ...place, offset: position! }));
    const tag = `${this.process}.${++this.#commits}`;
    const pending = this.#context.history.invoke(this.process, 'commit', { group: this.#group, tag, as, offsets });
    const version = pick(this.#random, this.#isConsumer ? [9, 10] : [8, 10]);
    const topics = this.#byTopic(some, ({ place, position }) => ({
      partitionIndex: place.partition,
      committedOffset: position!,
      committedMetadata: tag,
    })).map(([plan, partitions]) => ({ ...this.#named(plan, version), partitions }));
    try {
      const answer = await this.client.request('OffsetCommit', version, {
        groupId: this.#group,
        generationIdOrMemberEpoch: as.generation,
        memberId: as.member,
        groupInstanceId: as.instance ?? null,
        topics,
      });
      // One that names only partitions that exist is refused as a whole or not at all.
      const codes = new Set(answer.topics.flatMap(({ partitions }) => partitions.map(({ errorCode }) => errorCode)));
      const [errorCode] = codes;
      if (codes.size !== 1) this.#context.onViolation(`a commit was taken in part: ${[...codes].map(errorName)}`);
      if (errorCode !== 0) {
        pending.fail(errorName(errorCode!));
        return { error: errorName(errorCode!) };
      }
      pending.ok({});
      for (const one of some) one.committed = one.position;
      return 'ok';
    } catch (error) {
      if (!(error instanceof Unanswered)) throw error;
      if (error.wasSent) pending.info(error.message);
      else pending.fail(error.message);
      return 'unanswered';
    }
  }

  #named({ name, id }: TopicPlan, version: number): { name?: string; topicId?: string } {
    return version < 10 ? { name } : { topicId: id };
  }

  #byTopic<T>(held: readonly Held[], of: (one: Held) => T): [TopicPlan, T[]][] {
    return [...Map.groupBy(held, ({ plan }) => plan)].map(([plan, some]) => [plan, some.map(of)]);
  }
}

function recordsIn(buffers: readonly Buffer[] | null, offset: number): { records: SeenRecord[]; next: number } {
  const bytes = Buffer.concat(buffers ?? []);
  const records: SeenRecord[] = [];
  let next = offset;
  for (const at of batchesIn(bytes)) {
    if (bytes.length - at < 12 || batchBytes(bytes, at) > bytes.length - at) break;
    for (const record of recordsOf(bytes, at)) {
      if (record.offset >= offset) records.push({ offset: record.offset, value: String(record.value) });
    }
    next = Math.max(next, nextOffset(bytes, at));
  }
  return { records, next };
}
