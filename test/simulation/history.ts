import { invariant } from '../../src/base/invariant.ts';

/**
 * What the clients of a simulated broker asked and were told, in the order in which they asked; the checkers judge nothing else.
 *
 * An operation that the broker certainly did not do has failed (`fail`: refused by name, or never put out). One whose answer
 * is missing or says nothing (a broken connection, a time limit, a crash) is `info`: done, not done, or done later. One that
 * is tried again by its client is one operation, from the first attempt to the last answer.
 */

/** Steps order what happened: `a` was over before `b` began when its step is smaller. Time is the virtual clock's true time. */
export interface Moment {
  readonly step: number;
  readonly timeMs: number;
}

/** One partition. A topic that is made again under its old name is another topic: it is named by its id, or anew. */
export interface Place {
  readonly topic: string;
  readonly partition: number;
}

export interface TopicFacts {
  readonly topic: string;
  /** With which it was made; it may have got more. */
  readonly partitions: number;
  /** True: a record may go once a later one has its key (`cleanup.policy` with compact). */
  readonly isCompacted: boolean;
  /** True with `flush.messages=1`: what is visible survives a power cut. Else a power cut may take what came last. */
  readonly isSynced: boolean;
  /** True with `millrace.rot=skip`: readers are led past damaged records. */
  readonly skipsRot?: boolean;
}

/** One record; no two of a history have the same value, so that it names one send. A tombstone carries it in a header. */
export interface SentRecord {
  readonly value: string;
  readonly key?: string;
  readonly isTombstone?: boolean;
}

export interface SeenRecord {
  readonly offset: number;
  readonly value: string;
}

/** Records of one leader epoch: `from` is the first that was seen, `last` the last. */
export interface EpochRange {
  readonly epoch: number;
  readonly from: number;
  readonly last: number;
}

export interface PlacedOffset extends Place {
  readonly offset: number;
}

/** What a group has committed for a partition, with the tag of the commit that did it; null where it has nothing. */
export interface CommittedPlace extends Place {
  readonly committed: { readonly offset: number; readonly tag: string } | null;
}

/** Who reads or commits for a group: a classic member with its generation, or a KIP-848 member with its epoch. */
export interface Membership {
  readonly group: string;
  readonly member: string;
  /** `group.instance.id` of a static member. */
  readonly instance?: string;
  readonly generation: number;
}

interface OperationKinds {
  /** Records of one request for one partition: they lie one behind the other, from the acknowledged offset on. */
  send: {
    call: {
      readonly place: Place;
      readonly acks: 0 | 1 | -1;
      readonly records: readonly SentRecord[];
      /** With one, the order of sequences is the order in the log, and no record is there twice. */
      readonly producer?: { readonly id: number; readonly epoch: number; readonly sequence: number };
      /** Asked again by its client when the answer is missing: without a producer it may be there more than once. */
      readonly retries?: boolean;
      /** One of the last, to every partition, when nothing disturbs any more. */
      readonly isFinal?: boolean;
      /** The true time from which retention may take the records, or compaction a tombstone; none when only a trim may. */
      readonly mayExpireFromMs?: number;
      /** The broker stamps them, and its clock is behind. */
      readonly isStampedBehind?: boolean;
    };
    /**
     * `offset` is that of the first record; null with acks=0 (nothing was told). `askedBefore`: nothing is known of an earlier
     * attempt, which may have been stored too, or may be yet.
     */
    result: { readonly offset: number | null; readonly askedBefore?: boolean };
  };
  poll: {
    call: {
      readonly place: Place;
      readonly offset: number;
      /** The reader of a group, when it is one. */
      readonly as?: Membership;
      /** One of the last reading of all, from the log start to the end, after which nothing is sent. */
      readonly isFinal?: boolean;
    };
    /** `next` is where the reader goes on: every offset from `call.offset` to it has been passed. */
    result: {
      readonly records: readonly SeenRecord[];
      readonly next: number;
      readonly highWatermark: number;
      readonly logStart: number;
      /** The leader epochs of what was read, one behind the other. */
      readonly epochs?: readonly EpochRange[];
    };
  };
  /** OffsetForLeaderEpoch: the largest epoch up to this one, and where it ends; both -1 when the broker knows of none. */
  epochEnd: {
    call: { readonly place: Place; readonly epoch: number };
    result: { readonly epoch: number; readonly endOffset: number };
  };
  /** 'latest' is answered with the high watermark. */
  listOffsets: {
    call: { readonly place: Place; readonly at: 'earliest' | 'latest' };
    result: { readonly offset: number };
  };
  /** DeleteRecords: what lies below `before` may be gone from the moment it was asked. */
  trim: {
    call: { readonly place: Place; readonly before: number };
    result: { readonly logStart: number };
  };
  createTopic: { call: { readonly topic: string }; result: object };
  /** CreatePartitions: `count` is how many the topic is to have. */
  addPartitions: { call: { readonly topic: string; readonly count: number }; result: object };
  /** How many partitions a topic has, and so which of them its clients use. */
  metadata: { call: { readonly topic: string }; result: { readonly partitions: number } };
  deleteTopic: { call: { readonly topic: string }; result: object };

