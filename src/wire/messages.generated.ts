// Made from messages.txt by tools/generate-wire-types.ts; do not edit.
import type { Uuid } from '../base/random.ts';

/** Versions are [first, last], both inclusive; flexibleFrom: the first with compact types and tagged fields, null for none. */
export const apis = {
  Produce: { key: 0, versions: [3, 13], flexibleFrom: 9 },
  Fetch: { key: 1, versions: [4, 18], flexibleFrom: 12 },
  ListOffsets: { key: 2, versions: [1, 11], flexibleFrom: 6 },
  Metadata: { key: 3, versions: [0, 13], flexibleFrom: 9 },
  OffsetCommit: { key: 8, versions: [2, 10], flexibleFrom: 8 },
  OffsetFetch: { key: 9, versions: [1, 10], flexibleFrom: 6 },
  FindCoordinator: { key: 10, versions: [0, 6], flexibleFrom: 3 },
  JoinGroup: { key: 11, versions: [0, 9], flexibleFrom: 6 },
  Heartbeat: { key: 12, versions: [0, 4], flexibleFrom: 4 },
  LeaveGroup: { key: 13, versions: [0, 5], flexibleFrom: 4 },
  SyncGroup: { key: 14, versions: [0, 5], flexibleFrom: 4 },
  DescribeGroups: { key: 15, versions: [0, 6], flexibleFrom: 5 },
  ListGroups: { key: 16, versions: [0, 5], flexibleFrom: 3 },
  SaslHandshake: { key: 17, versions: [0, 1], flexibleFrom: null },
  ApiVersions: { key: 18, versions: [0, 4], flexibleFrom: 3 },
  CreateTopics: { key: 19, versions: [2, 7], flexibleFrom: 5 },
  DeleteTopics: { key: 20, versions: [1, 6], flexibleFrom: 4 },
  DeleteRecords: { key: 21, versions: [0, 2], flexibleFrom: 2 },
  InitProducerId: { key: 22, versions: [0, 6], flexibleFrom: 2 },
  OffsetForLeaderEpoch: { key: 23, versions: [2, 4], flexibleFrom: 4 },
  AddPartitionsToTxn: { key: 24, versions: [0, 5], flexibleFrom: 3 },
  AddOffsetsToTxn: { key: 25, versions: [0, 4], flexibleFrom: 3 },
  EndTxn: { key: 26, versions: [0, 5], flexibleFrom: 3 },
  WriteTxnMarkers: { key: 27, versions: [1, 2], flexibleFrom: 1 },
  TxnOffsetCommit: { key: 28, versions: [0, 6], flexibleFrom: 3 },
  DescribeAcls: { key: 29, versions: [1, 3], flexibleFrom: 2 },
  CreateAcls: { key: 30, versions: [1, 3], flexibleFrom: 2 },
  DeleteAcls: { key: 31, versions: [1, 3], flexibleFrom: 2 },
  DescribeConfigs: { key: 32, versions: [1, 4], flexibleFrom: 4 },
  AlterConfigs: { key: 33, versions: [0, 2], flexibleFrom: 2 },
  DescribeLogDirs: { key: 35, versions: [1, 5], flexibleFrom: 2 },
  SaslAuthenticate: { key: 36, versions: [0, 2], flexibleFrom: 2 },
  CreatePartitions: { key: 37, versions: [0, 3], flexibleFrom: 2 },
  DeleteGroups: { key: 42, versions: [0, 3], flexibleFrom: 2 },
  ElectLeaders: { key: 43, versions: [0, 2], flexibleFrom: 2 },
  IncrementalAlterConfigs: { key: 44, versions: [0, 1], flexibleFrom: 1 },
  AlterPartitionReassignments: { key: 45, versions: [0, 1], flexibleFrom: 0 },
  ListPartitionReassignments: { key: 46, versions: [0, 0], flexibleFrom: 0 },
  OffsetDelete: { key: 47, versions: [0, 0], flexibleFrom: null },
  DescribeClientQuotas: { key: 48, versions: [0, 1], flexibleFrom: 1 },
  AlterClientQuotas: { key: 49, versions: [0, 1], flexibleFrom: 1 },
  DescribeUserScramCredentials: { key: 50, versions: [0, 0], flexibleFrom: 0 },
  AlterUserScramCredentials: { key: 51, versions: [0, 0], flexibleFrom: 0 },
  DescribeQuorum: { key: 55, versions: [0, 2], flexibleFrom: 0 },
  UpdateFeatures: { key: 57, versions: [0, 2], flexibleFrom: 0 },
  DescribeCluster: { key: 60, versions: [0, 2], flexibleFrom: 0 },
  DescribeProducers: { key: 61, versions: [0, 0], flexibleFrom: 0 },
  DescribeTransactions: { key: 65, versions: [0, 0], flexibleFrom: 0 },
  ListTransactions: { key: 66, versions: [0, 2], flexibleFrom: 0 },
  ConsumerGroupHeartbeat: { key: 68, versions: [0, 1], flexibleFrom: 0 },
  ConsumerGroupDescribe: { key: 69, versions: [0, 1], flexibleFrom: 0 },
  ListConfigResources: { key: 74, versions: [0, 1], flexibleFrom: 0 },
  DescribeTopicPartitions: { key: 75, versions: [0, 0], flexibleFrom: 0 },
  ShareGroupHeartbeat: { key: 76, versions: [1, 1], flexibleFrom: 0 },
  ShareGroupDescribe: { key: 77, versions: [1, 1], flexibleFrom: 0 },
  ShareFetch: { key: 78, versions: [1, 2], flexibleFrom: 0 },
  ShareAcknowledge: { key: 79, versions: [1, 2], flexibleFrom: 0 },
  DescribeShareGroupOffsets: { key: 90, versions: [0, 1], flexibleFrom: 0 },
  AlterShareGroupOffsets: { key: 91, versions: [0, 0], flexibleFrom: 0 },
  DeleteShareGroupOffsets: { key: 92, versions: [0, 0], flexibleFrom: 0 },
  DescribeSegments: { key: 20000, versions: [0, 0], flexibleFrom: 0 },
} as const satisfies Record<string, ApiFacts>;

export interface ApiFacts {
  readonly key: number;
  readonly versions: readonly [first: number, last: number];
  readonly flexibleFrom: number | null;
}

export type ApiName = keyof typeof apis;

