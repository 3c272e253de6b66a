import { setTimeout as sleep } from 'node:timers/promises';
import { Admin } from '@platformatic/kafka';

/** ListOffsets' name for the offset after the last record. */
const END = -1n;

/** Topics as the tests need them, through the admin client of @platformatic/kafka. */
export class Topics {
  readonly #admin: Admin;

  constructor(bootstrap: string) {
    this.#admin = new Admin({ clientId: 'foreign', bootstrapBrokers: [bootstrap], retries: 50, retryDelay: 100 });
  }

  async create(topic: string, partitions: number): Promise<void> {
    await this.#admin.createTopics({ topics: [topic], partitions, replicas: 1 });
    // Apache Kafka answers before its broker has heard of the topic.
    const deadlineMs = performance.now() + 30_000;
    for (;;) {
      const failure = await this.endsNext(topic, partitions).then(
        () => undefined,
        (error: Error) => error,
      );
      if (failure === undefined) return;
      if (performance.now() > deadlineMs) throw new Error(`the topic ${topic} did not appear`, { cause: failure });
      await sleep(20);
    }
  }

  async delete(topic: string): Promise<void> {
    await this.#admin.deleteTopics({ topics: [topic] });
  }

  /** The offset after the last record of each partition. */
  async endsNext(topic: string, partitions: number): Promise<number[]> {
    const wanted = Array.from({ length: partitions }, (_, partitionIndex) => ({ partitionIndex, timestamp: END }));
    const [listed] = await this.#admin.listOffsets({ topics: [{ name: topic, partitions: wanted }] });
    const found = listed!.partitions.sort((a, b) => a.partitionIndex - b.partitionIndex);
    return found.map(({ offset }) => Number(offset));
  }

  /** The topic's id as 32 hexadecimal digits. */
  async id(topic: string): Promise<string> {
    const metadata = await this.#admin.metadata({ topics: [topic] });
    return metadata.topics.get(topic)!.id.replaceAll('-', '').toLowerCase();
  }

  async close(): Promise<void> {
    await this.#admin.close();
  }
}
