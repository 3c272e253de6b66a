import fc from 'fast-check';
import { expect, test } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import { Fault } from '../../../src/base/faults.ts';
import { silentLogger } from '../../../src/base/logger.ts';
import { systemRandom } from '../../../src/base/random.ts';
import type { NewOffset } from '../../../src/client/group-offsets.ts';
import { Worker } from '../../../src/client/worker/worker.ts';
import { ScriptedConsumer } from './scripted-consumer.ts';

const RECORDS = 120;
const KEYS = 7;
const BATCH = 10;
const partition = { topic: 't', partition: 0 };

const records = Array.from({ length: RECORDS }, (_, index) => ({
  offset: index * 2,
  key: index % 5 === 4 ? null : `key ${index % KEYS}`,
}));

/** What ends an ownership, after some records: given up in good order, lost, or with it the commits that are on their way. */
const script = fc.record({
  seed: fc.integer(),
  handovers: fc.array(
    fc.record({
      how: fc.constantFrom('revoke' as const, 'lose' as const),
      afterMs: fc.nat({ max: 12 }),
      commits: fc.boolean(),
    }),
    { minLength: 1, maxLength: 8, size: 'max' },
  ),
});

/** Two workers of a group, between which one partition goes to and fro. */
class Pair {
  /** As the broker has it. */
  committed: NewOffset = { ...partition, offset: 0, metadata: '' };
  readonly finished = new Map<number, number>();
  readonly offences: string[] = [];
  readonly workers: Worker<string, string>[] = [];
  readonly #consumers: ScriptedConsumer[] = [];
  #owner = -1;
  #generation = 0;
  #acceptsCommits = true;
  readonly #lastOfKey = new Map<string, number>();
  readonly #draw: () => number;

  constructor(seed: number) {
    let state = seed;
    this.#draw = () => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
      return state / 0x7fffffff;
    };
    for (const name of [0, 1]) this.workers.push(this.#worker(name));
  }

  #worker(name: number): Worker<string, string> {
    const options = {
      group: 'g',
      concurrency: 8,
      commitIntervalMs: 1,
      drainTimeoutMs: 5,
      retry: { attempts: 1e9, minMs: 1, maxMs: 3 },
    };
    const inHand = new Set<string>();
    const handler = async ({ key, offset }: { key: string | null; offset: number }): Promise<void> => {
      if (key !== null && inHand.has(key)) this.offences.push(`two of ${key} at once`);
      if (key !== null) inHand.add(key);
      await new Promise((resolve) => setTimeout(resolve, this.#draw() * 6));
      if (key !== null) inHand.delete(key);
      if (this.#draw() < 0.1) throw new Error('this time it fails');
      this.#end(name, key, offset);
    };
    return new Worker<string, string>('t', options, handler, {
      clock: systemClock,
      random: systemRandom,
      logger: silentLogger,
      admin: undefined as never,
      producer: () => ({ close: async () => {} }) as never,
      consumer: (given) => {
        const consumer = new ScriptedConsumer(given);
        consumer.commitEach = async (offsets) => {
          await this.#commit(name, offsets);
          return offsets.map((one) => ({ topic: one.topic, partition: one.partition, fault: null }));
        };
        this.#consumers[name] = consumer;
        return consumer.asConsumer();
      },
      onClose: () => {},
    });
  }

  #end(name: number, key: string | null, offset: number): void {
    // What a member works on that has lost the partition is nobody's order any more.
    if (this.#owner !== name) return;
    const last = key === null ? undefined : this.#lastOfKey.get(key);
    const isNext =
      last === undefined ||
      offset <= last ||
      !records.some((one) => one.key === key && one.offset > last && one.offset < offset);
    if (!isNext) this.offences.push(`${key}: ${offset} after ${last}`);
    if (key !== null) this.#lastOfKey.set(key, offset);
    this.finished.set(offset, (this.finished.get(offset) ?? 0) + 1);
  }

  async #commit(name: number, offsets: readonly NewOffset[]): Promise<void> {
    const generation = this.#generation;
    await new Promise((resolve) => setTimeout(resolve, this.#draw() * 3));
    // One that was on its way for so long that its worker has the partition again is of an earlier generation all the same.
    const isStale = this.#owner !== name || this.#generation !== generation;
    if (isStale || !this.#acceptsCommits) throw new Fault('workTakenAway');
    for (const offset of offsets) {
      if (offset.offset < this.committed.offset)
        this.offences.push(`committed ${offset.offset} after ${this.committed.offset}`);
      const unfinished = records.find((one) => one.offset < offset.offset && !this.finished.has(one.offset));
      if (unfinished !== undefined)
        this.offences.push(`committed ${offset.offset}, and ${unfinished.offset} is unfinished`);
      this.committed = offset;
    }
  }

  async own(name: number, acceptsCommits: boolean): Promise<void> {
    this.#owner = name;
    this.#generation += 1;
    this.#acceptsCommits = acceptsCommits;
    this.#lastOfKey.clear();
    const consumer = this.#consumers[name]!;
    const { offset, metadata = '' } = this.committed;
    await consumer.assign({ ...partition, offset, metadata });
    const left = records.filter((one) => one.offset >= offset);
    for (let at = 0; at < left.length; at += BATCH) consumer.give('t', 0, left.slice(at, at + BATCH));
  }

  async giveUp(how: 'revoke' | 'lose'): Promise<void> {
    const consumer = this.#consumers[this.#owner]!;
    consumer.drop();
    await consumer[how](partition);
  }
}

test('a partition that goes to and fro between workers: nothing is lost, every key keeps its order, no commit passes what is unfinished', async () => {
  let repeats = 0;
  await fc.assert(
    fc.asyncProperty(script, async ({ seed, handovers }) => {
      const pair = new Pair(seed);
      await new Promise((resolve) => setTimeout(resolve, 1));
      let owner = 0;
      for (const { how, afterMs, commits } of handovers) {
        await pair.own(owner, commits);
        await new Promise((resolve) => setTimeout(resolve, afterMs));
        await pair.giveUp(how);
        owner = 1 - owner;
      }
      await pair.own(owner, true);
      while (pair.committed.offset <= records.at(-1)!.offset) await new Promise((resolve) => setTimeout(resolve, 2));
      await Promise.all(pair.workers.map((worker) => worker.close()));
      expect(pair.offences).toEqual([]);
      expect([...pair.finished.keys()].sort((a, b) => a - b)).toEqual(records.map(({ offset }) => offset));
      repeats += [...pair.finished.values()].filter((times) => times > 1).length;
    }),
    { numRuns: 40 },
  );
  expect(repeats).toBeGreaterThan(0);
});
