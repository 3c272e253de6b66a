import { kafkaErrors } from '../../src/base/kafka-errors.ts';
import type { SeededRandom } from '../seeded-random.ts';
import type { Client } from './client.ts';
import { errorName } from './error-names.ts';
import type { HistoryRecorder, Place } from './history.ts';
import { pick } from './random-streams.ts';

/** A topic, and what may become of its records. No two have the same name, so that a name means one topic for ever. */
export interface TopicPlan {
  readonly name: string;
  readonly id: string;
  readonly kind: TopicKindName;
  /** As many as clients know of by now. */
  readonly partitions: number;
  /** Whether retention may take records from the moment in which they are sent. */
  readonly mayExpire: boolean;
  readonly isSynced: boolean;
  readonly isCompacted: boolean;
  readonly skipsRot: boolean;
}

interface TopicKind {
  readonly settings: Readonly<Record<string, string>>;
  readonly mayExpire?: boolean;
  readonly isUnsynced?: boolean;
  readonly skipsRot?: boolean;
  readonly isCompacted?: boolean;
}

const LONG_MAX = '9223372036854775807';
const ROLLING = { 'segment.bytes': '16384', 'index.interval.bytes': '512', 'message.timestamp.after.max.ms': LONG_MAX };

/** What there is of each from the start; more of them are made in the course of a run. */
export const TOPIC_KINDS = {
  kept: { settings: { ...ROLLING, 'retention.ms': '-1' } },
  /** Nothing expires that should not, whatever the clock says. */
  week: {
    settings: { ...ROLLING, 'retention.ms': '604800000', 'segment.ms': '3000', 'millrace.rot': 'skip' },
    skipsRot: true,
  },
  /** Nor what the broker stamped while its clock was wrong. */
  stamped: {
    settings: {
      ...ROLLING,
      'retention.ms': '604800000',
      'message.timestamp.type': 'LogAppendTime',
      'segment.ms': '5000',
      'millrace.rot': 'skip',
    },
    skipsRot: true,
  },
  small: {
    settings: { ...ROLLING, 'retention.bytes': '40000', 'millrace.rot': 'skip' },
    mayExpire: true,
    skipsRot: true,
  },
  brief: { settings: { ...ROLLING, 'retention.ms': '4000', 'segment.ms': '1000' }, mayExpire: true },
  lazy: { settings: { ...ROLLING, 'flush.messages': '7', 'flush.ms': '200', 'retention.ms': '-1' }, isUnsynced: true },
  compacted: {
    settings: {
      ...ROLLING,
      'cleanup.policy': 'compact',
      'min.cleanable.dirty.ratio': '0',
      'delete.retention.ms': '2000',
      'segment.ms': '1500',
    },
    isCompacted: true,
  },
  /** What is older of a key goes by size and by DeleteRecords, too, also in the middle of a pass. */
  trimmed: {
    settings: {
      ...ROLLING,
      'cleanup.policy': 'compact,delete',
      'min.cleanable.dirty.ratio': '0',
      'delete.retention.ms': '300',
      'segment.ms': '60',
      'retention.ms': '-1',
      'retention.bytes': '24000',
    },
    mayExpire: true,
    isCompacted: true,
  },
  cached: { settings: { ...ROLLING, 'flush.messages': LONG_MAX, 'retention.ms': '-1' }, isUnsynced: true },
} as const satisfies Record<string, TopicKind>;

export type TopicKindName = keyof typeof TOPIC_KINDS;
export const TOPIC_KIND_NAMES = Object.keys(TOPIC_KINDS) as TopicKindName[];

/** The topics that clients know of. */
export class TopicPlans {
  readonly #plans: TopicPlan[] = [];
  readonly #deleted: TopicPlan[] = [];
  readonly #history: HistoryRecorder;
  #made = 0;

  constructor(history: HistoryRecorder) {
    this.#history = history;
  }

  get all(): readonly TopicPlan[] {
    return this.#plans;
  }

  /** Those that are gone, or may be. */
  get deleted(): readonly TopicPlan[] {
    return this.#deleted;
  }

  /** Makes a topic; null when it was refused or not answered. @throws never */
  async create(client: Client, process: number, kind: TopicKindName, partitions: number): Promise<TopicPlan | null> {
    const { settings, ...rules }: TopicKind = TOPIC_KINDS[kind];
    const name = `${kind}-${this.#made++}`;
    const facts = {
      isSynced: rules.isUnsynced !== true,
      isCompacted: rules.isCompacted === true,
      skipsRot: rules.skipsRot === true,
    };
    this.#history.topic({ topic: name, partitions, ...facts });
    const pending = this.#history.invoke(process, 'createTopic', { topic: name });
    const configs = Object.entries(settings).map(([key, value]) => ({ name: key, value }));
    try {
      const topic = { name, numPartitions: partitions, replicationFactor: 1, configs };
      const { topics } = await client.request('CreateTopics', 7, { topics: [topic] });
      const { errorCode, topicId } = topics[0]!;
      if (errorCode !== kafkaErrors.NONE.code) {
        pending.fail(String(errorCode));
        return null;
      }
      pending.ok({});
      const plan = { name, id: topicId, kind, partitions, mayExpire: rules.mayExpire === true, ...facts };
      this.#plans.push(plan);
      return plan;
    } catch (error) {
      pending.info(String(error));
      return null;
    }
  }

  /** Asks how many partitions each topic has: clients use what is told. True when that was told of all. @throws Unanswered */
  async refresh(client: Client, process: number): Promise<boolean> {
    const plans = [...this.#plans];
    const asked = plans.map(({ name }) => this.#history.invoke(process, 'metadata', { topic: name }));
    try {
      const answer = await client.request('Metadata', 12, { topics: plans.map(({ name }) => ({ name })) });
      for (const [i, { errorCode, partitions }] of answer.topics.entries()) {
        if (errorCode === kafkaErrors.NONE.code) {
          asked[i]!.ok({ partitions: partitions.length });
          Object.assign(plans[i]!, { partitions: Math.max(plans[i]!.partitions, partitions.length) });
        } else asked[i]!.fail(errorName(errorCode));
      }
      return answer.topics.every(({ errorCode }) => errorCode === kafkaErrors.NONE.code);
    } catch (error) {
      for (const pending of asked) pending.info(String(error));
      throw error;
    }
  }

  /** No client begins anything with it from now on. */
  forget(plan: TopicPlan): void {
    const at = this.#plans.indexOf(plan);
    if (at >= 0) this.#deleted.push(...this.#plans.splice(at, 1));
  }

  /** It is there after all. */
  remember(plan: TopicPlan): void {
    this.#deleted.splice(this.#deleted.indexOf(plan), 1);
    this.#plans.push(plan);
  }

  /** Some place of some topic; of this kind, if there is one. */
  place(random: SeededRandom, kind?: TopicKindName): { plan: TopicPlan; place: Place } {
    const ofKind = this.#plans.filter((plan) => plan.kind === kind);
    const plan = pick(random, ofKind.length > 0 ? ofKind : this.#plans);
    return { plan, place: { topic: plan.name, partition: random.below(plan.partitions) } };
  }
}
