import type { PartitionOfTopic } from './group-offsets.ts';

/** How far one partition was read. */
export interface Cursor extends PartitionOfTopic {
  /** The offset of the record to be given out next. */
  positionNext: number;
  /** The offset to be fetched next. */
  fetchNext: number;
  /** Where reading stops, exclusive; infinite when it does not. */
  readonly endNext: number;
  /** Where the readable records ended by the last answer, exclusive; null before the first. */
  availableNext: number | null;
  /** Raised when reading goes on from elsewhere, or ends: what was fetched in an earlier round is dropped. */
  round: number;
  /** Nothing is fetched or given out meanwhile. */
  paused: boolean;
  /** When, by the monotonic clock, fetching began to fail; null while it does not. */
  failingSinceMs: number | null;
  failures: number;
  /** Before which, by the monotonic clock, it is not fetched again. */
  retryAtMs: number;
}

export function cursorAt({ topic, partition }: PartitionOfTopic, startNext: number, endNext: number): Cursor {
  return {
    topic,
    partition,
    positionNext: startNext,
    fetchNext: startNext,
    endNext,
    availableNext: null,
    round: 0,
    paused: false,
    failingSinceMs: null,
    failures: 0,
    retryAtMs: 0,
  };
}

/** Goes on from an offset, and drops what was fetched before. */
export function moveCursor(cursor: Cursor, toNext: number): void {
  cursor.positionNext = toNext;
  cursor.fetchNext = toNext;
  cursor.round++;
}

/** Whether all there was to fetch was fetched. */
export function isFetched(cursor: Cursor): boolean {
  return cursor.fetchNext >= cursor.endNext;
}
