import { Fault } from '../base/faults.ts';
import type { GroupHooks, GroupOffset, GroupStart } from './consumer-options.ts';
import { type Cursor, cursorAt, moveCursor } from './cursor.ts';
import type { Fetcher } from './fetcher.ts';
import type { GroupLink } from './group-link.ts';
import type { PartitionOwner } from './group-member.ts';
import { byTopic, fetchOffsets, inOrder, type NewOffset, type PartitionOfTopic } from './group-offsets.ts';
import { type Isolation, listOffsets } from './list-offsets.ts';
import { within } from './timing.ts';

export interface OwnershipParts {
  link: GroupLink;
  fetcher: Fetcher;
  hooks: GroupHooks;
  from: GroupStart;
  isolation: Isolation;
  unknownTopicMs: number;
  autoCommit: boolean;
  /** Partitions were taken over, be it none. */
  onSettled: () => void;
  /** Commits what was handled of these cursors. */
  commitHandled: (cursors: readonly Cursor[], timeoutMs: number) => Promise<void>;
}

/** The first version whose offsets can wait for open transactions. */
const STABLE_VERSION = 7;
/** No position is known yet: the partition is still being taken over. */
const UNKNOWN_POSITION = -1;

/**
 * The partitions that a member owns, from when it takes them over to when it gives them up, with the hooks. A partition that is
 * given up waits for the record in hand; one that was lost does not, and whatever was going on with it ends.
 */
export class Ownership implements PartitionOwner {
  readonly #parts: OwnershipParts;
  readonly #cursors = new Map<string, Cursor>();
  /** As last committed since the last seek: nothing is committed twice, and by itself nothing is below what was committed by a call. */
  readonly committedNext = new WeakMap<Cursor, number>();
  /** Given out and not handled yet, with the position before it. */
  readonly #inHand = new Map<Cursor, number>();
  #waitingForHand: (() => void)[] = [];
  #abandoned = false;

  constructor(parts: OwnershipParts) {
    this.#parts = parts;
  }