export interface Messages {
  Produce: { request: ProduceRequest; response: ProduceResponse };
  Fetch: { request: FetchRequest; response: FetchResponse };
  ListOffsets: { request: ListOffsetsRequest; response: ListOffsetsResponse };
  Metadata: { request: MetadataRequest; response: MetadataResponse };
  OffsetCommit: { request: OffsetCommitRequest; response: OffsetCommitResponse };
  OffsetFetch: { request: OffsetFetchRequest; response: OffsetFetchResponse };
  FindCoordinator: { request: FindCoordinatorRequest; response: FindCoordinatorResponse };
  JoinGroup: { request: JoinGroupRequest; response: JoinGroupResponse };
  Heartbeat: { request: HeartbeatRequest; response: HeartbeatResponse };
  LeaveGroup: { request: LeaveGroupRequest; response: LeaveGroupResponse };
  SyncGroup: { request: SyncGroupRequest; response: SyncGroupResponse };
  DescribeGroups: { request: DescribeGroupsRequest; response: DescribeGroupsResponse };
  ListGroups: { request: ListGroupsRequest; response: ListGroupsResponse };
  SaslHandshake: { request: SaslHandshakeRequest; response: SaslHandshakeResponse };
  ApiVersions: { request: ApiVersionsRequest; response: ApiVersionsResponse };
  CreateTopics: { request: CreateTopicsRequest; response: CreateTopicsResponse };
  DeleteTopics: { request: DeleteTopicsRequest; response: DeleteTopicsResponse };
  DeleteRecords: { request: DeleteRecordsRequest; response: DeleteRecordsResponse };
  InitProducerId: { request: InitProducerIdRequest; response: InitProducerIdResponse };
  OffsetForLeaderEpoch: { request: OffsetForLeaderEpochRequest; response: OffsetForLeaderEpochResponse };
  AddPartitionsToTxn: { request: AddPartitionsToTxnRequest; response: AddPartitionsToTxnResponse };
  AddOffsetsToTxn: { request: AddOffsetsToTxnRequest; response: AddOffsetsToTxnResponse };
  EndTxn: { request: EndTxnRequest; response: EndTxnResponse };
  WriteTxnMarkers: { request: WriteTxnMarkersRequest; response: WriteTxnMarkersResponse };
  TxnOffsetCommit: { request: TxnOffsetCommitRequest; response: TxnOffsetCommitResponse };
  DescribeAcls: { request: DescribeAclsRequest; response: DescribeAclsResponse };
  CreateAcls: { request: CreateAclsRequest; response: CreateAclsResponse };
  DeleteAcls: { request: DeleteAclsRequest; response: DeleteAclsResponse };
  DescribeConfigs: { request: DescribeConfigsRequest; response: DescribeConfigsResponse };
  AlterConfigs: { request: AlterConfigsRequest; response: AlterConfigsResponse };
  DescribeLogDirs: { request: DescribeLogDirsRequest; response: DescribeLogDirsResponse };
  SaslAuthenticate: { request: SaslAuthenticateRequest; response: SaslAuthenticateResponse };
  CreatePartitions: { request: CreatePartitionsRequest; response: CreatePartitionsResponse };
  DeleteGroups: { request: DeleteGroupsRequest; response: DeleteGroupsResponse };
  ElectLeaders: { request: ElectLeadersRequest; response: ElectLeadersResponse };
  IncrementalAlterConfigs: { request: IncrementalAlterConfigsRequest; response: IncrementalAlterConfigsResponse };
  AlterPartitionReassignments: { request: AlterPartitionReassignmentsRequest; response: AlterPartitionReassignmentsResponse };
  ListPartitionReassignments: { request: ListPartitionReassignmentsRequest; response: ListPartitionReassignmentsResponse };
  OffsetDelete: { request: OffsetDeleteRequest; response: OffsetDeleteResponse };
  DescribeClientQuotas: { request: DescribeClientQuotasRequest; response: DescribeClientQuotasResponse };
  AlterClientQuotas: { request: AlterClientQuotasRequest; response: AlterClientQuotasResponse };
  DescribeUserScramCredentials: { request: DescribeUserScramCredentialsRequest; response: DescribeUserScramCredentialsResponse };
  AlterUserScramCredentials: { request: AlterUserScramCredentialsRequest; response: AlterUserScramCredentialsResponse };
  DescribeQuorum: { request: DescribeQuorumRequest; response: DescribeQuorumResponse };
  UpdateFeatures: { request: UpdateFeaturesRequest; response: UpdateFeaturesResponse };
  DescribeCluster: { request: DescribeClusterRequest; response: DescribeClusterResponse };
  DescribeProducers: { request: DescribeProducersRequest; response: DescribeProducersResponse };
  DescribeTransactions: { request: DescribeTransactionsRequest; response: DescribeTransactionsResponse };
  ListTransactions: { request: ListTransactionsRequest; response: ListTransactionsResponse };
  ConsumerGroupHeartbeat: { request: ConsumerGroupHeartbeatRequest; response: ConsumerGroupHeartbeatResponse };
  ConsumerGroupDescribe: { request: ConsumerGroupDescribeRequest; response: ConsumerGroupDescribeResponse };
  ListConfigResources: { request: ListConfigResourcesRequest; response: ListConfigResourcesResponse };
  DescribeTopicPartitions: { request: DescribeTopicPartitionsRequest; response: DescribeTopicPartitionsResponse };
  ShareGroupHeartbeat: { request: ShareGroupHeartbeatRequest; response: ShareGroupHeartbeatResponse };
  ShareGroupDescribe: { request: ShareGroupDescribeRequest; response: ShareGroupDescribeResponse };
  ShareFetch: { request: ShareFetchRequest; response: ShareFetchResponse };
  ShareAcknowledge: { request: ShareAcknowledgeRequest; response: ShareAcknowledgeResponse };
  DescribeShareGroupOffsets: { request: DescribeShareGroupOffsetsRequest; response: DescribeShareGroupOffsetsResponse };
  AlterShareGroupOffsets: { request: AlterShareGroupOffsetsRequest; response: AlterShareGroupOffsetsResponse };
  DeleteShareGroupOffsets: { request: DeleteShareGroupOffsetsRequest; response: DeleteShareGroupOffsetsResponse };
  DescribeSegments: { request: DescribeSegmentsRequest; response: DescribeSegmentsResponse };
}

export interface ProduceRequest {
  transactionalId: string | null;
  acks: number;
  timeoutMs: number;
  topicData: TopicProduceData[];
}

export interface TopicProduceData {
  name: string;
  topicId: Uuid;
  partitionData: PartitionProduceData[];
}

export interface PartitionProduceData {
  index: number;
  records: readonly Buffer[] | null;
}

export interface ProduceResponse {
  responses: TopicProduceResponse[];
  throttleTimeMs: number;
  nodeEndpoints: ProduceNodeEndpoint[];
}

export interface TopicProduceResponse {
  name: string;
  topicId: Uuid;
  partitionResponses: PartitionProduceResponse[];
}

export interface PartitionProduceResponse {
  index: number;
  errorCode: number;
  baseOffset: number;
  logAppendTimeMs: number;
  logStartOffset: number;
  recordErrors: ProduceBatchIndexAndErrorMessage[];
  errorMessage: string | null;
  currentLeader: ProduceLeaderIdAndEpoch;
}

export interface ProduceBatchIndexAndErrorMessage {
  batchIndex: number;
  batchIndexErrorMessage: string | null;
}

export interface ProduceLeaderIdAndEpoch {
  leaderId: number;
  leaderEpoch: number;
}

export interface ProduceNodeEndpoint {
  nodeId: number;
  host: string;
  port: number;
  rack: string | null;
}

export interface FetchRequest {
  clusterId: string | null;
  replicaId: number;
  replicaState: FetchReplicaState;
  maxWaitMs: number;
  minBytes: number;
  maxBytes: number;
  isolationLevel: number;
  sessionId: number;
  sessionEpoch: number;
  topics: FetchTopic[];
  forgottenTopicsData: FetchForgottenTopic[];
  rackId: string;
}

export interface FetchReplicaState {
  replicaId: number;
  replicaEpoch: number;
}

export interface FetchTopic {
  topic: string;
  topicId: Uuid;
  partitions: FetchPartition[];
}

export interface FetchPartition {
  partition: number;
  currentLeaderEpoch: number;
  fetchOffset: number;
  lastFetchedEpoch: number;
  logStartOffset: number;
  partitionMaxBytes: number;
  replicaDirectoryId: Uuid;
  highWatermark: number;
}

export interface FetchForgottenTopic {
  topic: string;
  topicId: Uuid;
  partitions: number[];
}

export interface FetchResponse {
  throttleTimeMs: number;
  errorCode: number;
  sessionId: number;
  responses: FetchableTopicResponse[];
  nodeEndpoints: FetchNodeEndpoint[];
}

export interface FetchableTopicResponse {
  topic: string;
  topicId: Uuid;
  partitions: FetchPartitionData[];
}

export interface FetchPartitionData {
  partitionIndex: number;
  errorCode: number;
  highWatermark: number;
  lastStableOffset: number;
  logStartOffset: number;
  divergingEpoch: FetchEpochEndOffset;
  currentLeader: FetchLeaderIdAndEpoch;
  snapshotId: FetchSnapshotId;
  abortedTransactions: FetchAbortedTransaction[] | null;
  preferredReadReplica: number;
  records: readonly Buffer[] | null;
}

export interface FetchEpochEndOffset {
  epoch: number;
  endOffset: number;
}

export interface FetchLeaderIdAndEpoch {
  leaderId: number;
  leaderEpoch: number;
}

export interface FetchSnapshotId {
  endOffset: number;
  epoch: number;
}

export interface FetchAbortedTransaction {
  producerId: number;
  firstOffset: number;
}