  /** JoinGroup up to its answer, or the first heartbeat of KIP-848. `instance` without `member`: a static member that starts. */
  join: {
    call: { readonly group: string; readonly member?: string; readonly instance?: string; readonly protocol: Protocol };
    result: { readonly member: string; readonly generation: number };
  };
  /** Noted by a member when it takes or gives up partitions: from then on it holds just these, until it notes others. */
  owns: { call: Membership & { readonly places: readonly Place[] }; result: object };
  /** An accepted one proves that the member is known with this generation. */
  heartbeat: { call: Membership; result: { readonly generation: number; readonly mustRejoin: boolean } };
  leave: { call: Membership; result: object };
  /**
   * One operation for all partitions that had the same outcome. `tag` is in no other commit, and goes along as the metadata.
   * Without `as`: by an administrator, who may set offsets to anything.
   */
  commit: {
    call: {
      readonly group: string;
      readonly tag: string;
      readonly as?: Membership;
      readonly offsets: readonly PlacedOffset[];
    };
    result: object;
  };
  fetchCommitted: {
    call: { readonly group: string; readonly as?: Membership; readonly places: readonly Place[] };
    result: { readonly offsets: readonly CommittedPlace[] };
  };
  deleteOffsets: { call: { readonly group: string; readonly places: readonly Place[] }; result: object };
  deleteGroup: { call: { readonly group: string }; result: object };
  /**
   * Noted by the runner: from here to `ok` every member of the group is alive, and nothing about it or the broker is changed
   * by anybody. At the end the members have these places, each one of them.
   */
  quiet: { call: { readonly group: string; readonly places: readonly Place[] }; result: object };
  /** Noted by the runner: from here to `ok` offsets of the group, and it itself, may expire. */
  mayExpireOffsets: { call: { readonly group: string }; result: object };
  /** Noted by the runner: from here to `ok` the group is forgotten, with its generation, while it has no member and no offset. */
  mayForget: { call: { readonly group: string }; result: object };

  /** A bit of a batch was flipped in its file, which may take these offsets from readers; ok when it was flipped back. */
  flip: { call: { readonly place: Place; readonly from: number; readonly to: number }; result: object };

  /** Noted by the runner before the last reading: the broker holds the log for compacted up to here. */
  cleaned: { call: { readonly place: Place; readonly before: number }; result: object };

  /** Invoked when the broker went down, ok when it was up again. 'stop' is a clean one. */
  crash: { call: { readonly how: 'power' | 'kill' | 'stop' }; result: object };
}

export type Protocol = 'classic' | 'consumer';
export type Kind = keyof OperationKinds;
export type Call<K extends Kind> = OperationKinds[K]['call'];
export type Result<K extends Kind> = OperationKinds[K]['result'];

interface Begun<K extends Kind> {
  /** Its place in the history, from 0. */
  readonly index: number;
  readonly kind: K;
  /** One client, which does not start again: what starts in its place is another process. */
  readonly process: number;
  readonly invoked: Moment;
  readonly call: Call<K>;
}

interface Done<K extends Kind> extends Begun<K> {
  readonly outcome: 'ok';
  readonly completed: Moment;
  readonly result: Result<K>;
}

interface Failed<K extends Kind> extends Begun<K> {
  readonly outcome: 'fail';
  readonly completed: Moment;
  /** The name of the fault, as the protocol has it. */
  readonly error: string;
}

interface Unknown<K extends Kind> extends Begun<K> {
  readonly outcome: 'info';
  /** When its client gave up; what it asked may still be done later. */
  readonly completed: Moment | null;
  readonly error: string;
}

type OperationOf<K extends Kind> = { [Each in K]: Done<Each> | Failed<Each> | Unknown<Each> }[K];
/** `Operation` is any of them, told apart by `kind` and `outcome`; `Operation<'send'>` is one of a kind. */
export type Operation<K extends Kind = Kind> = OperationOf<K>;
export type OkOperation<K extends Kind = Kind> = { [Each in K]: Done<Each> }[K];

export interface History {
  readonly topics: readonly TopicFacts[];
  readonly operations: readonly Operation[];
}

/** The end of an operation, told once. One that is never ended is `info`. */
export interface Pending<K extends Kind> {
  ok(result: Result<K>): void;
  fail(error: string): void;
  info(error: string): void;
}

export class HistoryRecorder {
  readonly #now: () => Moment;
  readonly #topics: TopicFacts[] = [];
  readonly #operations: Operation[] = [];

  constructor(now: () => Moment) {
    this.#now = now;
  }

  topic(facts: TopicFacts): void {
    this.#topics.push(facts);
  }

  invoke<K extends Kind>(process: number, kind: K, call: Call<K>): Pending<K> {
    const begun: Begun<K> = { index: this.#operations.length, kind, process, invoked: this.#now(), call };
    const put = (how: object): void => {
      this.#operations[begun.index] = { ...begun, ...how } as unknown as Operation;
    };
    let isEnded = false;
    const end = (how: object): void => {
      invariant(!isEnded, 'an operation ended twice', { kind, process, ...how });
      isEnded = true;
      put({ completed: this.#now(), ...how });
    };
    put({ outcome: 'info', completed: null, error: 'never answered' });
    return {
      ok: (result) => end({ outcome: 'ok', result }),
      fail: (error) => end({ outcome: 'fail', error }),
      info: (error) => end({ outcome: 'info', error }),
    };
  }

  /** What is noted of a process rather than asked: done at once. */
  note<K extends 'owns' | 'cleaned'>(process: number, kind: K, call: Call<K>): void {
    this.invoke<K>(process, kind, call).ok({});
  }

  history(): History {
    return { topics: [...this.#topics], operations: [...this.#operations] };
  }
}

export const placeName = ({ topic, partition }: Place): string => `${topic}/${partition}`;
