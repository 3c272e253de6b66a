import type { SeededRandom } from '../seeded-random.ts';
import { type Client, Unanswered } from './client.ts';
import { deleteRecords } from './delete-records.ts';
import { errorName, isRetriable } from './error-names.ts';
import type { Place } from './history.ts';
import { oneIn, pick } from './random-streams.ts';
import { TOPIC_KIND_NAMES, type TopicPlan } from './topic-plans.ts';
import { rest, type Workload, type WorkloadContext } from './workload.ts';

const TOPIC_RESOURCE = 2;
const SET = 0;
/** A topic gets so many at most: each is one more log to open at each start. */
const PARTITIONS_MAX = 3;

/** Settings that may change under the records, whatever kind of topic it is: none lets anything expire. */
const CHANGES: readonly [name: string, values: readonly string[]][] = [
  ['segment.bytes', ['16384', '20000', '1000000']],
  ['index.interval.bytes', ['0', '512', '4096']],
  ['segment.ms', ['500', '5000', '604800000']],
];

/** Makes, grows and deletes topics, deletes records, changes settings, looks for offsets by time. */
class Administrator {
  readonly #context: WorkloadContext;
  readonly #random: SeededRandom;
  readonly #client: Client;
  readonly #process: number;
  readonly #deletable: TopicPlan[] = [];
  readonly #growing: TopicPlan[] = [];
  /** What was acknowledged last of each setting; null where that is not known any more. */
  readonly #settings = new Map<string, { plan: TopicPlan; name: string; value: string } | null>();

  constructor(context: WorkloadContext) {
    this.#context = context;
    this.#random = context.streams.of('administrator');
    this.#client = context.connect('administrator');
    this.#process = context.newProcess();
  }

  async prepare(): Promise<void> {
    for (const kind of TOPIC_KIND_NAMES) {
      const partitions = kind === 'kept' ? 3 : 1;
      const plan = await this.#context.topics.create(this.#client, this.#process, kind, partitions);
      if (plan === null) throw new Error(`the topic ${kind} could not be made though nothing disturbed it`);
      this.#growing.push(plan);
    }
  }

  async run(): Promise<void> {
    while (!this.#context.isOver()) {
      try {
        await this.#act();
      } catch (error) {
        if (!(error instanceof Unanswered)) throw error;
      }
      await rest(this.#context, this.#random, 120);
    }
    this.#client.close();
  }

  async #act(): Promise<void> {
    switch (this.#random.below(7)) {
      case 0:
        return this.#create();
      case 1:
        return this.#delete();
      case 2:
        return this.#trim();
      case 3:
        return this.#changeSetting();
      case 4:
      case 5:
        return this.#addPartitions();
      default:
        return this.#findTime();
    }
  }