export interface FetchNodeEndpoint {
  nodeId: number;
  host: string;
  port: number;
  rack: string | null;
}

export interface ListOffsetsRequest {
  replicaId: number;
  isolationLevel: number;
  topics: ListOffsetsTopic[];
  timeoutMs: number;
}

export interface ListOffsetsTopic {
  name: string;
  partitions: ListOffsetsPartition[];
}

export interface ListOffsetsPartition {
  partitionIndex: number;
  currentLeaderEpoch: number;
  timestamp: number;
}

export interface ListOffsetsResponse {
  throttleTimeMs: number;
  topics: ListOffsetsTopicResponse[];
}

export interface ListOffsetsTopicResponse {
  name: string;
  partitions: ListOffsetsPartitionResponse[];
}

export interface ListOffsetsPartitionResponse {
  partitionIndex: number;
  errorCode: number;
  timestamp: number;
  offset: number;
  leaderEpoch: number;
}

export interface MetadataRequest {
  topics: MetadataRequestTopic[] | null;
  allowAutoTopicCreation: boolean;
  includeClusterAuthorizedOperations: boolean;
  includeTopicAuthorizedOperations: boolean;
}

export interface MetadataRequestTopic {
  topicId: Uuid;
  name: string | null;
}

export interface MetadataResponse {
  throttleTimeMs: number;
  brokers: MetadataResponseBroker[];
  clusterId: string | null;
  controllerId: number;
  topics: MetadataResponseTopic[];
  clusterAuthorizedOperations: number;
  errorCode: number;
}

export interface MetadataResponseBroker {
  nodeId: number;
  host: string;
  port: number;
  rack: string | null;
}

export interface MetadataResponseTopic {
  errorCode: number;
  name: string | null;
  topicId: Uuid;
  isInternal: boolean;
  partitions: MetadataResponsePartition[];
  topicAuthorizedOperations: number;
}

export interface MetadataResponsePartition {
  errorCode: number;
  partitionIndex: number;
  leaderId: number;
  leaderEpoch: number;
  replicaNodes: number[];
  isrNodes: number[];
  offlineReplicas: number[];
}

export interface OffsetCommitRequest {
  groupId: string;
  generationIdOrMemberEpoch: number;
  memberId: string;
  groupInstanceId: string | null;
  retentionTimeMs: number;
  topics: OffsetCommitRequestTopic[];
}

export interface OffsetCommitRequestTopic {
  name: string;
  topicId: Uuid;
  partitions: OffsetCommitRequestPartition[];
}

export interface OffsetCommitRequestPartition {
  partitionIndex: number;
  committedOffset: number;
  committedLeaderEpoch: number;
  committedMetadata: string | null;
}

export interface OffsetCommitResponse {
  throttleTimeMs: number;
  topics: OffsetCommitResponseTopic[];
}

export interface OffsetCommitResponseTopic {
  name: string;
  topicId: Uuid;
  partitions: OffsetCommitResponsePartition[];
}

export interface OffsetCommitResponsePartition {
  partitionIndex: number;
  errorCode: number;
}

export interface OffsetFetchRequest {
  groupId: string;
  topics: OffsetFetchRequestTopic[] | null;
  groups: OffsetFetchRequestGroup[];
  requireStable: boolean;
}

export interface OffsetFetchRequestTopic {
  name: string;
  partitionIndexes: number[];
}

export interface OffsetFetchRequestGroup {
  groupId: string;
  memberId: string | null;
  memberEpoch: number;
  topics: OffsetFetchRequestTopics[] | null;
}

export interface OffsetFetchRequestTopics {
  name: string;
  topicId: Uuid;
  partitionIndexes: number[];
}

export interface OffsetFetchResponse {
  throttleTimeMs: number;
  topics: OffsetFetchResponseTopic[];
  errorCode: number;
  groups: OffsetFetchResponseGroup[];
}

export interface OffsetFetchResponseTopic {
  name: string;
  partitions: OffsetFetchResponsePartition[];
}

export interface OffsetFetchResponsePartition {
  partitionIndex: number;
  committedOffset: number;
  committedLeaderEpoch: number;
  metadata: string | null;
  errorCode: number;
}

export interface OffsetFetchResponseGroup {
  groupId: string;
  topics: OffsetFetchResponseTopics[];
  errorCode: number;
}

export interface OffsetFetchResponseTopics {
  name: string;
  topicId: Uuid;
  partitions: OffsetFetchResponsePartitions[];
}

export interface OffsetFetchResponsePartitions {
  partitionIndex: number;
  committedOffset: number;
  committedLeaderEpoch: number;
  metadata: string | null;
  errorCode: number;
}

export interface FindCoordinatorRequest {
  key: string;
  keyType: number;
  coordinatorKeys: string[];
}

export interface FindCoordinatorResponse {
  throttleTimeMs: number;
  errorCode: number;
  errorMessage: string | null;
  nodeId: number;
  host: string;
  port: number;
  coordinators: FindCoordinatorCoordinator[];
}

export interface FindCoordinatorCoordinator {
  key: string;
  nodeId: number;
  host: string;
  port: number;
  errorCode: number;
  errorMessage: string | null;
}

export interface JoinGroupRequest {
  groupId: string;
  sessionTimeoutMs: number;
  rebalanceTimeoutMs: number;
  memberId: string;
  groupInstanceId: string | null;
  protocolType: string;
  protocols: JoinGroupRequestProtocol[];
  reason: string | null;
}

export interface JoinGroupRequestProtocol {
  name: string;
  metadata: Buffer;
}

export interface JoinGroupResponse {
  throttleTimeMs: number;
  errorCode: number;
  generationId: number;
  protocolType: string | null;
  protocolName: string | null;
  leader: string;
  skipAssignment: boolean;
  memberId: string;
  members: JoinGroupResponseMember[];
}

export interface JoinGroupResponseMember {
  memberId: string;
  groupInstanceId: string | null;
  metadata: Buffer;
}

export interface HeartbeatRequest {
  groupId: string;
  generationId: number;
  memberId: string;
  groupInstanceId: string | null;
}

export interface HeartbeatResponse {
  throttleTimeMs: number;
  errorCode: number;
}

export interface LeaveGroupRequest {
  groupId: string;
  memberId: string;
  members: LeaveGroupMemberIdentity[];
}

export interface LeaveGroupMemberIdentity {
  memberId: string;
  groupInstanceId: string | null;
  reason: string | null;
}

export interface LeaveGroupResponse {
  throttleTimeMs: number;
  errorCode: number;
  members: LeaveGroupMemberResponse[];
}

export interface LeaveGroupMemberResponse {
  memberId: string;
  groupInstanceId: string | null;
  errorCode: number;
}

export interface SyncGroupRequest {
  groupId: string;
  generationId: number;
  memberId: string;
  groupInstanceId: string | null;
  protocolType: string | null;
  protocolName: string | null;
  assignments: SyncGroupRequestAssignment[];
}

export interface SyncGroupRequestAssignment {
  memberId: string;
  assignment: Buffer;
}

export interface SyncGroupResponse {
  throttleTimeMs: number;
  errorCode: number;
  protocolType: string | null;
  protocolName: string | null;
  assignment: Buffer;
}

export interface DescribeGroupsRequest {
  groups: string[];
  includeAuthorizedOperations: boolean;
}

export interface DescribeGroupsResponse {
  throttleTimeMs: number;
  groups: DescribeGroupsDescribedGroup[];
}

export interface DescribeGroupsDescribedGroup {
  errorCode: number;
  errorMessage: string | null;
  groupId: string;
  groupState: string;
  protocolType: string;
  protocolData: string;
  members: DescribeGroupsDescribedGroupMember[];
  authorizedOperations: number;
}

export interface DescribeGroupsDescribedGroupMember {
  memberId: string;
  groupInstanceId: string | null;
  clientId: string;
  clientHost: string;
  memberMetadata: Buffer;
  memberAssignment: Buffer;
}

export interface ListGroupsRequest {
  statesFilter: string[];
  typesFilter: string[];
}

