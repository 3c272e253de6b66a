import { setTimeout as sleep } from 'node:timers/promises';
import { type Admin, Kafka, KafkaJSError, logLevel } from 'kafkajs';

/** Topics as the tests need them, through kafkajs' admin client. */
export class Topics {
  readonly #admin: Admin;

  private constructor(admin: Admin) {
    this.#admin = admin;
  }

  static async connect(bootstrap: string): Promise<Topics> {
    const kafka = new Kafka({ brokers: [bootstrap], logLevel: logLevel.NOTHING, retry: { retries: 20 } });
    const admin = kafka.admin();
    await admin.connect();
    return new Topics(admin);
  }

  async create(topic: string, numPartitions: number): Promise<void> {
    await this.#admin.createTopics({ topics: [{ topic, numPartitions }], waitForLeaders: false });
    // kafkajs' own wait gives up when Apache Kafka has not heard of the topic yet, a moment after it was made.
    const deadlineMs = performance.now() + 30_000;
    while (!(await this.#has(topic, numPartitions))) {
      if (performance.now() > deadlineMs) throw new Error(`the topic ${topic} did not appear`);
      await sleep(20);
    }
  }

  async #has(topic: string, partitions: number): Promise<boolean> {
    try {
      return (await this.endsNext(topic)).length === partitions;
    } catch (error) {
      if (error instanceof KafkaJSError) return false;
      throw error;
    }
  }

  async delete(topic: string): Promise<void> {
    await this.#admin.deleteTopics({ topics: [topic] });
  }

  /** The offset after the last record of each partition. */
  async endsNext(topic: string): Promise<number[]> {
    const offsets = await this.#admin.fetchTopicOffsets(topic);
    return offsets.sort((a, b) => a.partition - b.partition).map(({ high }) => Number(high));
  }

  async close(): Promise<void> {
    await this.#admin.disconnect();
  }
}
