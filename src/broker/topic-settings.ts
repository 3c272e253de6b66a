import { Fault } from '../base/faults.ts';
import type { CompactionSettings } from '../log/compaction-plan.ts';
import type { LogSettings } from '../log/log-settings.ts';

/** How a setting's value is written and checked. */
export type SettingType = 'boolean' | 'int' | 'long' | 'double' | 'list' | 'string';

export interface SettingSpec {
  readonly type: SettingType;
  readonly default: string;
  /** Inclusive bounds of numbers. */
  readonly min?: number;
  readonly max?: number;
  /** The words that may be used: one of them, or for a list any number. */
  readonly oneOf?: readonly string[];
  /** The broker's setting from which topics take their default, where Kafka has one. */
  readonly brokerName?: string;
  readonly says: string;
}

const INT_MAX = 2147483647;
const LONG_MAX = 9223372036854775807n;
/** With leading zeros. What a long number takes to be read grows as the square of its digits. */
const WHOLE_NUMBER = /^[+-]?\d{1,100}$/;

/**
 * Every topic setting, by Kafka's name. Defaults are Kafka's but for flush.messages: here a record counts as stored only
 * when it is synced. A setting about replicas or tiers is checked and kept for the sake of tools; one broker has neither.
 */
export const topicSettingSpecs = {
  'cleanup.policy': {
    type: 'list',
    default: 'delete',
    oneOf: ['delete', 'compact'],
    brokerName: 'log.cleanup.policy',
    says: 'What happens to old segments: delete by age or size, compact by key, both, or, if empty, nothing.',
  },
  'compression.type': {
    type: 'string',
    default: 'producer',
    oneOf: ['producer', 'uncompressed', 'gzip', 'snappy', 'lz4', 'zstd'],
    brokerName: 'compression.type',
    says: 'Kept for tools. Batches are always stored as their producer compressed them.',
  },
  'delete.retention.ms': {
    type: 'long',
    default: '86400000',
    min: 0,
    brokerName: 'log.cleaner.delete.retention.ms',
    says: 'How long a compacted topic keeps a tombstone once it was compacted.',
  },
  'file.delete.delay.ms': {
    type: 'long',
    default: '60000',
    min: 0,
    brokerName: 'log.segment.delete.delay.ms',
    says: 'Kept for tools. Files go as soon as nobody reads them.',
  },
  'flush.messages': {
    type: 'long',
    default: '1',
    min: 1,
    brokerName: 'log.flush.interval.messages',
    says: 'Records written before a sync. 1: records are visible, and acknowledged with acks=all, only when synced.',
  },
  'flush.ms': {
    type: 'long',
    default: String(LONG_MAX),
    min: 0,
    brokerName: 'log.flush.interval.ms',
    says: 'How long written records may wait for a sync.',
  },
  'index.interval.bytes': {
    type: 'int',
    default: '4096',
    min: 0,
    brokerName: 'log.index.interval.bytes',
    says: 'Bytes of the log between two entries of its index.',
  },
  'max.compaction.lag.ms': {
    type: 'long',
    default: String(LONG_MAX),
    min: 1,
    brokerName: 'log.cleaner.max.compaction.lag.ms',
    says: 'How long a record of a compacted topic may stay uncompacted; the active segment is ended as soon.',
  },
  'max.message.bytes': {
    type: 'int',
    default: '1048588',
    min: 0,
    brokerName: 'message.max.bytes',
    says: 'The largest record batch, as it is sent.',
  },
  'message.timestamp.after.max.ms': {
    type: 'long',
    default: '3600000',
    min: 0,
    brokerName: 'log.message.timestamp.after.max.ms',
    says: 'How far ahead of the broker a record timestamp may be.',
  },
  'message.timestamp.before.max.ms': {
    type: 'long',
    default: String(LONG_MAX),
    min: 0,
    brokerName: 'log.message.timestamp.before.max.ms',
    says: 'How far behind the broker a record timestamp may be.',
  },
  'message.timestamp.type': {
    type: 'string',
    default: 'CreateTime',
    oneOf: ['CreateTime', 'LogAppendTime'],
    brokerName: 'log.message.timestamp.type',
    says: 'Whose time a record carries: its producer or the broker.',
  },
  'millrace.rot': {
    type: 'string',
    default: 'stop',
    oneOf: ['stop', 'skip'],
    says: 'At damaged records readers stop, until they are told to go on after them, or skip them.',
  },
  'min.cleanable.dirty.ratio': {
    type: 'double',
    default: '0.5',
    min: 0,
    max: 1,
    brokerName: 'log.cleaner.min.cleanable.ratio',
    says: 'The uncompacted share of a log at which it is compacted.',
  },
  'min.compaction.lag.ms': {
    type: 'long',
    default: '0',
    min: 0,
    brokerName: 'log.cleaner.min.compaction.lag.ms',
    says: 'How long a record stays uncompacted at least.',
  },
  'min.insync.replicas': {
    type: 'int',
    default: '1',
    min: 1,
    brokerName: 'min.insync.replicas',
    says: 'Kept for tools. One broker has one replica.',
  },
  preallocate: { type: 'boolean', default: 'false', brokerName: 'log.preallocate', says: 'Kept for tools.' },
  'retention.bytes': {
    type: 'long',
    default: '-1',
    min: -1,
    brokerName: 'log.retention.bytes',
    says: 'The size of a partition above which its oldest segments go; -1 for none.',
  },
  'retention.ms': {
    type: 'long',
    default: '604800000',
    min: -1,
    brokerName: 'log.retention.ms',
    says: 'The age above which segments go; -1 for none.',
  },
  'segment.bytes': {
    type: 'int',
    default: '1073741824',
    min: 16384,
    brokerName: 'log.segment.bytes',
    says: 'The size at which a segment is ended and the next begun.',
  },
  'segment.index.bytes': {
    type: 'int',
    default: '10485760',
    min: 4,
    brokerName: 'log.index.size.max.bytes',
    says: 'How large an index may become where compaction makes one segment of several. Else indexes grow as needed.',
  },
  'segment.jitter.ms': {
    type: 'long',
    default: '0',
    min: 0,
    brokerName: 'log.roll.jitter.ms',
    says: 'Kept for tools.',
  },
  'segment.ms': {
    type: 'long',
    default: '604800000',
    min: 1,
    brokerName: 'log.roll.ms',
    says: 'The age of its first record at which a segment is ended.',
  },
  'unclean.leader.election.enable': {
    type: 'boolean',
    default: 'false',
    brokerName: 'unclean.leader.election.enable',
    says: 'Kept for tools. One broker has no election.',
  },
} as const satisfies Record<string, SettingSpec>;

