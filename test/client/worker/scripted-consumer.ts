import { text } from '../../../src/client/codecs.ts';
import type { Consumer } from '../../../src/client/consumer.ts';
import type { ConsumerOptions, GroupOffset } from '../../../src/client/consumer-options.ts';
import type { NewOffset, PartitionOfTopic, PartitionOutcome } from '../../../src/client/group-offsets.ts';
import { type ReadBatch, ReadRecord } from '../../../src/client/read-record.ts';

export interface ScriptedRecord {
  offset: number;
  key?: string | null;
  value?: string | null;
  headers?: Record<string, string>;
  timestampMs?: number;
}

/** A group of which a test decides what happens when: what it commits and pauses is written down. */
export class ScriptedConsumer {
  readonly options: ConsumerOptions<string, string>;
  readonly commits: NewOffset[] = [];
  readonly paused = new Set<string>();
  closed = false;
  #batches: ReadBatch<string, string>[] = [];
  #wake: () => void = () => {};

  constructor(options: ConsumerOptions<string, string>) {
    this.options = options;
  }

  /** As the worker sees it. */
  asConsumer(): Consumer<string, string> {
    // Only what the worker calls.
    return this as unknown as Consumer<string, string>;
  }

  async start(): Promise<void> {}

  async assign(...partitions: GroupOffset[]): Promise<void> {
    await this.options.onAssigned?.(partitions);
  }

  async revoke(...partitions: PartitionOfTopic[]): Promise<void> {
    await this.options.onRevoked?.(partitions);
  }

  async lose(...partitions: PartitionOfTopic[]): Promise<void> {
    await this.options.onLost?.(partitions);
  }

  give(topic: string, partition: number, records: readonly ScriptedRecord[]): void {
    const source = { topic, partition, key: text, value: text };
    const made = records.map(
      ({ offset, key = null, value = `${offset}`, headers = {}, timestampMs = 1000 + offset }) => {
        const bytesOf = (given: string | null): Buffer | null => (given === null ? null : Buffer.from(given));
        const list = Object.entries(headers).map(([name, content]) => ({ key: name, value: Buffer.from(content) }));
        return new ReadRecord({ offset, timestampMs, key: bytesOf(key), value: bytesOf(value), headers: list }, source);
      },
    );
    this.#batches.push({ topic, partition, records: made, highWatermark: 1e6 });
    this.#wake();
  }

  /** What was not given out yet is not the worker's any more. */
  drop(): void {
    this.#batches = [];
  }

  async *batches(): AsyncGenerator<ReadBatch<string, string>, void, undefined> {
    while (!this.closed) {
      const batch = this.#batches.shift();
      if (batch !== undefined) yield batch;
      else
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
    }
  }

  async commitEach(offsets: readonly NewOffset[]): Promise<readonly PartitionOutcome[]> {
    this.commits.push(...offsets);
    return offsets.map(({ topic, partition }) => ({ topic, partition, fault: null }));
  }

  pause(partitions: readonly PartitionOfTopic[]): void {
    for (const { topic, partition } of partitions) this.paused.add(`${topic}:${partition}`);
  }

  resume(partitions: readonly PartitionOfTopic[]): void {
    for (const { topic, partition } of partitions) this.paused.delete(`${topic}:${partition}`);
  }

  async close(): Promise<void> {
    this.closed = true;
    this.#wake();
  }
}