export interface ListGroupsResponse {
  throttleTimeMs: number;
  errorCode: number;
  groups: ListGroupsListedGroup[];
}

export interface ListGroupsListedGroup {
  groupId: string;
  protocolType: string;
  groupState: string;
  groupType: string;
}

export interface SaslHandshakeRequest {
  mechanism: string;
}

export interface SaslHandshakeResponse {
  errorCode: number;
  mechanisms: string[];
}

export interface ApiVersionsRequest {
  clientSoftwareName: string;
  clientSoftwareVersion: string;
}

export interface ApiVersionsResponse {
  errorCode: number;
  apiKeys: ApiVersionsApiVersion[];
  throttleTimeMs: number;
  supportedFeatures: ApiVersionsSupportedFeatureKey[];
  finalizedFeaturesEpoch: number;
  finalizedFeatures: ApiVersionsFinalizedFeatureKey[];
  zkMigrationReady: boolean;
}

export interface ApiVersionsApiVersion {
  apiKey: number;
  minVersion: number;
  maxVersion: number;
}

export interface ApiVersionsSupportedFeatureKey {
  name: string;
  minVersion: number;
  maxVersion: number;
}

export interface ApiVersionsFinalizedFeatureKey {
  name: string;
  maxVersionLevel: number;
  minVersionLevel: number;
}

export interface CreateTopicsRequest {
  topics: CreateTopicsCreatableTopic[];
  timeoutMs: number;
  validateOnly: boolean;
}

export interface CreateTopicsCreatableTopic {
  name: string;
  numPartitions: number;
  replicationFactor: number;
  assignments: CreateTopicsCreatableReplicaAssignment[];
  configs: CreateTopicsCreatableTopicConfig[];
}

export interface CreateTopicsCreatableReplicaAssignment {
  partitionIndex: number;
  brokerIds: number[];
}

export interface CreateTopicsCreatableTopicConfig {
  name: string;
  value: string | null;
}

export interface CreateTopicsResponse {
  throttleTimeMs: number;
  topics: CreateTopicsCreatableTopicResult[];
}

export interface CreateTopicsCreatableTopicResult {
  name: string;
  topicId: Uuid;
  errorCode: number;
  errorMessage: string | null;
  topicConfigErrorCode: number;
  numPartitions: number;
  replicationFactor: number;
  configs: CreateTopicsCreatableTopicConfigs[] | null;
}

export interface CreateTopicsCreatableTopicConfigs {
  name: string;
  value: string | null;
  readOnly: boolean;
  configSource: number;
  isSensitive: boolean;
}

export interface DeleteTopicsRequest {
  topics: DeleteTopicsDeleteTopicState[];
  topicNames: string[];
  timeoutMs: number;
}

export interface DeleteTopicsDeleteTopicState {
  name: string | null;
  topicId: Uuid;
}

export interface DeleteTopicsResponse {
  throttleTimeMs: number;
  responses: DeleteTopicsDeletableTopicResult[];
}

export interface DeleteTopicsDeletableTopicResult {
  name: string | null;
  topicId: Uuid;
  errorCode: number;
  errorMessage: string | null;
}

export interface DeleteRecordsRequest {
  topics: DeleteRecordsTopic[];
  timeoutMs: number;
}

export interface DeleteRecordsTopic {
  name: string;
  partitions: DeleteRecordsPartition[];
}

export interface DeleteRecordsPartition {
  partitionIndex: number;
  offset: number;
}

export interface DeleteRecordsResponse {
  throttleTimeMs: number;
  topics: DeleteRecordsTopicResult[];
}

export interface DeleteRecordsTopicResult {
  name: string;
  partitions: DeleteRecordsPartitionResult[];
}

export interface DeleteRecordsPartitionResult {
  partitionIndex: number;
  lowWatermark: number;
  errorCode: number;
}

export interface InitProducerIdRequest {
  transactionalId: string | null;
  transactionTimeoutMs: number;
  producerId: number;
  producerEpoch: number;
  enable2Pc: boolean;
  keepPreparedTxn: boolean;
}

export interface InitProducerIdResponse {
  throttleTimeMs: number;
  errorCode: number;
  producerId: number;
  producerEpoch: number;
  ongoingTxnProducerId: number;
  ongoingTxnProducerEpoch: number;
}

export interface OffsetForLeaderEpochRequest {
  replicaId: number;
  topics: OffsetForLeaderEpochOffsetForLeaderTopic[];
}

export interface OffsetForLeaderEpochOffsetForLeaderTopic {
  topic: string;
  partitions: OffsetForLeaderEpochOffsetForLeaderPartition[];
}

export interface OffsetForLeaderEpochOffsetForLeaderPartition {
  partition: number;
  currentLeaderEpoch: number;
  leaderEpoch: number;
}

export interface OffsetForLeaderEpochResponse {
  throttleTimeMs: number;
  topics: OffsetForLeaderEpochOffsetForLeaderTopicResult[];
}

export interface OffsetForLeaderEpochOffsetForLeaderTopicResult {
  topic: string;
  partitions: OffsetForLeaderEpochEndOffset[];
}

export interface OffsetForLeaderEpochEndOffset {
  errorCode: number;
  partition: number;
  leaderEpoch: number;
  endOffset: number;
}

export interface AddPartitionsToTxnRequest {
  transactions: AddPartitionsToTxnTransaction[];
  v3AndBelowTransactionalId: string;
  v3AndBelowProducerId: number;
  v3AndBelowProducerEpoch: number;
  v3AndBelowTopics: AddPartitionsToTxnTopic[];
}

export interface AddPartitionsToTxnTransaction {
  transactionalId: string;
  producerId: number;
  producerEpoch: number;
  verifyOnly: boolean;
  topics: AddPartitionsToTxnTopic[];
}

export interface AddPartitionsToTxnTopic {
  name: string;
  partitions: number[];
}

export interface AddPartitionsToTxnResponse {
  throttleTimeMs: number;
  errorCode: number;
  resultsByTransaction: AddPartitionsToTxnResult[];
  resultsByTopicV3AndBelow: AddPartitionsToTxnTopicResult[];
}

export interface AddPartitionsToTxnResult {
  transactionalId: string;
  topicResults: AddPartitionsToTxnTopicResult[];
}

export interface AddPartitionsToTxnTopicResult {
  name: string;
  resultsByPartition: AddPartitionsToTxnPartitionResult[];
}

export interface AddPartitionsToTxnPartitionResult {
  partitionIndex: number;
  partitionErrorCode: number;
}

export interface AddOffsetsToTxnRequest {
  transactionalId: string;
  producerId: number;
  producerEpoch: number;
  groupId: string;
}

export interface AddOffsetsToTxnResponse {
  throttleTimeMs: number;
  errorCode: number;
}

export interface EndTxnRequest {
  transactionalId: string;
  producerId: number;
  producerEpoch: number;
  committed: boolean;
}

export interface EndTxnResponse {
  throttleTimeMs: number;
  errorCode: number;
  producerId: number;
  producerEpoch: number;
}

export interface WriteTxnMarkersRequest {
  markers: WriteTxnMarkersWritableTxnMarker[];
}

export interface WriteTxnMarkersWritableTxnMarker {
  producerId: number;
  producerEpoch: number;
  transactionResult: boolean;
  topics: WriteTxnMarkersWritableTxnMarkerTopic[];
  coordinatorEpoch: number;
  transactionVersion: number;
}

export interface WriteTxnMarkersWritableTxnMarkerTopic {
  name: string;
  partitionIndexes: number[];
}

export interface WriteTxnMarkersResponse {
  markers: WriteTxnMarkersWritableTxnMarkerResult[];
}

export interface WriteTxnMarkersWritableTxnMarkerResult {
  producerId: number;
  topics: WriteTxnMarkersWritableTxnMarkerTopicResult[];
}

export interface WriteTxnMarkersWritableTxnMarkerTopicResult {
  name: string;
  partitions: WriteTxnMarkersWritableTxnMarkerPartitionResult[];
}

export interface WriteTxnMarkersWritableTxnMarkerPartitionResult {
  partitionIndex: number;
  errorCode: number;
}