export type TopicSettingName = keyof typeof topicSettingSpecs;

/** What of a topic's settings the produce path needs, and its logs. */
export interface TopicSettings {
  readonly log: LogSettings;
  readonly messageBytesMax: number;
  readonly logAppendTime: boolean;
  readonly timestampBeforeMaxMs: number;
  readonly timestampAfterMaxMs: number;
  /** cleanup.policy: how old segments are compacted, null for not at all, and whether they are deleted. */
  readonly compaction: CompactionSettings | null;
  readonly deletes: boolean;
  /** retention.ms and retention.bytes; -1 for none. */
  readonly retentionMs: number;
  readonly retentionBytes: number;
}

export function isTopicSetting(name: string): name is TopicSettingName {
  return Object.hasOwn(topicSettingSpecs, name);
}

/** @throws Fault invalidConfig when there is no such setting or it cannot have this value */
export function checkTopicSetting(name: string, value: string | null): void {
  if (!isTopicSetting(name)) throw new Fault('invalidConfig', { detail: `unknown topic setting ${name}` });
  checkSetting(name, topicSettingSpecs[name], value);
}

/** @throws Fault invalidConfig */
export function checkSetting(name: string, spec: SettingSpec, value: string | null): void {
  const wrong = (wanted: string) => new Fault('invalidConfig', { detail: `${name} must be ${wanted}, not ${value}` });
  if (value === null) throw wrong('given a value');
  switch (spec.type) {
    case 'boolean':
      if (!/^(true|false)$/i.test(value)) throw wrong('true or false');
      return;
    case 'int':
    case 'long':
    case 'double': {
      const number = Number(value);
      const whole = spec.type === 'double' || WHOLE_NUMBER.test(value.trim());
      const min = spec.min ?? (spec.type === 'int' ? -INT_MAX - 1 : -Infinity);
      const max = spec.max ?? (spec.type === 'int' ? INT_MAX : Infinity);
      const tooLong = spec.type === 'long' && whole && BigInt(value.trim().replace('+', '')) > LONG_MAX;
      if (value.trim() === '' || !whole || tooLong || !(number >= min && number <= max)) {
        throw wrong(
          `a ${spec.type === 'double' ? '' : 'whole '}number from ${min}${spec.type === 'long' ? '' : ` to ${max}`}`,
        );
      }
      return;
    }
    default: {
      const { oneOf } = spec;
      if (oneOf === undefined) return;
      const words = spec.type === 'list' ? listWords(value) : [value];
      if (!words.every((word) => oneOf.includes(word))) throw wrong(oneOf.join(' or '));
    }
  }
}

export function listWords(value: string): string[] {
  return value
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '');
}

/** A topic's own settings over the broker's defaults, as numbers. Long.MAX becomes 2^53 - 1, which is as good as never. */
export function resolveTopicSettings(read: (name: TopicSettingName) => string): TopicSettings {
  const number = (name: TopicSettingName) => Math.min(Number(read(name)), Number.MAX_SAFE_INTEGER);
  const policy = listWords(read('cleanup.policy'));
  const compacts = policy.includes('compact');
  const lagMaxMs = number('max.compaction.lag.ms');
  return {
    log: {
      segmentBytes: number('segment.bytes'),
      // As in Kafka: the active segment is not compacted, so it must not stay that for longer.
      segmentMs: compacts ? Math.min(number('segment.ms'), lagMaxMs) : number('segment.ms'),
      indexIntervalBytes: number('index.interval.bytes'),
      flushMessages: number('flush.messages'),
      flushMs: number('flush.ms'),
      rot: read('millrace.rot') === 'skip' ? 'skip' : 'stop',
    },
    messageBytesMax: number('max.message.bytes'),
    logAppendTime: read('message.timestamp.type') === 'LogAppendTime',
    timestampBeforeMaxMs: number('message.timestamp.before.max.ms'),
    timestampAfterMaxMs: number('message.timestamp.after.max.ms'),
    compaction: compacts
      ? {
          dirtyRatioMin: number('min.cleanable.dirty.ratio'),
          lagMinMs: number('min.compaction.lag.ms'),
          lagMaxMs,
          deleteRetentionMs: number('delete.retention.ms'),
          segmentBytes: number('segment.bytes'),
          indexBytes: number('segment.index.bytes'),
        }
      : null,
    deletes: policy.includes('delete'),
    retentionMs: number('retention.ms'),
    retentionBytes: number('retention.bytes'),
  };
}
