import { type KafkaErrorName, kafkaErrorName, kafkaErrors } from './kafka-errors.ts';

interface FaultSpec {
  /** The error that a Kafka client is answered with. */
  kafka: KafkaErrorName;
  /** Whether the same request may succeed later; what Kafka says of the error unless stated. */
  retriable?: boolean;
  /** What happened and what the user can do, in one sentence without a full stop. */
  says: string;
}

/** Every failure that can be expected. One that is not here is a bug (invariant.ts). */
export const faults = {
  // What clients ask for
  malformedRequest: { kafka: 'INVALID_REQUEST', says: 'the request does not follow the Kafka protocol' },
  unsupportedVersion: {
    kafka: 'UNSUPPORTED_VERSION',
    says: 'this version of the request is not served; ask ApiVersions for those that are',
  },
  invalidRequest: { kafka: 'INVALID_REQUEST', says: 'the request contradicts itself' },
  unknownPartition: {
    kafka: 'UNKNOWN_TOPIC_OR_PARTITION',
    says: 'no such topic or partition; create it or check the name',
  },
  unknownTopicId: { kafka: 'UNKNOWN_TOPIC_ID', says: 'no topic has this id; the topic was deleted or made again' },
  topicExists: { kafka: 'TOPIC_ALREADY_EXISTS', says: 'a topic of this name exists' },
  invalidTopicName: {
    kafka: 'INVALID_TOPIC_EXCEPTION',
    says: 'a topic name is 1 to 249 letters, digits, ".", "_" or "-", and not "." or ".."',
  },
  topicNameCollides: {
    kafka: 'INVALID_TOPIC_EXCEPTION',
    says: 'a topic exists whose name differs only in "." and "_"; choose a name that differs in more',
  },
  invalidPartitions: { kafka: 'INVALID_PARTITIONS', says: 'the number of partitions is out of range' },
  invalidReplicationFactor: {
    kafka: 'INVALID_REPLICATION_FACTOR',
    says: 'the replication factor must be -1 or at least 1',
  },
  invalidReplicaAssignment: {
    kafka: 'INVALID_REPLICA_ASSIGNMENT',
    says: 'the replica assignment must name this broker alone, for partitions 0 to n',
  },
  invalidConfig: { kafka: 'INVALID_CONFIG', says: 'a setting is unknown or its value is out of range' },
  offsetOutOfRange: {
    kafka: 'OFFSET_OUT_OF_RANGE',
    says: 'the offset lies outside the partition; choose one within it, or earliest or latest',
  },
  fencedLeaderEpoch: {
    kafka: 'FENCED_LEADER_EPOCH',
    says: "the leader epoch is older than the broker's; refresh metadata",
  },
  unknownLeaderEpoch: { kafka: 'UNKNOWN_LEADER_EPOCH', says: "the leader epoch is newer than the broker's" },
  fetchSessionNotFound: { kafka: 'FETCH_SESSION_ID_NOT_FOUND', says: 'the fetch session is gone; send a full fetch' },
  invalidFetchSessionEpoch: {
    kafka: 'INVALID_FETCH_SESSION_EPOCH',
    says: 'the fetch session continues at another epoch; send a full fetch',
  },
  fetchSessionTopicIds: {
    kafka: 'FETCH_SESSION_TOPIC_ID_ERROR',
    says: 'the fetch session names topics otherwise than this version does; send a full fetch',
  },
  mismatchedEndpointType: {
    kafka: 'MISMATCHED_ENDPOINT_TYPE',
    says: 'this listener serves brokers; there are no controllers to ask',
  },
  unsupportedEndpointType: { kafka: 'UNSUPPORTED_ENDPOINT_TYPE', says: 'no such type of endpoint' },
  invalidRequiredAcks: { kafka: 'INVALID_REQUIRED_ACKS', says: 'acks must be 0, 1 or -1 (all)' },
  securityDisabled: { kafka: 'SECURITY_DISABLED', says: 'access control is not configured on this broker' },
  policyViolation: { kafka: 'POLICY_VIOLATION', says: 'the broker does not allow this' },
  requestTimedOut: {
    kafka: 'REQUEST_TIMED_OUT',
    says: 'the broker did not finish in the time that the request allows',
  },

  // Record batches
  corruptBatch: { kafka: 'CORRUPT_MESSAGE', says: 'the record batch is damaged' },
  recordRefused: { kafka: 'INVALID_RECORD', says: 'the broker refuses the record' },
  invalidBatch: { kafka: 'INVALID_RECORD', says: 'the record batch breaks a rule of the format' },
  batchTooLarge: {
    kafka: 'MESSAGE_TOO_LARGE',
    says: "the record batch is larger than the topic's max.message.bytes; send smaller batches or raise the setting",
  },
  unsupportedMagic: { kafka: 'UNSUPPORTED_FOR_MESSAGE_FORMAT', says: 'only record batches of format 2 are accepted' },
  unsupportedCompression: {
    kafka: 'UNSUPPORTED_COMPRESSION_TYPE',
    says: 'the compression type is not known here or its optional library is not installed',
  },
  invalidTimestamp: {
    kafka: 'INVALID_TIMESTAMP',
    says: "the record timestamp is outside what the topic's settings allow",
  },

  // Idempotent producers
  outOfOrderSequence: {
    kafka: 'OUT_OF_ORDER_SEQUENCE_NUMBER',
    says: "the producer's sequence number leaves a gap; records before it were not stored",
  },
  duplicateSequence: {
    kafka: 'DUPLICATE_SEQUENCE_NUMBER',
    says: 'the batch was stored before, too long ago to say where',
  },
  invalidProducerEpoch: { kafka: 'INVALID_PRODUCER_EPOCH', says: 'a newer instance of this producer exists' },
  unknownProducerId: { kafka: 'UNKNOWN_PRODUCER_ID', says: 'the broker no longer knows this producer; start it again' },
  transactionsNotServed: { kafka: 'UNSUPPORTED_VERSION', says: 'transactions are not served by this broker' },

  // Groups
  invalidGroupId: { kafka: 'INVALID_GROUP_ID', says: 'a group id must not be empty' },
  groupNotFound: { kafka: 'GROUP_ID_NOT_FOUND', says: 'no such group; check the name' },
  nonEmptyGroup: { kafka: 'NON_EMPTY_GROUP', says: 'the group has members; stop them first' },
  groupSubscribed: {
    kafka: 'GROUP_SUBSCRIBED_TO_TOPIC',
    says: 'the group has members that are subscribed to the topic; stop them first',
  },
  unknownMember: {
    kafka: 'UNKNOWN_MEMBER_ID',
    says: 'the group does not know this member, or no longer; it must join again',
  },
  illegalGeneration: {
    kafka: 'ILLEGAL_GENERATION',
    says: "the member's generation is not the group's; it must join again",
  },
  fencedInstance: {
    kafka: 'FENCED_INSTANCE_ID',
    says: 'another member has joined with this group.instance.id; each instance needs its own',
  },
  rebalanceInProgress: {
    kafka: 'REBALANCE_IN_PROGRESS',
    says: 'the group is dividing its partitions anew; the member must join again',
  },
  memberIdRequired: { kafka: 'MEMBER_ID_REQUIRED', says: 'the member must join again with the id it was given' },
  groupFull: {
    kafka: 'GROUP_MAX_SIZE_REACHED',
    says: "the group has as many members as the broker's group.max.size allows",
  },
  invalidSessionTimeout: {
    kafka: 'INVALID_SESSION_TIMEOUT',
    says: "the session timeout must lie within the broker's group.min.session.timeout.ms and group.max.session.timeout.ms",
  },
  inconsistentGroupProtocol: {
    kafka: 'INCONSISTENT_GROUP_PROTOCOL',
    says: 'the member has no protocol in common with the group; all members need one assignment strategy in common',
  },
  offsetMetadataTooLarge: {
    kafka: 'OFFSET_METADATA_TOO_LARGE',
    says: "the metadata of a committed offset is longer than the broker's offset.metadata.max.bytes",
  },
  fencedMemberEpoch: {
    kafka: 'FENCED_MEMBER_EPOCH',
    says: "the member's epoch is not the one it was told; it must give up its partitions and join again",
  },
  staleMemberEpoch: {
    kafka: 'STALE_MEMBER_EPOCH',
    says: "the member's epoch is older than its partition; it must take the next answer to its heartbeat first",
  },
  unreleasedInstance: {
    kafka: 'UNRELEASED_INSTANCE_ID',
    says: 'a member with this group.instance.id has not left; stop it, or wait until its session ends',
  },
  unsupportedAssignor: {
    kafka: 'UNSUPPORTED_ASSIGNOR',
    says: 'no such assignor here; group.remote.assignor must be uniform or range',
  },
  invalidRegularExpression: {
    kafka: 'INVALID_REGULAR_EXPRESSION',
    says: 'the pattern of topic names is not in the syntax of RE2, or is too large',
  },
  coordinatorNotAvailable: {
    kafka: 'COORDINATOR_NOT_AVAILABLE',
    says: 'the group coordinator cannot do this now; try again',
  },

  // The machine
  diskError: { kafka: 'KAFKA_STORAGE_ERROR', says: 'the disk failed' },
  diskFull: { kafka: 'KAFKA_STORAGE_ERROR', says: 'the disk is full; free some room and writing resumes by itself' },
  diskFullAtStart: {
    kafka: 'KAFKA_STORAGE_ERROR',
    retriable: false,
    says: 'the disk is full, and this start has to write; free some room and start again',
  },
  readOnlyDisk: {
    kafka: 'KAFKA_STORAGE_ERROR',
    says: 'the data folder cannot be written; check its owner, its mode and how it is mounted',
  },
  notAFolder: {
    kafka: 'KAFKA_STORAGE_ERROR',
    retriable: false,
    says: 'what is there is no folder; choose another place for the data',
  },
  foreignFolder: {
    kafka: 'KAFKA_STORAGE_ERROR',
    retriable: false,
    says: 'the folder holds something else than the data of a Millrace; choose another place for the data',
  },
  nestedFolder: {
    kafka: 'KAFKA_STORAGE_ERROR',
    retriable: false,
    says: 'the folder is a part of the data of another Millrace; choose another place for the data',
  },
  brokerStopped: { kafka: 'BROKER_NOT_AVAILABLE', retriable: true, says: 'the broker is stopping or has stopped' },
  folderInUse: {
    kafka: 'KAFKA_STORAGE_ERROR',
    retriable: false,
    says: 'another process uses the data folder; stop it or choose another folder',
  },
  folderTooNew: {
    kafka: 'KAFKA_STORAGE_ERROR',
    retriable: false,
    says: 'the data folder was written by a newer Millrace; use that version or a newer one',
  },
  damagedMetadata: {
    kafka: 'KAFKA_STORAGE_ERROR',
    retriable: false,
    says: "the data folder's own records are damaged; no stored record was changed; restore a backup of the whole folder, unless another way is named here, and see with millrace log verify what else is damaged",
  },
  damagedFiles: {
    kafka: 'KAFKA_STORAGE_ERROR',
    retriable: false,
    says: 'stored files are not what was written, or gone',
  },
  portInUse: {
    kafka: 'NETWORK_EXCEPTION',
    retriable: false,
    says: 'the address is in use; stop what listens there or choose another port',
  },
  addressUnavailable: {
    kafka: 'NETWORK_EXCEPTION',
    retriable: false,
    says: "the address cannot be listened on; it must be one of this machine's",
  },

  // The SDK's own
  connectionFailed: {
    kafka: 'NETWORK_EXCEPTION',
    says: 'the broker cannot be reached; check the address and that it runs',
  },
  connectionClosed: { kafka: 'NETWORK_EXCEPTION', says: 'the connection was closed before the answer came' },
  deliveryTimedOut: {
    kafka: 'REQUEST_TIMED_OUT',
    retriable: false,
    says: 'the record could not be delivered in time; it may or may not be stored',
  },
  unknownTopic: {
    kafka: 'UNKNOWN_TOPIC_OR_PARTITION',
    retriable: false,
    says: 'no such topic; create it or check the name',
  },
  notAssigned: {
    kafka: 'ILLEGAL_GENERATION',
    says: 'the partition is not, or no longer, assigned to this consumer; whoever has it goes on from the committed offset',
  },
  commitFenced: {
    kafka: 'ILLEGAL_GENERATION',
    says: 'the group went on without this member and refused its commit; whoever has the partitions now handles the records since the last commit again',
  },
  noCommittedOffset: {
    kafka: 'OFFSET_OUT_OF_RANGE',
    says: 'the group has committed no offset for the partition; commit one, or choose where to begin: from earliest or latest',
  },
  producerOverfull: {
    kafka: 'INVALID_REQUEST',
    says: "too many sends wait for room in the producer's buffer; await ready() or what send returns before sending more",
  },
  clientClosed: { kafka: 'NETWORK_EXCEPTION', retriable: false, says: 'this client was closed' },
  notSupportedByBroker: { kafka: 'UNSUPPORTED_VERSION', says: 'the broker does not offer what this call needs' },
  invalidArgument: { kafka: 'INVALID_REQUEST', says: 'an argument is out of range' },
  malformedResponse: {
    kafka: 'INVALID_REQUEST',
    says: 'the answer does not follow the Kafka protocol; check that a Kafka broker listens there',
  },
  replayIntoItself: {
    kafka: 'INVALID_REQUEST',
    says: 'the topic would be replayed into itself: it would store its records once more, and every consumer of it read them again; choose another topic, or allow it',
  },
  replayRangeLost: {
    kafka: 'OFFSET_OUT_OF_RANGE',
    retriable: false,
    says: 'the source does not have all records of the range; they were deleted, or never there: choose a range that is, and replay it anew',
  },
  replayDiverged: {
    kafka: 'INVALID_REQUEST',
    says: 'source or target changed, so that the replay cannot go on without losing or doubling records; replay anew, into a topic of its own',
  },
  replayCheckpointMismatch: {
    kafka: 'INVALID_REQUEST',
    says: 'the checkpoint is that of another replay; name the same arguments, or another checkpoint',
  },
  damagedCheckpoint: {
    kafka: 'INVALID_REQUEST',
    says: 'the checkpoint cannot be read, and nothing was sent; name the right file, or replay anew, into a topic of its own',
  },
  recordFailed: {
    kafka: 'INVALID_RECORD',
    says: 'the handler failed with this record; correct it and start the worker again, or name a deadLetter topic',
  },
  recordOverdue: {
    kafka: 'REQUEST_TIMED_OUT',
    retriable: false,
    says: 'the handler did not end before the deadline',
  },
  workTakenAway: {
    kafka: 'REBALANCE_IN_PROGRESS',
    retriable: false,
    says: 'the partition was given up while its record was in work; it is worked again by who has it next',
  },
  undecodableValue: { kafka: 'INVALID_RECORD', says: 'the bytes are not of the format that the codec reads' },
  brokerError: { kafka: 'UNKNOWN_SERVER_ERROR', says: 'the broker answered with an error' },

  // A bug of ours in what only reads. Last, so that it does not speak for its code in the SDK.
  readFailed: {
    kafka: 'UNKNOWN_SERVER_ERROR',
    says: 'the broker met a bug in this request, which changed nothing; its log says more',
  },
} as const satisfies Record<string, FaultSpec>;