export interface TxnOffsetCommitRequest {
  transactionalId: string;
  groupId: string;
  producerId: number;
  producerEpoch: number;
  generationIdOrMemberEpoch: number;
  memberId: string;
  groupInstanceId: string | null;
  topics: TxnOffsetCommitRequestTopic[];
}

export interface TxnOffsetCommitRequestTopic {
  name: string;
  topicId: Uuid;
  partitions: TxnOffsetCommitRequestPartition[];
}

export interface TxnOffsetCommitRequestPartition {
  partitionIndex: number;
  committedOffset: number;
  committedLeaderEpoch: number;
  committedMetadata: string | null;
}

export interface TxnOffsetCommitResponse {
  throttleTimeMs: number;
  topics: TxnOffsetCommitResponseTopic[];
}

export interface TxnOffsetCommitResponseTopic {
  name: string;
  topicId: Uuid;
  partitions: TxnOffsetCommitResponsePartition[];
}

export interface TxnOffsetCommitResponsePartition {
  partitionIndex: number;
  errorCode: number;
}

export interface DescribeAclsRequest {
  resourceTypeFilter: number;
  resourceNameFilter: string | null;
  patternTypeFilter: number;
  principalFilter: string | null;
  hostFilter: string | null;
  operation: number;
  permissionType: number;
}

export interface DescribeAclsResponse {
  throttleTimeMs: number;
  errorCode: number;
  errorMessage: string | null;
  resources: DescribeAclsResource[];
}

export interface DescribeAclsResource {
  resourceType: number;
  resourceName: string;
  patternType: number;
  acls: DescribeAclsAclDescription[];
}

export interface DescribeAclsAclDescription {
  principal: string;
  host: string;
  operation: number;
  permissionType: number;
}

export interface CreateAclsRequest {
  creations: CreateAclsAclCreation[];
}

export interface CreateAclsAclCreation {
  resourceType: number;
  resourceName: string;
  resourcePatternType: number;
  principal: string;
  host: string;
  operation: number;
  permissionType: number;
}

export interface CreateAclsResponse {
  throttleTimeMs: number;
  results: CreateAclsAclCreationResult[];
}

export interface CreateAclsAclCreationResult {
  errorCode: number;
  errorMessage: string | null;
}

export interface DeleteAclsRequest {
  filters: DeleteAclsFilter[];
}

export interface DeleteAclsFilter {
  resourceTypeFilter: number;
  resourceNameFilter: string | null;
  patternTypeFilter: number;
  principalFilter: string | null;
  hostFilter: string | null;
  operation: number;
  permissionType: number;
}

export interface DeleteAclsResponse {
  throttleTimeMs: number;
  filterResults: DeleteAclsFilterResult[];
}

export interface DeleteAclsFilterResult {
  errorCode: number;
  errorMessage: string | null;
  matchingAcls: DeleteAclsMatchingAcl[];
}

export interface DeleteAclsMatchingAcl {
  errorCode: number;
  errorMessage: string | null;
  resourceType: number;
  resourceName: string;
  patternType: number;
  principal: string;
  host: string;
  operation: number;
  permissionType: number;
}

export interface DescribeConfigsRequest {
  resources: DescribeConfigsResource[];
  includeSynonyms: boolean;
  includeDocumentation: boolean;
}

export interface DescribeConfigsResource {
  resourceType: number;
  resourceName: string;
  configurationKeys: string[] | null;
}

export interface DescribeConfigsResponse {
  throttleTimeMs: number;
  results: DescribeConfigsResult[];
}

export interface DescribeConfigsResult {
  errorCode: number;
  errorMessage: string | null;
  resourceType: number;
  resourceName: string;
  configs: DescribeConfigsResourceResult[];
}

export interface DescribeConfigsResourceResult {
  name: string;
  value: string | null;
  readOnly: boolean;
  configSource: number;
  isSensitive: boolean;
  synonyms: DescribeConfigsSynonym[];
  configType: number;
  documentation: string | null;
}

export interface DescribeConfigsSynonym {
  name: string;
  value: string | null;
  source: number;
}

export interface AlterConfigsRequest {
  resources: AlterConfigsResource[];
  validateOnly: boolean;
}

export interface AlterConfigsResource {
  resourceType: number;
  resourceName: string;
  configs: AlterConfigsAlterableConfig[];
}

export interface AlterConfigsAlterableConfig {
  name: string;
  value: string | null;
}

export interface AlterConfigsResponse {
  throttleTimeMs: number;
  responses: AlterConfigsResourceResponse[];
}

export interface AlterConfigsResourceResponse {
  errorCode: number;
  errorMessage: string | null;
  resourceType: number;
  resourceName: string;
}

export interface DescribeLogDirsRequest {
  topics: DescribeLogDirsDescribableLogDirTopic[] | null;
}

export interface DescribeLogDirsDescribableLogDirTopic {
  topic: string;
  partitions: number[];
}

export interface DescribeLogDirsResponse {
  throttleTimeMs: number;
  errorCode: number;
  results: DescribeLogDirsResult[];
}

export interface DescribeLogDirsResult {
  errorCode: number;
  logDir: string;
  topics: DescribeLogDirsTopic[];
  totalBytes: number;
  usableBytes: number;
  isCordoned: boolean;
}

export interface DescribeLogDirsTopic {
  name: string;
  partitions: DescribeLogDirsPartition[];
}

export interface DescribeLogDirsPartition {
  partitionIndex: number;
  partitionSize: number;
  offsetLag: number;
  isFutureKey: boolean;
}

export interface SaslAuthenticateRequest {
  authBytes: Buffer;
}

export interface SaslAuthenticateResponse {
  errorCode: number;
  errorMessage: string | null;
  authBytes: Buffer;
  sessionLifetimeMs: number;
}

export interface CreatePartitionsRequest {
  topics: CreatePartitionsTopic[];
  timeoutMs: number;
  validateOnly: boolean;
}

export interface CreatePartitionsTopic {
  name: string;
  count: number;
  assignments: CreatePartitionsAssignment[] | null;
}

export interface CreatePartitionsAssignment {
  brokerIds: number[];
}

export interface CreatePartitionsResponse {
  throttleTimeMs: number;
  results: CreatePartitionsTopicResult[];
}

export interface CreatePartitionsTopicResult {
  name: string;
  errorCode: number;
  errorMessage: string | null;
}

export interface DeleteGroupsRequest {
  groupsNames: string[];
}

export interface DeleteGroupsResponse {
  throttleTimeMs: number;
  results: DeleteGroupsDeletableGroupResult[];
}

export interface DeleteGroupsDeletableGroupResult {
  groupId: string;
  errorCode: number;
  errorMessage: string | null;
}

export interface ElectLeadersRequest {
  electionType: number;
  topicPartitions: ElectLeadersTopicPartitions[] | null;
  timeoutMs: number;
}

export interface ElectLeadersTopicPartitions {
  topic: string;
  partitions: number[];
}

export interface ElectLeadersResponse {
  throttleTimeMs: number;
  errorCode: number;
  replicaElectionResults: ElectLeadersReplicaElectionResult[];
}

export interface ElectLeadersReplicaElectionResult {
  topic: string;
  partitionResult: ElectLeadersPartitionResult[];
}

export interface ElectLeadersPartitionResult {
  partitionId: number;
  errorCode: number;
  errorMessage: string | null;
}

export interface IncrementalAlterConfigsRequest {
  resources: IncrementalAlterConfigsResource[];
  validateOnly: boolean;
}

export interface IncrementalAlterConfigsResource {
  resourceType: number;
  resourceName: string;
  configs: IncrementalAlterConfigsAlterableConfig[];
}

export interface IncrementalAlterConfigsAlterableConfig {
  name: string;
  configOperation: number;
  value: string | null;
}

export interface IncrementalAlterConfigsResponse {
  throttleTimeMs: number;
  responses: IncrementalAlterConfigsResourceResponse[];
}

export interface IncrementalAlterConfigsResourceResponse {
  errorCode: number;
  errorMessage: string | null;
  resourceType: number;
  resourceName: string;
}