  get owned(): PartitionOfTopic[] {
    return inOrder([...this.#cursors.values()].map(({ topic, partition }) => ({ topic, partition })));
  }

  get cursors(): Iterable<Cursor> {
    return this.#cursors.values();
  }

  /** Undefined for a partition that is not owned. */
  find(partition: PartitionOfTopic): Cursor | undefined {
    return this.#cursors.get(keyOf(partition));
  }

  /** @throws Fault notAssigned. */
  cursor(partition: PartitionOfTopic): Cursor {
    const cursor = this.find(partition);
    if (cursor !== undefined) return cursor;
    throw new Fault('notAssigned', { detail: `topic ${partition.topic}, partition ${partition.partition}` });
  }

  // What is in hand

  /** A record or batch goes out; the position is still before it. */
  given(cursor: Cursor): void {
    if (!this.#inHand.has(cursor)) this.#inHand.set(cursor, cursor.positionNext);
  }

  /** The next was asked for: what was in hand is handled. */
  handled(): void {
    this.#inHand.clear();
    for (const resolve of this.#waitingForHand.splice(0)) resolve();
  }

  /** No more is asked for: what is in hand stays unhandled. */
  abandon(): void {
    this.#abandoned = true;
    for (const resolve of this.#waitingForHand.splice(0)) resolve();
  }

  /** Up to where all is handled; null where nothing was given out or the position is not known. */
  handledNext(cursor: Cursor): number | null {
    const next = this.#inHand.get(cursor) ?? cursor.positionNext;
    return next === UNKNOWN_POSITION ? null : next;
  }

  seek(cursor: Cursor, offset: number): void {
    this.#inHand.delete(cursor);
    this.committedNext.delete(cursor);
    moveCursor(cursor, offset);
  }

  // Taking over and giving up

  async assign(partitions: readonly PartitionOfTopic[]): Promise<void> {
    const { fetcher, link } = this.#parts;
    const added = partitions
      .filter((one) => this.find(one) === undefined)
      .map((one) => cursorAt(one, UNKNOWN_POSITION, Number.POSITIVE_INFINITY));
    for (const cursor of added) this.#cursors.set(keyOf(cursor), cursor);
    const still = (): Cursor[] => added.filter((cursor) => this.find(cursor) === cursor);
    try {
      if (added.length > 0) await this.#takeOver(added, still);
    } catch (error) {
      // Nothing was given out of them: whoever tries again takes them over anew.
      for (const cursor of still()) this.#forget(cursor);
      throw error;
    }
    link.cluster.logger.debug({ group: link.group, partitions: still().length }, 'partitions were assigned');
    fetcher.add(still());
    this.#parts.onSettled();
  }

  async #takeOver(added: readonly Cursor[], still: () => Cursor[]): Promise<void> {
    const kept: GroupOffset[] = [];
    for (const found of await this.committed(added)) {
      const cursor = still().find((one) => keyOf(one) === keyOf(found));
      if (cursor === undefined) continue;
      kept.push(found);
      if (found.offset === null) continue;
      moveCursor(cursor, found.offset);
      this.committedNext.set(cursor, found.offset);
    }
    if (kept.length > 0) await this.#parts.hooks.onAssigned?.(kept);
    for (const [topic, ofTopic] of byTopic(still())) await this.#place(topic, ofTopic);
  }

  /** What the group has committed. @throws Fault. */
  async committed(partitions: readonly PartitionOfTopic[]): Promise<GroupOffset[]> {
    const { link } = this.#parts;
    const { group, cluster } = link;
    const asked = [...byTopic(partitions)].map(([topic, ofTopic]) => ({
      topic,
      partitions: ofTopic.map(({ partition }) => partition),
    }));
    const found = await cluster.retrying(
      `finding the committed offsets of group ${group}`,
      link.callTimeoutMs,
      async () => {
        const connection = await link.connection();
        const requireStable = connection.versionOf('OffsetFetch') >= STABLE_VERSION;
        const offsets =
          (await fetchOffsets(connection, [group], { partitions: asked, requireStable })).get(group) ?? [];
        // It passes, also where the coordinator has moved: that is looked for again then.
        if (offsets instanceof Fault) throw link.faultOf(offsets.code) ?? offsets;
        for (const { fault } of offsets) if (fault !== null) throw fault;
        return offsets;
      },
    );
    return found.map(({ topic, partition, offset, metadata }) => ({
      topic,
      partition,
      offset: offset < 0 ? null : offset,
      metadata,
    }));
  }

  /** Finds where partitions of a topic begin that have no position yet. @throws Fault noCommittedOffset and those of finding offsets. */
  async #place(topic: string, cursors: readonly Cursor[]): Promise<void> {
    const { link, from, isolation, unknownTopicMs: unknownMs } = this.#parts;
    const { cluster, callTimeoutMs: timeoutMs } = link;
    const search = { timeoutMs, unknownMs, isolation };
    const open = cursors.filter(({ positionNext }) => positionNext === UNKNOWN_POSITION);
    const targets = new Map(open.map(({ partition }) => [partition, from === 'error' ? 'latest' : from] as const));
    if (open[0] !== undefined && from === 'error') {
      const detail = `group ${link.group}, topic ${topic}, partition ${open[0].partition}`;
      throw new Fault('noCommittedOffset', { detail });
    }
    try {
      const found = await cluster.retrying(`finding where to begin in topic ${topic}`, timeoutMs, async () => {
        await cluster.findTopic(topic, { timeoutMs, unknownMs, autoCreate: false });
        return targets.size === 0 ? new Map() : listOffsets(cluster, topic, targets, search).catch(mayBeNew);
      });
      for (const cursor of open) {
        if (cursor.positionNext === UNKNOWN_POSITION) moveCursor(cursor, found.get(cursor.partition)?.offset ?? 0);
      }
    } catch (error) {
      if (!(error instanceof Fault) || error.fault !== 'unknownTopic') throw error;
      // The group gives it to nobody once it has noticed.
      cluster.logger.warn({ group: link.group, topic }, 'the topic of assigned partitions does not exist any more');
      const gone = cursors.filter((cursor) => this.find(cursor) === cursor);
      for (const cursor of gone) this.#forget(cursor);
      // They were told of as assigned.
      if (gone.length > 0)
        await this.#parts.hooks.onLost?.(inOrder(gone.map(({ topic, partition }) => ({ topic, partition }))));
    }
  }

  async revoke(partitions: readonly PartitionOfTopic[], timeoutMs: number): Promise<void> {
    const { hooks, fetcher, link, autoCommit, commitHandled } = this.#parts;
    const { clock, logger } = link.cluster;
    const deadlineMs = clock.monotonicMs() + timeoutMs;
    const cursors = partitions.flatMap((one) => this.find(one) ?? []);
    if (cursors.length === 0) return;
    fetcher.remove(cursors);
    // Nothing more of them is given out; the position stays, to be committed.
    for (const cursor of cursors) cursor.round++;
    const still = (): Cursor[] => cursors.filter((cursor) => this.find(cursor) === cursor);
    const giveUp = async (): Promise<void> => {
      // With neither, what is in hand cannot be committed by anyone but the loop itself.
      if (autoCommit || hooks.onRevoked === undefined) await this.#untilHandled(cursors);
      if (autoCommit) await commitHandled(still(), deadlineMs - clock.monotonicMs());
      const revoked = inOrder(still().map(({ topic, partition }) => ({ topic, partition })));
      if (revoked.length > 0) await hooks.onRevoked?.(revoked);
    };
    const late = new Fault('requestTimedOut', { detail: `giving partitions up within ${timeoutMs} ms` });
    try {
      await within(clock, timeoutMs, giveUp(), () => late);
    } catch (error) {
      if (error !== late) throw error;
      logger.warn(
        { group: link.group, partitions: cursors.length },
        'partitions are given up before they were done with',
      );
    } finally {
      for (const cursor of still()) this.#forget(cursor);
    }
  }

  async lose(why: Fault): Promise<void> {
    const { hooks, fetcher, link } = this.#parts;
    const cursors = [...this.#cursors.values()];
    if (cursors.length === 0) return;
    link.cluster.logger.warn({ group: link.group, err: why, partitions: cursors.length }, 'partitions were lost');
    const lost = this.owned;
    fetcher.remove(cursors);
    for (const cursor of cursors) this.#forget(cursor);
    await hooks.onLost?.(lost);
  }

  #forget(cursor: Cursor): void {
    cursor.round++;
    this.#cursors.delete(keyOf(cursor));
    this.#inHand.delete(cursor);
    for (const resolve of this.#waitingForHand.splice(0)) resolve();
  }

  async #untilHandled(cursors: readonly Cursor[]): Promise<void> {
    while (!this.#abandoned && cursors.some((cursor) => this.#inHand.has(cursor))) {
      await new Promise<void>((resolve) => this.#waitingForHand.push(resolve));
    }
  }

  /** What was given out, with the record in hand; or, without it, what was handled. */
  offsets(cursors: Iterable<Cursor>, withInHand: boolean): NewOffset[] {
    return [...cursors].flatMap((cursor) => {
      const next = withInHand ? cursor.positionNext : this.handledNext(cursor);
      const { topic, partition } = cursor;
      return next === null || next === UNKNOWN_POSITION ? [] : [{ topic, partition, offset: next }];
    });
  }
}

/** The group knows of new partitions before every broker does. */
function mayBeNew(error: unknown): never {
  if (!(error instanceof Fault) || error.fault !== 'invalidArgument') throw error;
  throw new Fault('unknownPartition', { detail: error.message, cause: error });
}

function keyOf({ topic, partition }: PartitionOfTopic): string {
  return `${topic}:${partition}`;
}