  async #create(): Promise<void> {
    if (this.#deletable.length > 3) return;
    // In a topic that was there before, older segments with sound times keep those of that time from expiring.
    const isStamped = this.#context.wall.isBehind && oneIn(this.#random, 2);
    const kind = isStamped ? 'stamped' : pick(this.#random, TOPIC_KIND_NAMES);
    const plan = await this.#context.topics.create(this.#client, this.#process, kind, 1 + this.#random.below(2));
    if (plan === null) return;
    this.#deletable.push(plan);
    this.#growing.push(plan);
  }

  async #addPartitions(): Promise<void> {
    const plan = pick(this.#random, this.#growing);
    if (plan.partitions >= PARTITIONS_MAX) return;
    const count = plan.partitions + 1;
    const pending = this.#context.history.invoke(this.#process, 'addPartitions', { topic: plan.name, count });
    try {
      const topics = [{ name: plan.name, count, assignments: null }];
      const { results } = await this.#client.request('CreatePartitions', 3, { topics, timeoutMs: 5000 });
      const { errorCode } = results[0]!;
      if (errorCode === 0) pending.ok({});
      // They are in the ledger when the disk refuses the files of one of them: the next start, or attempt, makes these.
      else if (isRetriable(errorCode)) pending.info(errorName(errorCode));
      else pending.fail(errorName(errorCode));
    } catch (error) {
      pending.info(String(error));
      throw error;
    }
  }

  /** Learns of all partitions that there are: each is to be written to and read before the end. */
  async refreshAll(): Promise<void> {
    for (let attempt = 0; !(await this.#refreshed()); attempt += 1) {
      if (attempt > 50) throw new Error('not all topics are served though nothing disturbs the broker');
      await rest(this.#context, this.#random, 400);
    }
  }

  async #refreshed(): Promise<boolean> {
    try {
      return await this.#context.topics.refresh(this.#client, this.#process);
    } catch (error) {
      if (!(error instanceof Unanswered)) throw error;
      return false;
    }
  }

  async #delete(): Promise<void> {
    if (this.#deletable.length < 2 || !oneIn(this.#random, 2)) return;
    const plan = this.#deletable.shift()!;
    this.#growing.splice(this.#growing.indexOf(plan), 1);
    this.#context.topics.forget(plan);
    const pending = this.#context.history.invoke(this.#process, 'deleteTopic', { topic: plan.name });
    try {
      const answer = await this.#client.request('DeleteTopics', 6, { topics: [{ name: plan.name }], timeoutMs: 5000 });
      const { errorCode } = answer.responses[0]!;
      if (errorCode === 0) pending.ok({});
      else {
        pending.fail(errorName(errorCode));
        this.#context.topics.remember(plan);
        this.#growing.push(plan);
      }
    } catch (error) {
      pending.info(String(error));
      throw error;
    }
  }

  async #trim(): Promise<void> {
    // Of a compacted topic, where a pass may be under way, as often as of all others.
    const { place } = this.#context.topics.place(this.#random, oneIn(this.#random, 2) ? 'trimmed' : undefined);
    const range = await this.#rangeOf(place);
    if (range === null || range.end <= range.start) return;
    // Mostly a little, so that there is something left to lose.
    const before = range.start + 1 + this.#random.below(oneIn(this.#random, 6) ? range.end - range.start : 3);
    if (before > range.end) return;
    await deleteRecords(this.#client, this.#context.history, this.#process, place, before);
  }

  async #rangeOf(place: Place): Promise<{ start: number; end: number } | null> {
    const at = (timestamp: number) => ({ partitionIndex: place.partition, timestamp });
    const answers = await Promise.all(
      [-2, -1].map((timestamp) =>
        this.#client.request('ListOffsets', 7, {
          replicaId: -1,
          topics: [{ name: place.topic, partitions: [at(timestamp)] }],
        }),
      ),
    );
    const [start, end] = answers.map(({ topics }) => topics[0]!.partitions[0]!);
    if (start!.errorCode !== 0 || end!.errorCode !== 0) return null;
    return { start: start!.offset, end: end!.offset };
  }

  async #changeSetting(): Promise<void> {
    const { plan } = this.#context.topics.place(this.#random);
    const [name, values] = pick(this.#random, CHANGES);
    const value = pick(this.#random, values);
    const key = `${plan.name} ${name}`;
    const before = this.#settings.get(key);
    // One that is not answered may take place at any time, and then nothing is known of the setting any more.
    this.#settings.set(key, null);
    const { responses } = await this.#client.request('IncrementalAlterConfigs', 1, {
      resources: [
        { resourceType: TOPIC_RESOURCE, resourceName: plan.name, configs: [{ name, configOperation: SET, value }] },
      ],
      validateOnly: false,
    });
    if (before === null) return;
    if (responses[0]!.errorCode === 0) this.#settings.set(key, { plan, name, value });
    else if (!isRetriable(responses[0]!.errorCode) && before !== undefined) this.#settings.set(key, before);
  }

  /** Settings that were acknowledged are there. */
  async checkSettings(): Promise<void> {
    for (const setting of this.#settings.values()) {
      if (setting === null || !this.#context.topics.all.includes(setting.plan)) continue;
      const { plan, name, value } = setting;
      const { results } = await this.#client.request('DescribeConfigs', 4, {
        resources: [{ resourceType: TOPIC_RESOURCE, resourceName: plan.name, configurationKeys: [name] }],
      });
      const found = results[0]!.configs[0]?.value;
      if (found !== value) this.#context.onViolation(`${plan.name}: ${name} was set to ${value}, and is ${found}`);
    }
    this.#client.close();
  }

  async #findTime(): Promise<void> {
    const { place } = this.#context.topics.place(this.#random);
    const timestamp = oneIn(this.#random, 4) ? -3 : this.#context.wall.trueMs - this.#random.below(20_000);
    await this.#client.request('ListOffsets', 7, {
      replicaId: -1,
      topics: [{ name: place.topic, partitions: [{ partitionIndex: place.partition, timestamp }] }],
    });
  }
}

export function administration(): Workload {
  let administrator: Administrator;
  return {
    name: 'administration',
    prepare: (context) => {
      administrator = new Administrator(context);
      return administrator.prepare();
    },
    run: () => administrator.run(),
    settle: () => administrator.refreshAll(),
    async finish() {
      await administrator.refreshAll();
      await administrator.checkSettings();
    },
  };
}