export interface AlterPartitionReassignmentsRequest {
  timeoutMs: number;
  allowReplicationFactorChange: boolean;
  topics: AlterPartitionReassignmentsReassignableTopic[];
}

export interface AlterPartitionReassignmentsReassignableTopic {
  name: string;
  partitions: AlterPartitionReassignmentsReassignablePartition[];
}

export interface AlterPartitionReassignmentsReassignablePartition {
  partitionIndex: number;
  replicas: number[] | null;
}

export interface AlterPartitionReassignmentsResponse {
  throttleTimeMs: number;
  allowReplicationFactorChange: boolean;
  errorCode: number;
  errorMessage: string | null;
  responses: AlterPartitionReassignmentsReassignableTopicResponse[];
}

export interface AlterPartitionReassignmentsReassignableTopicResponse {
  name: string;
  partitions: AlterPartitionReassignmentsReassignablePartitionResponse[];
}

export interface AlterPartitionReassignmentsReassignablePartitionResponse {
  partitionIndex: number;
  errorCode: number;
  errorMessage: string | null;
}

export interface ListPartitionReassignmentsRequest {
  timeoutMs: number;
  topics: ListPartitionReassignmentsTopics[] | null;
}

export interface ListPartitionReassignmentsTopics {
  name: string;
  partitionIndexes: number[];
}

export interface ListPartitionReassignmentsResponse {
  throttleTimeMs: number;
  errorCode: number;
  errorMessage: string | null;
  topics: ListPartitionReassignmentsOngoingTopicReassignment[];
}

export interface ListPartitionReassignmentsOngoingTopicReassignment {
  name: string;
  partitions: ListPartitionReassignmentsOngoingPartitionReassignment[];
}

export interface ListPartitionReassignmentsOngoingPartitionReassignment {
  partitionIndex: number;
  replicas: number[];
  addingReplicas: number[];
  removingReplicas: number[];
}

export interface OffsetDeleteRequest {
  groupId: string;
  topics: OffsetDeleteRequestTopic[];
}

export interface OffsetDeleteRequestTopic {
  name: string;
  partitions: OffsetDeleteRequestPartition[];
}

export interface OffsetDeleteRequestPartition {
  partitionIndex: number;
}

export interface OffsetDeleteResponse {
  errorCode: number;
  throttleTimeMs: number;
  topics: OffsetDeleteResponseTopic[];
}

export interface OffsetDeleteResponseTopic {
  name: string;
  partitions: OffsetDeleteResponsePartition[];
}

export interface OffsetDeleteResponsePartition {
  partitionIndex: number;
  errorCode: number;
}

export interface DescribeClientQuotasRequest {
  components: DescribeClientQuotasComponentData[];
  strict: boolean;
}

export interface DescribeClientQuotasComponentData {
  entityType: string;
  matchType: number;
  match: string | null;
}

export interface DescribeClientQuotasResponse {
  throttleTimeMs: number;
  errorCode: number;
  errorMessage: string | null;
  entries: DescribeClientQuotasEntryData[] | null;
}

export interface DescribeClientQuotasEntryData {
  entity: DescribeClientQuotasEntityData[];
  values: DescribeClientQuotasValueData[];
}

export interface DescribeClientQuotasEntityData {
  entityType: string;
  entityName: string | null;
}

export interface DescribeClientQuotasValueData {
  key: string;
  value: number;
}

export interface AlterClientQuotasRequest {
  entries: AlterClientQuotasRequestEntryData[];
  validateOnly: boolean;
}

export interface AlterClientQuotasRequestEntryData {
  entity: AlterClientQuotasEntityData[];
  ops: AlterClientQuotasOpData[];
}

export interface AlterClientQuotasEntityData {
  entityType: string;
  entityName: string | null;
}

export interface AlterClientQuotasOpData {
  key: string;
  value: number;
  remove: boolean;
}

export interface AlterClientQuotasResponse {
  throttleTimeMs: number;
  entries: AlterClientQuotasResponseEntryData[];
}

export interface AlterClientQuotasResponseEntryData {
  errorCode: number;
  errorMessage: string | null;
  entity: AlterClientQuotasEntityData[];
}

export interface DescribeUserScramCredentialsRequest {
  users: DescribeUserScramCredentialsUserName[] | null;
}

export interface DescribeUserScramCredentialsUserName {
  name: string;
}

export interface DescribeUserScramCredentialsResponse {
  throttleTimeMs: number;
  errorCode: number;
  errorMessage: string | null;
  results: DescribeUserScramCredentialsResult[];
}

export interface DescribeUserScramCredentialsResult {
  user: string;
  errorCode: number;
  errorMessage: string | null;
  credentialInfos: DescribeUserScramCredentialsCredentialInfo[];
}

export interface DescribeUserScramCredentialsCredentialInfo {
  mechanism: number;
  iterations: number;
}

export interface AlterUserScramCredentialsRequest {
  deletions: AlterUserScramCredentialsScramCredentialDeletion[];
  upsertions: AlterUserScramCredentialsScramCredentialUpsertion[];
}

export interface AlterUserScramCredentialsScramCredentialDeletion {
  name: string;
  mechanism: number;
}

export interface AlterUserScramCredentialsScramCredentialUpsertion {
  name: string;
  mechanism: number;
  iterations: number;
  salt: Buffer;
  saltedPassword: Buffer;
}

export interface AlterUserScramCredentialsResponse {
  throttleTimeMs: number;
  results: AlterUserScramCredentialsResult[];
}

export interface AlterUserScramCredentialsResult {
  user: string;
  errorCode: number;
  errorMessage: string | null;
}

export interface DescribeQuorumRequest {
  topics: DescribeQuorumRequestTopicData[];
}

export interface DescribeQuorumRequestTopicData {
  topicName: string;
  partitions: DescribeQuorumRequestPartitionData[];
}

export interface DescribeQuorumRequestPartitionData {
  partitionIndex: number;
}

export interface DescribeQuorumResponse {
  errorCode: number;
  errorMessage: string | null;
  topics: DescribeQuorumResponseTopicData[];
  nodes: DescribeQuorumNode[];
}

export interface DescribeQuorumResponseTopicData {
  topicName: string;
  partitions: DescribeQuorumResponsePartitionData[];
}

export interface DescribeQuorumResponsePartitionData {
  partitionIndex: number;
  errorCode: number;
  errorMessage: string | null;
  leaderId: number;
  leaderEpoch: number;
  highWatermark: number;
  currentVoters: DescribeQuorumReplicaState[];
  observers: DescribeQuorumReplicaState[];
}

export interface DescribeQuorumReplicaState {
  replicaId: number;
  replicaDirectoryId: Uuid;
  logEndOffset: number;
  lastFetchTimestamp: number;
  lastCaughtUpTimestamp: number;
}

export interface DescribeQuorumNode {
  nodeId: number;
  listeners: DescribeQuorumListener[];
}

export interface DescribeQuorumListener {
  name: string;
  host: string;
  port: number;
}

export interface UpdateFeaturesRequest {
  timeoutMs: number;
  featureUpdates: UpdateFeaturesFeatureUpdateKey[];
  validateOnly: boolean;
}

export interface UpdateFeaturesFeatureUpdateKey {
  feature: string;
  maxVersionLevel: number;
  allowDowngrade: boolean;
  upgradeType: number;
}

export interface UpdateFeaturesResponse {
  throttleTimeMs: number;
  errorCode: number;
  errorMessage: string | null;
  results: UpdateFeaturesUpdatableFeatureResult[];
}

export interface UpdateFeaturesUpdatableFeatureResult {
  feature: string;
  errorCode: number;
  errorMessage: string | null;
}

export interface DescribeClusterRequest {
  includeClusterAuthorizedOperations: boolean;
  endpointType: number;
  includeFencedBrokers: boolean;
}

export interface DescribeClusterResponse {
  throttleTimeMs: number;
  errorCode: number;
  errorMessage: string | null;
  endpointType: number;
  clusterId: string;
  controllerId: number;
  brokers: DescribeClusterBroker[];
  clusterAuthorizedOperations: number;
}

