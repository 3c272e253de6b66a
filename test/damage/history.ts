import { Fault, isFault } from '../../src/base/faults.ts';
import type { Broker } from '../../src/broker/broker.ts';
import { everythingIn, type OpenedBroker, SMALL_SEGMENTS, sendBatch } from './stored.ts';

/** What was promised of a batch: the more, the worse an end it survives. */
export type Promised = 'nothing' | 'the process' | 'power';

interface Sent {
  readonly values: readonly string[];
  offset: number | null;
  promised: Promised;
  /** Whether it was told, each time, that the disk is full: it is not there then, whatever happens. */
  isRefused: boolean;
}

interface SentTopic {
  readonly partitions: Sent[][];
  /** Null: it was asked for, and nobody was told what became of that. */
  exists: boolean | null;
  trimmedTo: number;
  seenNext: number[];
}

/** All that a broker was asked for and what it promised, through all its lives. Judges what is there afterwards. */
export class History {
  readonly #topics = new Map<string, SentTopic>();
  /** By group: the offsets that it asked to commit, in order, and how many of them were acknowledged at least. */
  readonly #commits = new Map<string, { asked: number[]; acked: number }>();
  acks = 0;
  #next = 0;

  async makeTopic({ broker }: OpenedBroker, name: string, partitions: number): Promise<void> {
    const lists = Array.from({ length: partitions }, () => []);
    const topic: SentTopic = { partitions: lists, exists: null, trimmedTo: 0, seenNext: lists.map(() => 0) };
    if (!this.#topics.has(name)) this.#topics.set(name, topic);
    await broker.topics.create({ name, partitions, replicationFactor: -1, settings: SMALL_SEGMENTS });
    this.#topics.get(name)!.exists = true;
  }

  async deleteTopic({ broker }: OpenedBroker, name: string): Promise<void> {
    this.#topics.get(name)!.exists = null;
    await broker.topics.delete(name);
    this.#topics.get(name)!.exists = false;
  }

  /** Sends two records; once more, as clients do, when they are refused. */
  async send(opened: OpenedBroker, name: string, partition: number, acks: -1 | 1 = -1): Promise<void> {
    const number = this.#next++;
    const sent: Sent = { values: [`${number}.0`, `${number}.1`], offset: null, promised: 'nothing', isRefused: false };
    this.#topics.get(name)!.partitions[partition]!.push(sent);
    const sending = { acks, producerId: 1000 + number, sequence: 0 };
    const attempt = (): Promise<number> => sendBatch(opened, name, partition, sent.values, sending);
    let attempts = 0;
    let refusals = 0;
    const counted = (): Promise<number> => {
      attempts += 1;
      return attempt().catch((error: unknown) => {
        if (isFault(error, 'diskFull')) refusals += 1;
        sent.isRefused = refusals === attempts;
        throw error;
      });
    };
    sent.offset = await counted().catch((error: unknown) => {
      if (error instanceof Fault && error.retriable && opened.broker.stopped === null) return counted();
      throw error;
    });
    sent.isRefused = false;
    sent.promised = acks === 1 ? 'the process' : 'power';
    this.acks += 1;
    this.#see(opened.broker, name);
  }

  async commit({ broker }: OpenedBroker, group: string, name: string): Promise<void> {
    let commits = this.#commits.get(group);
    if (commits === undefined) this.#commits.set(group, (commits = { asked: [], acked: 0 }));
    const count = commits.asked.push(commits.asked.length + 1);
    const committer = { memberId: '', generation: -1, instanceId: null, saysEpoch: true };
    const one = { topic: broker.topics.get(name), partition: 0, offset: count, leaderEpoch: -1, metadata: null };
    await broker.groups.commit(group, committer, [one], null);
    commits.acked = count;
    this.acks += 1;
  }

  async trim({ broker }: OpenedBroker, name: string, to: number): Promise<void> {
    const topic = this.#topics.get(name)!;
    const log = broker.topics.get(name).partition(0);
    // Whatever is answered, from the moment of asking nobody may count on what lies before.
    topic.trimmedTo = Math.min(to, log.marks.highWatermark);
    await log.trim(topic.trimmedTo);
  }

  #see(broker: Broker, name: string): void {
    const topic = this.#topics.get(name)!;
    for (const [i, log] of (broker.topics.find(name)?.partitions ?? []).entries()) {
      topic.seenNext[i] = Math.max(topic.seenNext[i]!, log.marks.highWatermark);
    }
  }

  /** What breaks the promise, one sentence each; `survived` is the least that must be there. */
  async judge({ broker }: OpenedBroker, survived: Promised): Promise<string[]> {
    const broken: string[] = [];
    for (const [name, topic] of this.#topics) {
      const found = broker.topics.find(name);
      if (topic.exists === true && found === null) broken.push(`topic ${name} is gone`);
      if (topic.exists === false && found !== null) broken.push(`topic ${name} is back`);
      if (topic.exists === null || found === null) continue;
      for (const [i, sent] of topic.partitions.entries()) {
        const log = found.partition(i);
        const trimmedTo = i === 0 ? topic.trimmedTo : 0;
        if (log.marks.logStart > trimmedTo) broken.push(`${name}-${i} starts at ${log.marks.logStart}`);
        if (log.marks.highWatermark < topic.seenNext[i]!) broken.push(`${name}-${i} ends before what readers saw`);
        const findings = { lost: 0, missing: 0, broken };
        const { values, refused } = await everythingIn(log, findings);
        if (refused.size > 0) broken.push(`${name}-${i}: ${[...refused]} cannot be read`);
        judgePartition(`${name}-${i}`, { sent, values, trimmedTo, survived }, broken);
      }
    }
    for (const [group, { asked, acked }] of this.#commits) {
      const found = [...broker.groups.offsets(group, null, -1).values()][0]?.get(0)?.offset ?? 0;
      if (found < acked || found > asked.length)
        broken.push(`${group} has committed ${found}; ${acked} was acknowledged`);
    }
    return broken;
  }
}

function judgePartition(
  place: string,
  found: { sent: readonly Sent[]; values: ReadonlyMap<number, string>; trimmedTo: number; survived: Promised },
  broken: string[],
): void {
  const { sent, values, trimmedTo, survived } = found;
  const offsetOf = new Map(Array.from(values, ([offset, value]) => [value, offset]));
  if (offsetOf.size < values.size) broken.push(`${place} has a record twice`);
  const known = new Set(sent.flatMap((one) => one.values));
  for (const value of values.values()) if (!known.has(value)) broken.push(`${place} has ${value}, which nobody sent`);
  for (const { values: batch, offset, promised, isRefused } of sent) {
    const offsets = batch.map((value) => offsetOf.get(value));
    if (isRefused && offsets.some((one) => one !== undefined))
      broken.push(`${place}: ${batch} was refused, and is there`);
    const isDeleted = offset !== null && offset < trimmedTo;
    if (offsets.some((one) => one === undefined) !== offsets.every((one) => one === undefined) && !isDeleted) {
      broken.push(`${place} has a part of the batch ${batch}`);
    }
    const mustBeThere = promised === 'power' || (promised === 'the process' && survived === 'the process');
    if (mustBeThere && !isDeleted && offsets[0] !== offset) {
      broken.push(`${place}: ${batch} was acknowledged at offset ${offset}, found at ${offsets[0]}`);
    }
  }
}