export type FaultName = keyof typeof faults;

export interface FaultFacts {
  /** What precisely: names, numbers, the found and the expected. */
  detail?: string | undefined;
  cause?: unknown;
  /** The broker's own code, where the catalogue has no closer entry (brokerError). */
  kafka?: KafkaErrorName | undefined;
}

/** A detail may quote what a peer sent: cut, it still fits a string of the protocol (32,767 bytes) and a line of a log. */
const DETAIL_CHARACTERS_MAX = 2000;

/** A failure that can be expected: it is answered, never crashed on. */
export class Fault extends Error {
  override name = 'Fault';
  readonly fault: FaultName;
  /** What the message says of this one case, after the catalogue's sentence. */
  readonly detail: string | null;
  readonly kafka: KafkaErrorName;
  /** The code that goes over the wire. */
  readonly code: number;
  readonly retriable: boolean;

  constructor(fault: FaultName, facts: FaultFacts = {}) {
    const spec: FaultSpec = faults[fault];
    const detail = facts.detail?.slice(0, DETAIL_CHARACTERS_MAX);
    super(detail === undefined ? spec.says : `${spec.says}: ${detail}`, { cause: facts.cause });
    this.fault = fault;
    this.detail = detail ?? null;
    this.kafka = facts.kafka ?? spec.kafka;
    this.code = kafkaErrors[this.kafka].code;
    this.retriable = spec.retriable ?? kafkaErrors[this.kafka].retriable;
  }
}