export interface DescribeClusterBroker {
  brokerId: number;
  host: string;
  port: number;
  rack: string | null;
  isFenced: boolean;
}

export interface DescribeProducersRequest {
  topics: DescribeProducersTopicRequest[];
}

export interface DescribeProducersTopicRequest {
  name: string;
  partitionIndexes: number[];
}

export interface DescribeProducersResponse {
  throttleTimeMs: number;
  topics: DescribeProducersTopicResponse[];
}

export interface DescribeProducersTopicResponse {
  name: string;
  partitions: DescribeProducersPartitionResponse[];
}

export interface DescribeProducersPartitionResponse {
  partitionIndex: number;
  errorCode: number;
  errorMessage: string | null;
  activeProducers: DescribeProducersProducerState[];
}

export interface DescribeProducersProducerState {
  producerId: number;
  producerEpoch: number;
  lastSequence: number;
  lastTimestamp: number;
  coordinatorEpoch: number;
  currentTxnStartOffset: number;
}

export interface DescribeTransactionsRequest {
  transactionalIds: string[];
}

export interface DescribeTransactionsResponse {
  throttleTimeMs: number;
  transactionStates: DescribeTransactionsTransactionState[];
}

export interface DescribeTransactionsTransactionState {
  errorCode: number;
  transactionalId: string;
  transactionState: string;
  transactionTimeoutMs: number;
  transactionStartTimeMs: number;
  producerId: number;
  producerEpoch: number;
  topics: DescribeTransactionsTopicData[];
}

export interface DescribeTransactionsTopicData {
  topic: string;
  partitions: number[];
}

export interface ListTransactionsRequest {
  stateFilters: string[];
  producerIdFilters: number[];
  durationFilter: number;
  transactionalIdPattern: string | null;
}

export interface ListTransactionsResponse {
  throttleTimeMs: number;
  errorCode: number;
  unknownStateFilters: string[];
  transactionStates: ListTransactionsTransactionState[];
}

export interface ListTransactionsTransactionState {
  transactionalId: string;
  producerId: number;
  transactionState: string;
}

export interface ConsumerGroupHeartbeatRequest {
  groupId: string;
  memberId: string;
  memberEpoch: number;
  instanceId: string | null;
  rackId: string | null;
  rebalanceTimeoutMs: number;
  subscribedTopicNames: string[] | null;
  subscribedTopicRegex: string | null;
  serverAssignor: string | null;
  topicPartitions: ConsumerGroupHeartbeatTopicPartitions[] | null;
}

export interface ConsumerGroupHeartbeatTopicPartitions {
  topicId: Uuid;
  partitions: number[];
}

export interface ConsumerGroupHeartbeatResponse {
  throttleTimeMs: number;
  errorCode: number;
  errorMessage: string | null;
  memberId: string | null;
  memberEpoch: number;
  heartbeatIntervalMs: number;
  assignment: ConsumerGroupHeartbeatAssignment | null;
}

export interface ConsumerGroupHeartbeatAssignment {
  topicPartitions: ConsumerGroupHeartbeatTopicPartitions[];
}

export interface ConsumerGroupDescribeRequest {
  groupIds: string[];
  includeAuthorizedOperations: boolean;
}

export interface ConsumerGroupDescribeResponse {
  throttleTimeMs: number;
  groups: ConsumerGroupDescribedGroup[];
}

export interface ConsumerGroupDescribedGroup {
  errorCode: number;
  errorMessage: string | null;
  groupId: string;
  groupState: string;
  groupEpoch: number;
  assignmentEpoch: number;
  assignorName: string;
  members: ConsumerGroupDescribeMember[];
  authorizedOperations: number;
}

export interface ConsumerGroupDescribeMember {
  memberId: string;
  instanceId: string | null;
  rackId: string | null;
  memberEpoch: number;
  clientId: string;
  clientHost: string;
  subscribedTopicNames: string[];
  subscribedTopicRegex: string | null;
  assignment: ConsumerGroupDescribeAssignment;
  targetAssignment: ConsumerGroupDescribeAssignment;
  memberType: number;
}

export interface ConsumerGroupDescribeAssignment {
  topicPartitions: ConsumerGroupDescribeTopicPartitions[];
}

export interface ConsumerGroupDescribeTopicPartitions {
  topicId: Uuid;
  topicName: string;
  partitions: number[];
}

export interface ListConfigResourcesRequest {
  resourceTypes: number[];
}

export interface ListConfigResourcesResponse {
  throttleTimeMs: number;
  errorCode: number;
  configResources: ListConfigResourcesConfigResource[];
}

export interface ListConfigResourcesConfigResource {
  resourceName: string;
  resourceType: number;
}

export interface DescribeTopicPartitionsRequest {
  topics: DescribeTopicPartitionsTopicRequest[];
  responsePartitionLimit: number;
  cursor: DescribeTopicPartitionsCursor | null;
}

export interface DescribeTopicPartitionsTopicRequest {
  name: string;
}

export interface DescribeTopicPartitionsCursor {
  topicName: string;
  partitionIndex: number;
}

export interface DescribeTopicPartitionsResponse {
  throttleTimeMs: number;
  topics: DescribeTopicPartitionsResponseTopic[];
  nextCursor: DescribeTopicPartitionsCursor | null;
}

export interface DescribeTopicPartitionsResponseTopic {
  errorCode: number;
  name: string | null;
  topicId: Uuid;
  isInternal: boolean;
  partitions: DescribeTopicPartitionsResponsePartition[];
  topicAuthorizedOperations: number;
}

export interface DescribeTopicPartitionsResponsePartition {
  errorCode: number;
  partitionIndex: number;
  leaderId: number;
  leaderEpoch: number;
  replicaNodes: number[];
  isrNodes: number[];
  eligibleLeaderReplicas: number[] | null;
  lastKnownElr: number[] | null;
  offlineReplicas: number[];
}

export interface ShareGroupHeartbeatRequest {
  groupId: string;
  memberId: string;
  memberEpoch: number;
  rackId: string | null;
  subscribedTopicNames: string[] | null;
}

export interface ShareGroupHeartbeatResponse {
  throttleTimeMs: number;
  errorCode: number;
  errorMessage: string | null;
  memberId: string | null;
  memberEpoch: number;
  heartbeatIntervalMs: number;
  assignment: ShareGroupHeartbeatAssignment | null;
}

export interface ShareGroupHeartbeatAssignment {
  topicPartitions: ShareGroupHeartbeatTopicPartitions[];
}

export interface ShareGroupHeartbeatTopicPartitions {
  topicId: Uuid;
  partitions: number[];
}

export interface ShareGroupDescribeRequest {
  groupIds: string[];
  includeAuthorizedOperations: boolean;
}

export interface ShareGroupDescribeResponse {
  throttleTimeMs: number;
  groups: ShareGroupDescribedGroup[];
}

export interface ShareGroupDescribedGroup {
  errorCode: number;
  errorMessage: string | null;
  groupId: string;
  groupState: string;
  groupEpoch: number;
  assignmentEpoch: number;
  assignorName: string;
  members: ShareGroupDescribeMember[];
  authorizedOperations: number;
}

export interface ShareGroupDescribeMember {
  memberId: string;
  rackId: string | null;
  memberEpoch: number;
  clientId: string;
  clientHost: string;
  subscribedTopicNames: string[];
  assignment: ShareGroupDescribeAssignment;
}

export interface ShareGroupDescribeAssignment {
  topicPartitions: ShareGroupDescribeTopicPartitions[];
}

export interface ShareGroupDescribeTopicPartitions {
  topicId: Uuid;
  topicName: string;
  partitions: number[];
}

export interface ShareFetchRequest {
  groupId: string | null;
  memberId: string | null;
  shareSessionEpoch: number;
  maxWaitMs: number;
  minBytes: number;
  maxBytes: number;
  maxRecords: number;
  batchSize: number;
  shareAcquireMode: number;
  isRenewAck: boolean;
  topics: ShareFetchTopic[];
  forgottenTopicsData: ShareFetchForgottenTopic[];
}

