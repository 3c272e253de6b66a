import type { Cluster } from './cluster.ts';
import { type Cursor, cursorAt } from './cursor.ts';
import { type FoundOffset, listOffsets, type OffsetTarget, topicWith } from './list-offsets.ts';
import type { FetchSettings, ReadFrom, ReadTo } from './reader-options.ts';
import { checkedOffset } from './whole-numbers.ts';

/** Finds each partition's first offset and, where there is one, its last. @throws Fault unknownTopic, invalidArgument and others. */
export async function startCursors(
  cluster: Cluster,
  settings: FetchSettings,
  callTimeoutMs: number,
): Promise<Cursor[]> {
  const { topic: name, unknownTopicMs: unknownMs } = settings;
  const search = { timeoutMs: Math.max(callTimeoutMs, unknownMs), unknownMs, autoCreate: false };
  const topic = await topicWith(cluster, name, settings.partitions ?? [], search);
  const partitions = settings.partitions ?? topic.partitions.map((one) => one.partition);

  // The end is asked for first: records that come in between are then either read or past the end, never missed.
  const ends = new Map(partitions.map((partition) => [partition, toOf(settings, partition)]));
  const endOffsets = await resolve(cluster, settings, ends, callTimeoutMs);
  const starts = new Map(partitions.map((partition) => [partition, fromOf(settings, partition)]));
  const startOffsets = await resolve(cluster, settings, starts, callTimeoutMs);
  return partitions.map((partition) =>
    cursorAt(
      { topic: name, partition },
      startOffsets.get(partition) ?? 0,
      endOffsets.get(partition) ?? Number.POSITIVE_INFINITY,
    ),
  );
}

type Place = OffsetTarget | { readonly offset: number } | null;

function fromOf({ from }: FetchSettings, partition: number): Place {
  return from instanceof Map ? (from.get(partition) ?? 'earliest') : (from as ReadFrom);
}

function toOf({ to }: FetchSettings, partition: number): Place {
  const place = to instanceof Map ? to.get(partition) : (to as ReadTo | undefined);
  return place === 'end' ? 'latest' : (place ?? null);
}

async function resolve(
  cluster: Cluster,
  { topic, isolation, unknownTopicMs }: FetchSettings,
  places: ReadonlyMap<number, Place>,
  timeoutMs: number,
): Promise<Map<number, number>> {
  const offsets = new Map<number, number>();
  const targets = new Map<number, OffsetTarget>();
  for (const [partition, place] of places) {
    if (place === null) continue;
    if (typeof place === 'object' && 'offset' in place) offsets.set(partition, checkedOffset(place.offset));
    else targets.set(partition, place);
  }
  const search = { timeoutMs, unknownMs: unknownTopicMs, isolation };
  const ask = (asked: ReadonlyMap<number, OffsetTarget>): Promise<Map<number, FoundOffset>> =>
    asked.size === 0 ? Promise.resolve(new Map()) : listOffsets(cluster, topic, asked, search);
  const found = await ask(targets);
  // No record is of that time or later: the place is the end.
  const beyond = [...found].filter(([, { offset }]) => offset < 0);
  const latest = await ask(new Map(beyond.map(([partition]) => [partition, 'latest'])));
  for (const [partition, { offset }] of [...found, ...latest]) offsets.set(partition, offset);
  return offsets;
}
