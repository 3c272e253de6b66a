import type { SeededRandom } from '../seeded-random.ts';
import { type Client, Unanswered } from './client.ts';
import { errorName } from './error-names.ts';
import type { Place } from './history.ts';
import { oneIn, pick } from './random-streams.ts';
import type { TopicPlan } from './topic-plans.ts';
import { rest, type WorkloadContext } from './workload.ts';

/** More than `offsets.retention.minutes` of the simulated broker, and than the time between two looks for what expired. */
const EXPIRY_MS = 52 * 60_000;

interface Administered {
  readonly name: string;
  readonly places: Place[];
}

/** Somebody who is no member: looks at offsets, sets them, removes them, removes groups. Much of it is refused. */
export class GroupAdministrator {
  readonly #context: WorkloadContext;
  readonly #random: SeededRandom;
  readonly #client: Client;
  readonly #process: number;
  readonly #groups: readonly Administered[];
  readonly #plans: readonly TopicPlan[];
  #commits = 0;

  constructor(context: WorkloadContext, groups: readonly Administered[], plans: readonly TopicPlan[]) {
    this.#context = context;
    this.#random = context.streams.of('group administrator');
    this.#client = context.connect('group administrator');
    this.#process = context.newProcess();
    this.#groups = groups;
    this.#plans = plans;
  }

  async run(): Promise<void> {
    while (!this.#context.isOver()) {
      await this.#act(pick(this.#random, this.#groups));
      await rest(this.#context, this.#random, 100);
    }
  }

  close(): void {
    this.#client.close();
  }

  /** What every group has committed. */
  async readAll(): Promise<void> {
    for (const group of this.#groups) {
      for (let attempt = 0; !(await this.#fetch(group)); attempt += 1) {
        if (attempt > 50) throw new Error(`the offsets of ${group.name} cannot be read`);
        await this.#context.scheduler.sleep(200);
      }
    }
  }

  /** Offsets of groups without members go when their time is over; until then nothing has gone. */
  async letExpire(): Promise<void> {
    await this.readAll();
    const expiring = this.#groups.map(({ name: group }) =>
      this.#context.history.invoke(this.#process, 'mayExpireOffsets', { group }),
    );
    await this.#context.scheduler.sleep(EXPIRY_MS);
    for (const pending of expiring) pending.ok({});
    await this.readAll();
  }

  #act(group: Administered): Promise<unknown> {
    switch (this.#random.below(12)) {
      case 0:
        return this.#deleteGroup(group);
      case 1:
        return this.#deleteOffsets(group);
      case 2:
      case 3:
        return this.#set(group);
      default:
        return this.#fetch(group);
    }
  }

  /** Whether it was answered. */
  async #fetch({ name: group, places }: Administered): Promise<boolean> {
    const pending = this.#context.history.invoke(this.#process, 'fetchCommitted', { group, places });
    try {
      const topics = this.#plans.map(({ name, partitions }) => ({
        name,
        partitionIndexes: Array.from({ length: partitions }, (_, i) => i),
      }));
      const groups = [{ groupId: group, memberId: null, memberEpoch: -1, topics }];
      const answer = await this.#client.request('OffsetFetch', 9, { groups, requireStable: oneIn(this.#random, 2) });
      const { errorCode, topics: found } = answer.groups[0]!;
      if (errorCode !== 0) {
        pending.fail(errorName(errorCode));
        return false;
      }
      const offsets = found.flatMap(({ name: topic, partitions }) =>
        partitions.map(({ partitionIndex: partition, committedOffset: offset, metadata }) => {
          return { topic, partition, committed: offset < 0 ? null : { offset, tag: metadata ?? '' } };
        }),
      );
      pending.ok({ offsets });
      return true;
    } catch (error) {
      pending.info(this.#unanswered(error));
      return false;
    }
  }

  /** Back to the start, which is taken while a group has no members. */
  async #set({ name: group, places }: Administered): Promise<void> {
    const place = pick(this.#random, places);
    const tag = `${this.#process}.${++this.#commits}`;
    const offsets = [{ ...place, offset: 0 }];
    const pending = this.#context.history.invoke(this.#process, 'commit', { group, tag, offsets });
    try {
      const partitions = [{ partitionIndex: place.partition, committedOffset: 0, committedMetadata: tag }];
      const topics = [{ name: place.topic, partitions }];
      const answer = await this.#client.request('OffsetCommit', 8, { groupId: group, topics });
      const { errorCode } = answer.topics[0]!.partitions[0]!;
      if (errorCode === 0) pending.ok({});
      else pending.fail(errorName(errorCode));
    } catch (error) {
      pending.info(this.#unanswered(error));
    }
  }

  async #deleteOffsets({ name: group, places }: Administered): Promise<void> {
    const place = pick(this.#random, places);
    const pending = this.#context.history.invoke(this.#process, 'deleteOffsets', { group, places: [place] });
    try {
      const topics = [{ name: place.topic, partitions: [{ partitionIndex: place.partition }] }];
      const answer = await this.#client.request('OffsetDelete', 0, { groupId: group, topics });
      const errorCode = answer.errorCode || answer.topics[0]!.partitions[0]!.errorCode;
      if (errorCode === 0) pending.ok({});
      else pending.fail(errorName(errorCode));
    } catch (error) {
      pending.info(this.#unanswered(error));
    }
  }

  async #deleteGroup({ name: group }: Administered): Promise<void> {
    const pending = this.#context.history.invoke(this.#process, 'deleteGroup', { group });
    try {
      const { results } = await this.#client.request('DeleteGroups', 2, { groupsNames: [group] });
      if (results[0]!.errorCode === 0) pending.ok({});
      else pending.fail(errorName(results[0]!.errorCode));
    } catch (error) {
      pending.info(this.#unanswered(error));
    }
  }

  /** @throws what is something else */
  #unanswered(error: unknown): string {
    if (!(error instanceof Unanswered)) throw error;
    return error.message;
  }
}