export function isFault(error: unknown, fault: FaultName): error is Fault {
  return error instanceof Fault && error.fault === fault;
}

// The first catalogue entry for each Kafka error is the one that speaks for it.
const faultByKafka = new Map<KafkaErrorName, FaultName>();
for (const [name, spec] of Object.entries(faults)) {
  if (!faultByKafka.has(spec.kafka)) faultByKafka.set(spec.kafka, name as FaultName);
}

/** What a broker answered, as a fault; null for code 0. `detail` is the broker's own message, where it sent one. */
export function faultFromKafka(code: number, detail?: string | null): Fault | null {
  if (code === 0) return null;
  const kafka = kafkaErrorName(code);
  const fault = kafka === null ? undefined : (namedIn(detail, kafka) ?? faultByKafka.get(kafka));
  if (kafka !== null && fault !== undefined) return new Fault(fault, { detail: withoutSentence(detail, fault), kafka });
  const said = `${kafka ?? `code ${code}`}${detail ? `: ${detail}` : ''}`;
  return new Fault('brokerError', { detail: said, kafka: kafka ?? undefined });
}

/** Of several faults with one code, a Millrace says in its message which it is. */
function namedIn(detail: string | null | undefined, kafka: KafkaErrorName): FaultName | undefined {
  if (kafka !== 'INVALID_TOPIC_EXCEPTION' || !detail) return;
  return detail.includes(faults.topicNameCollides.says) ? 'topicNameCollides' : undefined;
}

/** A Millrace's message begins with the fault's own sentence, which is not to be said again. */
function withoutSentence(detail: string | null | undefined, fault: FaultName): string | undefined {
  return detail?.replace(`${faults[fault].says}: `, '');
}
