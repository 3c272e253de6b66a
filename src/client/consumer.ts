import type { GroupOffset, GroupProtocol } from './consumer-options.ts';
import type { NewOffset, PartitionOfTopic } from './group-offsets.ts';
import type { ReadBatch, ReadRecord } from './read-record.ts';

/**
 * A member of a consumer group: `for await (const record of consumer)`, or `batches()`. A record counts as handled when the next
 * one is asked for, so a crash repeats records, but skips none. Leaving the loop closes the consumer; what was in hand then is not
 * counted as handled, since an exception leaves the loop in the same way: `commit()` first if it was.
 */
export interface Consumer<K = string, V = unknown> extends AsyncDisposable {
  /** Resolves when the group has given this member its first partitions, which may be none; iterating does so too. */
  start(): Promise<void>;
  batches(): AsyncGenerator<ReadBatch<K, V>, void, undefined>;
  [Symbol.asyncIterator](): AsyncIterator<ReadRecord<K, V>, void, undefined>;

  /**
   * Commits, in the order of the calls, what was given out until now, also the record in hand; or the offsets named.
   * @throws Fault notAssigned for partitions that were given up or lost, and what the broker refuses the commit with.
   */
  commit(offsets?: readonly NewOffset[]): Promise<void>;

  /** Gives out no more of these partitions (default: all assigned ones) until `resume`. */
  pause(partitions?: readonly PartitionOfTopic[]): void;
  resume(partitions?: readonly PartitionOfTopic[]): void;
  /** What was fetched ahead is dropped. @throws Fault notAssigned. */
  seek(partition: PartitionOfTopic, offset: number): void;

  /** The offset of the record to be given out next; null until it is known. @throws Fault notAssigned. */
  position(partition: PartitionOfTopic): number | null;
  /** How many offsets there are from the position to the end of the readable records, by the last answer; null before the first. @throws Fault notAssigned. */
  lag(partition: PartitionOfTopic): number | null;
  /** What the group has committed, by the broker. Default: for the assigned partitions. */
  committed(partitions?: readonly PartitionOfTopic[]): Promise<GroupOffset[]>;

  readonly group: string;
  readonly assignment: readonly PartitionOfTopic[];
  /** Null until the group has been asked to be joined. */
  readonly protocol: GroupProtocol | null;
  /** Empty until the group was joined. */
  readonly memberId: string;
  /** The classic group's generation, or the member's epoch; -1 while not a member. */
  readonly generation: number;

  /** Ends loops once the record in hand is handled: they end as if all had been read, and close the consumer. */
  stop(): void;
  /**
   * Gives partitions up with the hooks, commits what was handled, leaves the group (a static member only with `leave`) and ends
   * loops; after `timeoutMs` (default 30,000) it does not wait for the broker or for hooks any more.
   */
  close(options?: { timeoutMs?: number; leave?: boolean }): Promise<void>;
}
