import { setTimeout as sleep } from 'node:timers/promises';
import { Fault } from '../../src/base/faults.ts';
import { bytes, text } from '../../src/client/codecs.ts';
import type { Consumer } from '../../src/client/consumer.ts';
import type { Millrace } from '../../src/client/millrace.ts';
import type { Worker } from '../../src/client/worker/worker.ts';

const COMMIT_EVERY = 100;
/** What may come of a commit while members come and go, or the broker does; what it was of is handled again. */
const EXPECTED = ['notAssigned', 'commitFenced', 'connectionClosed', 'connectionFailed', 'coordinatorNotAvailable'];

/**
 * A group on the topic `exact` whose members come and go, and a worker on it: no record is skipped, and no committed offset that a
 * member was told of is ever taken back.
 */
export class GroupWatch {
  readonly #client: Millrace;
  readonly #members: Consumer<string, Buffer>[] = [];
  readonly #loops: Promise<void>[] = [];
  /** By partition: the offset after the last one that any member was given. */
  readonly #seenNext = new Map<number, number>();
  /** By partition: the largest offset whose commit was acknowledged. */
  readonly #committed = new Map<number, number>();
  readonly #worked = new Map<number, Set<number>>();
  #worker: Worker<string, Buffer> | null = null;
  readonly offences: string[] = [];
  commits = 0;
  refusedCommits = 0;
  joins = 0;

  constructor(client: Millrace) {
    this.#client = client;
  }

  start(): void {
    this.join();
    this.#worker = this.#client.worker<string, Buffer>(
      'exact',
      { group: 'workers', key: text, value: bytes, concurrency: 50, retryTimeoutMs: 600_000 },
      ({ partition, offset }) => {
        let worked = this.#worked.get(partition);
        if (worked === undefined) this.#worked.set(partition, (worked = new Set()));
        worked.add(offset);
      },
    );
    this.#worker.done.catch((error: Error) => this.offences.push(`the worker stopped: ${error.message}`));
  }

  /** One more member. */
  join(): void {
    const consumer = this.#client.consumer<string, Buffer>({
      group: 'watched',
      topics: 'exact',
      key: text,
      value: bytes,
      autoCommit: false,
      protocol: this.joins % 2 === 0 ? 'consumer' : 'classic',
      retryTimeoutMs: 600_000,
    });
    this.joins += 1;
    this.#members.push(consumer);
    const loop = this.#consume(consumer);
    this.#loops.push(loop);
    void loop.finally(() => this.#loops.splice(this.#loops.indexOf(loop), 1));
  }

  /** The member that is there for longest leaves. */
  async leave(): Promise<void> {
    await this.#members.shift()!.close();
  }

  async #consume(consumer: Consumer<string, Buffer>): Promise<void> {
    let since = 0;
    const next = new Map<number, number>();
    try {
      for await (const { partition, offset } of consumer) {
        const seenNext = this.#seenNext.get(partition) ?? 0;
        if (offset > seenNext) this.offences.push(`exact-${partition}: given ${offset} after ${seenNext - 1}`);
        this.#seenNext.set(partition, Math.max(seenNext, offset + 1));
        next.set(partition, offset + 1);
        if (++since < COMMIT_EVERY) continue;
        since = 0;
        await this.#commit(consumer, next);
        next.clear();
      }
    } catch (error) {
      this.offences.push(`a consumer ended: ${(error as Error).message}`);
    }
  }

  async #commit(consumer: Consumer<string, Buffer>, next: ReadonlyMap<number, number>): Promise<void> {
    const offsets = [...next].map(([partition, offset]) => ({ topic: 'exact', partition, offset }));
    for (const { partition, fault } of await consumer
      .commitEach(offsets)
      .catch((error: unknown) => outcomesOf(error, offsets))) {
      if (fault === null) {
        this.commits += 1;
        this.#committed.set(partition, Math.max(this.#committed.get(partition) ?? 0, next.get(partition)!));
      } else if (EXPECTED.includes(fault.fault)) this.refusedCommits += 1;
      else this.offences.push(`a commit failed: ${fault.message}`);
    }
  }

  /** Compares what the broker has with what it has acknowledged. */
  async judge(): Promise<void> {
    const acknowledged = new Map(this.#committed);
    const groups = await this.#client.admin.groups.offsets(['watched']);
    const stored = groups.get('watched')!;
    if (stored instanceof Fault) throw stored;
    for (const [partition, offset] of acknowledged) {
      const found = stored.find((one) => one.partition === partition)?.offset ?? -1;
      if (found < offset) this.offences.push(`exact-${partition}: committed ${offset}, and found ${found}`);
    }
  }

  /** Nothing is sent any more: waits until all below `endNext` was handled by both groups. */
  async finish(endNext: ReadonlyMap<number, number>, timeoutMs: number): Promise<void> {
    const deadlineMs = performance.now() + timeoutMs;
    const behind = (): string[] =>
      [...endNext].flatMap(([partition, end]) => {
        const [seen, worked] = [this.#seenNext.get(partition) ?? 0, this.#worked.get(partition)?.size ?? 0];
        return seen < end || worked < end ? [`exact-${partition}: of ${end} ${seen} consumed, ${worked} worked`] : [];
      });
    while (behind().length > 0 && performance.now() < deadlineMs) await sleep(100);
    this.offences.push(...behind());
    while (this.#members.length > 0) await this.leave();
    await Promise.all(this.#loops);
    await this.#worker?.close();
  }
}

function outcomesOf(error: unknown, offsets: readonly { topic: string; partition: number }[]) {
  if (!(error instanceof Fault)) throw error;
  return offsets.map(({ topic, partition }) => ({ topic, partition, fault: error }));
}