export interface ShareFetchTopic {
  topicId: Uuid;
  partitions: ShareFetchPartition[];
}

export interface ShareFetchPartition {
  partitionIndex: number;
  partitionMaxBytes: number;
  acknowledgementBatches: ShareFetchAcknowledgementBatch[];
}

export interface ShareFetchAcknowledgementBatch {
  firstOffset: number;
  lastOffset: number;
  acknowledgeTypes: number[];
}

export interface ShareFetchForgottenTopic {
  topicId: Uuid;
  partitions: number[];
}

export interface ShareFetchResponse {
  throttleTimeMs: number;
  errorCode: number;
  errorMessage: string | null;
  acquisitionLockTimeoutMs: number;
  responses: ShareFetchableTopicResponse[];
  nodeEndpoints: ShareFetchNodeEndpoint[];
}

export interface ShareFetchableTopicResponse {
  topicId: Uuid;
  partitions: ShareFetchPartitionData[];
}

export interface ShareFetchPartitionData {
  partitionIndex: number;
  errorCode: number;
  errorMessage: string | null;
  acknowledgeErrorCode: number;
  acknowledgeErrorMessage: string | null;
  currentLeader: ShareFetchLeaderIdAndEpoch;
  records: readonly Buffer[] | null;
  acquiredRecords: ShareFetchAcquiredRecords[];
}

export interface ShareFetchLeaderIdAndEpoch {
  leaderId: number;
  leaderEpoch: number;
}

export interface ShareFetchAcquiredRecords {
  firstOffset: number;
  lastOffset: number;
  deliveryCount: number;
}

export interface ShareFetchNodeEndpoint {
  nodeId: number;
  host: string;
  port: number;
  rack: string | null;
}

export interface ShareAcknowledgeRequest {
  groupId: string | null;
  memberId: string | null;
  shareSessionEpoch: number;
  isRenewAck: boolean;
  topics: ShareAcknowledgeTopic[];
}

export interface ShareAcknowledgeTopic {
  topicId: Uuid;
  partitions: ShareAcknowledgePartition[];
}

export interface ShareAcknowledgePartition {
  partitionIndex: number;
  acknowledgementBatches: ShareAcknowledgementBatch[];
}

export interface ShareAcknowledgementBatch {
  firstOffset: number;
  lastOffset: number;
  acknowledgeTypes: number[];
}

export interface ShareAcknowledgeResponse {
  throttleTimeMs: number;
  errorCode: number;
  errorMessage: string | null;
  acquisitionLockTimeoutMs: number;
  responses: ShareAcknowledgeTopicResponse[];
  nodeEndpoints: ShareAcknowledgeNodeEndpoint[];
}

export interface ShareAcknowledgeTopicResponse {
  topicId: Uuid;
  partitions: ShareAcknowledgePartitionData[];
}

export interface ShareAcknowledgePartitionData {
  partitionIndex: number;
  errorCode: number;
  errorMessage: string | null;
  currentLeader: ShareAcknowledgeLeaderIdAndEpoch;
}

export interface ShareAcknowledgeLeaderIdAndEpoch {
  leaderId: number;
  leaderEpoch: number;
}

export interface ShareAcknowledgeNodeEndpoint {
  nodeId: number;
  host: string;
  port: number;
  rack: string | null;
}

export interface DescribeShareGroupOffsetsRequest {
  groups: DescribeShareGroupOffsetsRequestGroup[];
}

export interface DescribeShareGroupOffsetsRequestGroup {
  groupId: string;
  topics: DescribeShareGroupOffsetsRequestTopic[] | null;
}

export interface DescribeShareGroupOffsetsRequestTopic {
  topicName: string;
  partitions: number[];
}

export interface DescribeShareGroupOffsetsResponse {
  throttleTimeMs: number;
  groups: DescribeShareGroupOffsetsResponseGroup[];
}

export interface DescribeShareGroupOffsetsResponseGroup {
  groupId: string;
  topics: DescribeShareGroupOffsetsResponseTopic[];
  errorCode: number;
  errorMessage: string | null;
}

export interface DescribeShareGroupOffsetsResponseTopic {
  topicName: string;
  topicId: Uuid;
  partitions: DescribeShareGroupOffsetsResponsePartition[];
}

export interface DescribeShareGroupOffsetsResponsePartition {
  partitionIndex: number;
  startOffset: number;
  leaderEpoch: number;
  lag: number;
  errorCode: number;
  errorMessage: string | null;
}

export interface AlterShareGroupOffsetsRequest {
  groupId: string;
  topics: AlterShareGroupOffsetsRequestTopic[];
}

export interface AlterShareGroupOffsetsRequestTopic {
  topicName: string;
  partitions: AlterShareGroupOffsetsRequestPartition[];
}

export interface AlterShareGroupOffsetsRequestPartition {
  partitionIndex: number;
  startOffset: number;
}

export interface AlterShareGroupOffsetsResponse {
  throttleTimeMs: number;
  errorCode: number;
  errorMessage: string | null;
  responses: AlterShareGroupOffsetsResponseTopic[];
}

export interface AlterShareGroupOffsetsResponseTopic {
  topicName: string;
  topicId: Uuid;
  partitions: AlterShareGroupOffsetsResponsePartition[];
}

export interface AlterShareGroupOffsetsResponsePartition {
  partitionIndex: number;
  errorCode: number;
  errorMessage: string | null;
}

export interface DeleteShareGroupOffsetsRequest {
  groupId: string;
  topics: DeleteShareGroupOffsetsRequestTopic[];
}

export interface DeleteShareGroupOffsetsRequestTopic {
  topicName: string;
}

export interface DeleteShareGroupOffsetsResponse {
  throttleTimeMs: number;
  errorCode: number;
  errorMessage: string | null;
  responses: DeleteShareGroupOffsetsResponseTopic[];
}

export interface DeleteShareGroupOffsetsResponseTopic {
  topicName: string;
  topicId: Uuid;
  errorCode: number;
  errorMessage: string | null;
}

export interface DescribeSegmentsRequest {
  topics: DescribeSegmentsTopic[];
}

export interface DescribeSegmentsTopic {
  name: string;
  partitions: DescribeSegmentsPartition[];
}

export interface DescribeSegmentsPartition {
  partitionIndex: number;
  offset: number;
}

export interface DescribeSegmentsResponse {
  topics: DescribeSegmentsDescribedSegmentsTopic[];
}

export interface DescribeSegmentsDescribedSegmentsTopic {
  name: string;
  partitions: DescribeSegmentsDescribedSegmentsPartition[];
}

export interface DescribeSegmentsDescribedSegmentsPartition {
  partitionIndex: number;
  errorCode: number;
  errorMessage: string | null;
  folder: string;
  segments: DescribeSegmentsDescribedSegment[];
  damaged: DescribeSegmentsDamagedPlace[];
  place: DescribeSegmentsPlaceOfOffset | null;
}

export interface DescribeSegmentsDescribedSegment {
  baseOffset: number;
  endNext: number;
  sizeBytes: number;
  maxTimestampMs: number;
  offsetEntries: number;
  timeEntries: number;
}

export interface DescribeSegmentsDamagedPlace {
  segment: number;
  position: number;
  sizeBytes: number;
  firstOffset: number;
  nextOffset: number;
  foundAtMs: number;
  what: string;
}

export interface DescribeSegmentsPlaceOfOffset {
  segment: number;
  offsetEntry: DescribeSegmentsOffsetEntry | null;
  timeEntry: DescribeSegmentsTimeEntry | null;
  batch: DescribeSegmentsPlaceOfBatch | null;
}

export interface DescribeSegmentsOffsetEntry {
  offset: number;
  position: number;
}

export interface DescribeSegmentsTimeEntry {
  timestampMs: number;
  offset: number;
}

export interface DescribeSegmentsPlaceOfBatch {
  position: number;
  sizeBytes: number;
  baseOffset: number;
  lastOffset: number;
  leaderEpoch: number;
  records: number;
  maxTimestampMs: number;
  compression: string;
}
