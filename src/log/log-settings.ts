/** What a partition's log needs to know of its topic's settings; each named after Kafka's. May change while it runs. */
export interface LogSettings {
  /** segment.bytes: a segment is rolled before it would grow past this. */
  segmentBytes: number;
  /** segment.ms: and when its first record is older than this. */
  segmentMs: number;
  /** index.interval.bytes: bytes of the log between two index entries. */
  indexIntervalBytes: number;
  /** flush.messages: records written and not yet synced that start a sync. 1: a record is visible only when synced. */
  flushMessages: number;
  /** flush.ms: how long a written record may stay unsynced. */
  flushMs: number;
  /** millrace.rot: whether readers stop at damaged records or are led past them. */
  rot: 'stop' | 'skip';
  /** Whether the log is refused when it lacks what was durable: state would be made of what is left. Default: no. */
  mustBeWhole?: boolean;
}
