import { type Codecs, decodeChunk } from './chunk-decoder.ts';
import { type Cursor, moveCursor } from './cursor.ts';
import type { Chunk } from './fetcher.ts';
import type { Inbox } from './inbox.ts';
import type { ReadBatch, ReadRecord } from './read-record.ts';

/** A batch that is given out, and where it comes from. */
export interface Delivery<K, V> {
  readonly batch: ReadBatch<K, V>;
  readonly chunk: Chunk;
}

export interface DeliveryHooks {
  /** Called before each batch; true ends the giving out, what it throws does so too. */
  isOver: () => boolean;
  /** A record or batch of this cursor goes out; its position is still where that begins. */
  onGiven?: (cursor: Cursor) => void;
  /** The next one was asked for. */
  onAsked?: () => void;
  /** The caller has left. */
  onLeft: () => Promise<void>;
}

/**
 * What an inbox is given, batch by batch, up to its end. `byRecord`: whoever takes the batch moves its cursor's position. What was
 * fetched before its cursor moved is dropped; what belongs to a paused one is too, and is fetched again later.
 */
async function* deliveries<K, V>(
  inbox: Inbox<Chunk>,
  codecs: Codecs<K, V>,
  { isOver, onGiven }: DeliveryHooks,
  byRecord: boolean,
): AsyncGenerator<Delivery<K, V>, void, undefined> {
  for (let taken = await inbox.take(); taken !== null; taken = await inbox.take()) {
    const { item: chunk } = taken;
    for await (const { batch, nextOffset } of isCurrent(chunk) ? decodeChunk(chunk, codecs) : []) {
      if (isOver()) return;
      if (!isCurrent(chunk)) break;
      if (batch !== null) {
        if (!byRecord) {
          onGiven?.(chunk.cursor);
          chunk.cursor.positionNext = nextOffset;
        }
        yield { batch, chunk };
        // Ended in the middle of the batch: what is left of it was not given out.
        if (isOver()) return;
        if (!isCurrent(chunk)) break;
      }
      chunk.cursor.positionNext = nextOffset;
    }
    taken.done();
  }
}

function isCurrent({ cursor, round }: Chunk): boolean {
  if (cursor.round === round && cursor.paused) moveCursor(cursor, cursor.positionNext);
  return cursor.round === round;
}

export async function* batchesOf<K, V>(
  inbox: Inbox<Chunk>,
  codecs: Codecs<K, V>,
  hooks: DeliveryHooks,
): AsyncGenerator<ReadBatch<K, V>, void, undefined> {
  try {
    for await (const { batch } of deliveries(inbox, codecs, hooks, false)) {
      yield batch;
      hooks.onAsked?.();
    }
  } finally {
    await hooks.onLeft();
  }
}

/** Record by record; callers may ask for several at once. */
export function recordsOf<K, V>(
  inbox: Inbox<Chunk>,
  codecs: Codecs<K, V>,
  hooks: DeliveryHooks,
): AsyncIterator<ReadRecord<K, V>, void, undefined> {
  const source = deliveries(inbox, codecs, hooks, true);
  let delivery: Delivery<K, V> | null = null;
  let index = 0;
  let pulling: Promise<void> | null = null;
  let ended = false;
  const pull = async (): Promise<void> => {
    const result = await source.next();
    delivery = result.done ? null : result.value;
    index = 0;
    ended = result.done === true;
  };
  const take = (): ReadRecord<K, V> | null => {
    if (delivery === null || hooks.isOver() || !isCurrent(delivery.chunk)) return null;
    const record = delivery.batch.records[index];
    if (record === undefined) return null;
    index++;
    const { cursor } = delivery.chunk;
    hooks.onGiven?.(cursor);
    cursor.positionNext = record.offset + 1;
    return record;
  };
  const end: IteratorReturnResult<void> = { value: undefined, done: true };
  const takeOrPull = async (): Promise<IteratorResult<ReadRecord<K, V>, void>> => {
    try {
      for (;;) {
        const record = take();
        if (record !== null) return { value: record, done: false };
        if (ended) break;
        pulling ??= pull().finally(() => {
          pulling = null;
        });
        await pulling;
      }
    } catch (error) {
      ended = true;
      await hooks.onLeft();
      throw error;
    }
    await hooks.onLeft();
    return end;
  };
  return {
    next: () => {
      hooks.onAsked?.();
      // The way of most records, which should cost little.
      const records = delivery?.batch.records;
      if (records === undefined || index >= records.length) return takeOrPull();
      try {
        const record = take();
        return record === null ? takeOrPull() : Promise.resolve({ value: record, done: false });
      } catch {
        // Thrown again there, which also leaves.
        return takeOrPull();
      }
    },
    return: async () => {
      // First, so that a call of next that waits for records ends too.
      await hooks.onLeft();
      await source.return();
      return end;
    },
  };
}
