import type { SeededRandom } from '../seeded-random.ts';
import { type Client, Unanswered } from './client.ts';
import { errorName, isRetriable } from './error-names.ts';
import type { HistoryRecorder, Place } from './history.ts';
import { oneIn, pick } from './random-streams.ts';
import type { Workload, WorkloadContext } from './workload.ts';

/** Deletes what lies before an offset. @throws Unanswered */
export async function deleteRecords(
  client: Client,
  history: HistoryRecorder,
  process: number,
  place: Place,
  before: number,
): Promise<void> {
  const pending = history.invoke(process, 'trim', { place, before });
  try {
    const partitions = [{ partitionIndex: place.partition, offset: before }];
    const topics = [{ name: place.topic, partitions }];
    const answer = await client.request('DeleteRecords', 2, { topics, timeoutMs: 5000 });
    const { errorCode, lowWatermark } = answer.topics[0]!.partitions[0]!;
    if (errorCode === 0) pending.ok({ logStart: lowWatermark });
    // Some segments may be gone when the disk fails in the midst of it.
    else if (isRetriable(errorCode)) pending.info(errorName(errorCode));
    else pending.fail(errorName(errorCode));
  } catch (error) {
    pending.info(String(error));
    throw error;
  }
}

/** A pass of compaction that has begun to write a segment. */
export interface Pass {
  /** Of its topic. */
  readonly id: string;
  readonly partition: number;
  /** Where segments begin, of those that it may be made from and those behind, but for the first and the last. */
  readonly bases: readonly number[];
}

/** Deletes the first of the segments that a pass of compaction is making one of. */
class PassDisturber {
  readonly #context: WorkloadContext;
  readonly #random: SeededRandom;
  readonly #client: Client;
  readonly #process: number;
  #deleting: Promise<void> = Promise.resolve();

  constructor(context: WorkloadContext) {
    this.#context = context;
    this.#random = context.streams.of('deletions in passes');
    this.#client = context.connect('deletions in passes');
    this.#process = context.newProcess();
  }

  note({ id, partition, bases }: Pass): void {
    const { isOver, topics, history } = this.#context;
    const plan = topics.all.find((one) => one.id === id);
    if (isOver() || bases.length === 0 || plan?.kind !== 'trimmed' || oneIn(this.#random, 3)) return;
    // Mostly of the first one alone, so that there are some that are left.
    const before = oneIn(this.#random, 3) ? pick(this.#random, bases) : bases[0]!;
    const place = { topic: plan.name, partition };
    this.#deleting = deleteRecords(this.#client, history, this.#process, place, before).catch((error: unknown) => {
      if (!(error instanceof Unanswered)) throw error;
    });
  }

  async end(): Promise<void> {
    await this.#deleting;
    this.#client.close();
  }
}

export function deletionsInPasses(): Workload {
  return {
    name: 'deletions in passes',
    async run(context) {
      const disturber = new PassDisturber(context);
      context.onPass((pass) => disturber.note(pass));
      while (!context.isOver()) await context.scheduler.sleep(50);
      await disturber.end();
    },
  };
}
