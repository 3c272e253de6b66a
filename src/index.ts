export { type CancelTimer, type Clock, systemClock } from './base/clock.ts';
export { Fault, type FaultName } from './base/faults.ts';
export { InvariantError } from './base/invariant.ts';
export type { KafkaErrorName } from './base/kafka-errors.ts';
export type { Logger } from './base/logger.ts';
export { type Random, systemRandom, type Uuid } from './base/random.ts';
export type { Admin, ClusterDescription, NewTopic, OffsetsOptions, TopicSummary } from './client/admin.ts';
export type { TopicPartitions } from './client/assignment-bytes.ts';
export type { Backoff } from './client/backoff.ts';
export { bytes, type Codec, json, messagePack, text } from './client/codecs.ts';
export type { Consumer } from './client/consumer.ts';
export type {
  AssignorName,
  ConsumerOptions,
  GroupHooks,
  GroupOffset,
  GroupProtocol,
  GroupStart,
} from './client/consumer-options.ts';
export type { GroupAdmin, ListGroupsOptions, MemberName, RemovedMember } from './client/group-admin.ts';
export type {
  GroupDescription,
  GroupMember,
  GroupState,
  GroupSummary,
  GroupType,
} from './client/group-description.ts';
export type { GroupLagOptions, PartitionLag } from './client/group-lag.ts';
export type {
  CommittedOffset,
  FetchOffsetsOptions,
  NewOffset,
  PartitionOfTopic,
  PartitionOutcome,
} from './client/group-offsets.ts';
export type { FoundOffset, Isolation, OffsetTarget } from './client/list-offsets.ts';
export type { LogDir } from './client/log-dirs.ts';
export type { BrokerMetadata, PartitionMetadata, TopicMetadata } from './client/metadata.ts';
export type { ClientOptions } from './client/millrace.ts';
export type { Partitioner, PartitionerName, PartitionInput } from './client/partitioner.ts';
export type { Producer } from './client/producer.ts';
export type { ProducerOptions } from './client/producer-options.ts';
export type { HeadersInput, HeaderValue, ProducerRecord, RecordResult } from './client/producer-record.ts';
export type { ReadBatch, ReadRecord } from './client/read-record.ts';
export type { Reader } from './client/reader.ts';
export type { ReaderOptions, ReadFrom, ReadTo } from './client/reader-options.ts';
export type { ReplayCheckpoint } from './client/replay/checkpoint.ts';
export type {
  PlannedPartition,
  ReplayedPartition,
  ReplayFilter,
  ReplayFrom,
  ReplayHandler,
  ReplayOptions,
  ReplayPartition,
  ReplayPlan,
  ReplayProgress,
  ReplayResult,
  ReplayTo,
  ReplayTopic,
} from './client/replay/replay-options.ts';
export type { DamagedPlace, PlaceOfOffset, SegmentDescription, SegmentsOfPartition } from './client/segments.ts';
export type { Setting, SettingChanges, SettingsOwner } from './client/settings.ts';
export type { Address } from './client/transport.ts';
export type { WorkerHooks } from './client/worker/hooks.ts';
export { DoNotRetry, RetryAfter, type RetryOptions } from './client/worker/retry-policy.ts';
export { type TraceContext, traceHeaders } from './client/worker/trace-context.ts';
export type { WorkOrder } from './client/worker/work.ts';
export type { Worker } from './client/worker/worker.ts';
export type { Handler, WorkContext, WorkerOptions } from './client/worker/worker-options.ts';
export type { WorkerStats } from './client/worker/worker-stats.ts';
export { type BrokerSetup, type RunningServer, type ServerSetup, startServer } from './compose.ts';
export { Millrace, type OpenOptions } from './millrace.ts';
export type { Compression } from './record/compression.ts';
export { checkpointFile } from './replay-checkpoint-file.ts';
export type { ListenAddress } from './server/server.ts';
