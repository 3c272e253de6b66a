/** How far one partition was read. */
export interface Cursor {
  readonly partition: number;
  /** The offset of the record to be given out next. */
  positionNext: number;
  /** The offset to be fetched next. */
  fetchNext: number;
  /** Where reading stops, exclusive; infinite when it does not. */
  readonly endNext: number;
  /** Where the readable records ended by the last answer, exclusive; null before the first. */
  availableNext: number | null;
  /** When, by the monotonic clock, fetching began to fail; null while it does not. */
  failingSinceMs: number | null;
  failures: number;
  /** Before which, by the monotonic clock, it is not fetched again. */
  retryAtMs: number;
}

export function cursorAt(partition: number, startNext: number, endNext: number): Cursor {
  return {
    partition,
    positionNext: startNext,
    fetchNext: startNext,
    endNext,
    availableNext: null,
    failingSinceMs: null,
    failures: 0,
    retryAtMs: 0,
  };
}

/** Whether all there was to fetch was fetched. */
export function isFetched(cursor: Cursor): boolean {
  return cursor.fetchNext >= cursor.endNext;
}
