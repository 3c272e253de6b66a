import type { CancelTimer, Clock } from '../base/clock.ts';
import { Fault } from '../base/faults.ts';
import { InvariantError } from '../base/invariant.ts';
import type { Logger } from '../base/logger.ts';
import type { Random } from '../base/random.ts';
import { Semaphore } from '../base/semaphore.ts';
import { type KnownTime, SteadyTime } from '../base/steady-time.ts';
import { Ledger } from '../ledger/ledger.ts';
import { failStopDisk } from '../log/fail-stop-disk.ts';
import { JOURNAL_SIZES, Journal, type JournalSizes } from '../log/journal.ts';
import { JournalReplay } from '../log/journal-replay.ts';
import type { LogContext } from '../log/log-context.ts';
import { ReadBuffers } from '../log/read-buffers.ts';
import { Syncer } from '../log/syncer.ts';
import { TailCache } from '../log/tail-cache.ts';
import type { Codecs } from '../record/compression.ts';
import { BrokerSettings, checkBrokerSetting } from './broker-settings.ts';
import { Cleaner } from './cleaner.ts';
import { type ClockFacts, type ClusterEvent, ClusterState, type Made } from './cluster-state.ts';
import { GroupSettings } from './group-settings.ts';
import { GroupCoordinator } from './groups/group-coordinator.ts';
import { checkIsNotForeign, type Identity, loadIdentity } from './identity.ts';
import { mayGroupsLedgerBeNew } from './lost-folders.ts';
import { type Produced, type ProduceOptions, produce } from './produce.ts';
import { ProducerIds } from './producer-ids.ts';
import { HiddenKeys } from './record-keys.ts';
import { Retention } from './retention.ts';
import { SetBacksKeeper } from './set-backs-keeper.ts';
import type { Topic } from './topic.ts';
import { Topics } from './topics.ts';

type Disk = LogContext['disk'];
type DiskLock = NonNullable<Awaited<ReturnType<Disk['lock']>>>;

/** How often what is held only to be fast, and not used, is given back. */
const HOUSEKEEPING_INTERVAL_MS = 60_000;

/** How often a broker that started on a full disk looks whether there is room. */
const ROOM_INTERVAL_MS = 1_000;

export interface BrokerOptions {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Broker settings by Kafka's names. */
  readonly settings: Readonly<Record<string, string>>;
  /** What it was started with, told to tools by Kafka's names (listeners, log.dirs); read-only. */
  readonly startFacts: Readonly<Record<string, string>>;
  readonly tailCacheBytesMax: number;
  /** Whether records must survive a power cut, so that a journal is worth its files. Default true. */
  readonly journaled?: boolean;
  /** Default JOURNAL_SIZES. */
  readonly journalSizes?: JournalSizes;
  /** Default threadedCodecs. */
  readonly codecs?: Codecs;
  /** File reads that may run at once. */
  readonly readsAtOnceMax: number;
}

/** One broker: all that it knows and decides, over one folder. No sockets. */
export class Broker {
  readonly identity: Identity;
  readonly settings: BrokerSettings;
  readonly topics: Topics;
  readonly producerIds: ProducerIds;
  readonly groups: GroupCoordinator;
  readonly groupSettings: GroupSettings;
  readonly hiddenKeys: HiddenKeys;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly disk: Disk;
  readonly startFacts: Readonly<Record<string, string>>;
  /** Resolves if the broker stops by itself, with the reason. */
  readonly fatal: Promise<Fault>;
  readonly #parts: BrokerParts;
  #started: boolean;
  #starting: CancelTimer | null = null;
  #housekeeping: CancelTimer | null = null;
  #closed: Promise<void> | null = null;
  readonly #setBacks: SetBacksKeeper;
  #stopped: Fault | null = null;
  #failed: Fault | null = null;

  private constructor(parts: BrokerParts) {
    this.#parts = parts;
    this.identity = parts.identity;
    this.settings = parts.settings;
    this.topics = parts.topics;
    this.producerIds = new ProducerIds(parts.state, parts.ledger);
    this.groups = parts.groups;
    this.groupSettings = parts.groupSettings;
    this.hiddenKeys = new HiddenKeys(parts.options.codecs, parts.context.reads, parts.options.clock);
    this.clock = parts.options.clock;
    this.logger = parts.options.logger;
    this.disk = parts.context.disk;
    this.startFacts = parts.options.startFacts;
    this.fatal = parts.failure.then((cause) => this.#stopItself(cause));
    this.#started = parts.started;
    if (!parts.started) this.#awaitRoom();
    const { ledger, state, time, onFatal } = parts;
    this.#setBacks = new SetBacksKeeper(() => markStarted(ledger, state.epoch, time), this.clock, this.logger, onFatal);
    // Before its start is marked, that mark will tell it.
    time.setBacks.onChange = () => this.#started && this.#setBacks.changed();
    this.#keepHouse();
  }

  /**
   * Takes the folder's lock and reads what is in it. @throws Fault folderInUse, folderTooNew, damagedMetadata,
   * invalidConfig, diskFullAtStart, notAFolder, foreignFolder, readOnlyDisk, diskError
   */
  static async open(options: BrokerOptions): Promise<Broker> {
    const settings = new BrokerSettings(options.settings);
    const { disk } = options;
    let lock: DiskLock | null = null;
    try {
      await disk.makeFolder('.');
      await checkIsNotForeign(disk);
      lock = await disk.lock('lock');
      if (lock === null) throw new Fault('folderInUse');
      return new Broker(await openParts(options, settings, lock));
    } catch (error) {
      await lock?.release();
      // Nothing runs that would resume.
      throw isDiskFull(error) ? new Fault('diskFullAtStart', { cause: error }) : error;
    }
  }

  /** Why the broker stopped, if it did: every call is refused with it. */
  get stopped(): Fault | null {
    return this.#stopped;
  }

  /** As `stopped`, but only if it stopped itself. */
  get failed(): Fault | null {
    return this.#failed;
  }

  /** A bug of ours, or a disk that cannot be trusted: the broker stops itself. Returns what to tell who asked. */
  fail(cause: unknown): Fault {
    this.#parts.onFatal(cause);
    return new Fault('brokerStopped', { cause });
  }

  /**
   * A bug of ours in what only reads: whoever asked is refused, and the broker goes on. A broken invariant is another matter:
   * then what was read is wrong.
   */
  failRead(bug: unknown): Fault {
    if (bug instanceof InvariantError) return this.fail(bug);
    this.logger.error({ err: bug }, 'a request that only reads met a bug; nothing was changed');
    return new Fault('readFailed', { cause: bug });
  }

  get epoch(): number {
    return this.#parts.state.epoch;
  }

  /** See produce.ts. @throws Fault */
  produce(topic: Topic, partition: number, records: Buffer, options: ProduceOptions): Produced {
    if (!this.#started) throw new Fault('diskFull');
    const { context, time } = this.#parts;
    const isStamped = topic.settings.logAppendTime;
    if (isStamped) {
      time.now(this.clock.wallMs(), this.clock.monotonicMs());
      this.#setBacks.checkMayStamp();
    }
    const produced = produce(context.syncer, this.clock, topic, partition, records, options);
    const { stored } = this.#setBacks;
    if (!isStamped || stored === null) return produced;
    const settled = Promise.all([produced.settled, stored]).then(() => {});
    // Whether anyone waits is the caller's choice.
    settled.catch(() => {});
    return { ...produced, settled };
  }

  /** Sets (or with null, unsets) a setting of the broker, for good. @throws Fault invalidConfig */
  async changeSettings(changes: ReadonlyMap<string, string | null>): Promise<void> {
    for (const [name, value] of changes) if (value !== null) checkBrokerSetting(name, value);
    await this.#parts.ledger.change(() => {
      const events = Array.from(changes, ([name, value]): ClusterEvent => ({ type: 'brokerSetting', name, value }));
      return { events, result: undefined };
    });
    this.topics.refresh();
  }

  /** Stops cleanly: all that was accepted is durable, and the next start need not look for it. Callable twice. */
  close(): Promise<void> {
    this.#stopped ??= new Fault('brokerStopped');
    this.#setBacks.stop(this.#stopped);
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#housekeeping?.();
    this.#starting?.();
    const { ledger, journal, lock } = this.#parts;
    let clean = false;
    try {
      await this.#parts.cleaner.close();
      await this.#parts.retention.close();
      // Whatever becomes of the groups, the topics' files are closed.
      await this.groups.close().finally(() => this.topics.close());
      // Else the ledger ends with the mark of the clean stop before.
      if (this.#started) {
        const clock = this.#clockFacts();
        await ledger.change(() => ({
          events: [{ type: 'stopped', ...clock, ...madeBy(this.topics) }],
          result: undefined,
        }));
      }
      // What the journal has for a log that could not be opened must stay.
      clean = this.topics.areAllOpen;
    } finally {
      await ledger
        .close()
        .then(
          () => journal?.close(clean),
          (error) => journal?.close(false).finally(() => Promise.reject(error)),
        )
        .finally(() => lock.release());
    }
  }

  /** The disk can no longer be trusted: nothing more is answered from it or written to it. */
  #stopItself(cause: unknown): Fault {
    const fault = new Fault('brokerStopped', { detail: cause instanceof Error ? cause.message : String(cause), cause });
    this.#housekeeping?.();
    this.#starting?.();
    this.#stopped = this.#failed = fault;
    this.#setBacks.stop(fault);
    this.#parts.cleaner.abort();
    this.#parts.retention.abort();
    this.groups.abort(fault);
    this.topics.abort(fault);
    this.#parts.ledger.abort(fault);
    this.#closed ??= this.#abandon();
    this.logger.error({ err: cause }, 'the broker stops itself: what the disk holds is no longer certain');
    return fault;
  }

  /** Gives the files back, and the folder only when no write is under way any more: another broker may take it. */
  async #abandon(): Promise<void> {
    const { ledger, journal, lock } = this.#parts;
    const { cleaner, retention } = this.#parts;
    const passes = [cleaner.close(), retention.close()];
    const outcomes = await Promise.allSettled([...passes, this.groups.close(), this.topics.close(), ledger.close()]);
    outcomes.push(...(await Promise.allSettled([journal?.close(false)])));
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') this.logger.warn({ err: outcome.reason }, 'a file could not be closed');
    }
    await lock.release();
  }

  /** How the clock is off now, and has been. */
  #clockFacts(): ClockFacts {
    const { time } = this.#parts;
    time.now(this.clock.wallMs(), this.clock.monotonicMs());
    return clockFactsOf(time);
  }

  #awaitRoom(): void {
    this.#starting = this.clock.after(ROOM_INTERVAL_MS, () => {
      this.#startLate().catch((error) => {
        if (error instanceof Fault) this.#stopped ?? this.#awaitRoom();
        else this.#parts.onFatal(error);
      });
    });
  }

  /** What the start on a full disk had no room for. */
  async #startLate(): Promise<void> {
    const { ledger, state, journal, context } = this.#parts;
    if (!this.topics.areAllOpen) {
      await this.topics.openLate();
      startJournal(journal, context);
    }
    if (context.replay?.tookReserve === true) await journal!.makeReserve();
    await markStarted(ledger, state.epoch, this.#parts.time, this.topics);
    this.#started = true;
    this.logger.info({}, 'there is room on the disk again');
  }

  #keepHouse(): void {
    this.#housekeeping = this.clock.after(HOUSEKEEPING_INTERVAL_MS, () => {
      const silentSinceMs = this.clock.monotonicMs() - this.settings.number('producer.id.expiration.ms');
      for (const topic of this.topics) {
        for (const log of topic.partitions) {
          log
            .rest(silentSinceMs)
            .catch((err) => this.logger.warn({ err, topic: topic.name }, 'a file could not be closed'));
        }
      }
      this.#setBacks.retry();
      this.#keepHouse();
    });
  }
}

interface BrokerParts {
  readonly options: BrokerOptions;
  readonly lock: DiskLock;
  readonly identity: Identity;
  readonly settings: BrokerSettings;
  readonly state: ClusterState;
  readonly ledger: Ledger<ClusterEvent>;
  readonly time: SteadyTime;
  readonly context: LogContext;
  readonly journal: Journal | null;
  readonly topics: Topics;
  readonly retention: Retention;
  readonly cleaner: Cleaner;
  readonly groups: GroupCoordinator;
  readonly groupSettings: GroupSettings;
  /** Whether the ledger says that the broker runs; false while the disk is full. */
  readonly started: boolean;
  readonly failure: Promise<unknown>;
  readonly onFatal: (cause: unknown) => void;
}

/** Until 'stopped' follows it, the next start knows that this one did not end cleanly. Without `topics` it says nothing of these. */
function markStarted(
  ledger: Ledger<ClusterEvent>,
  epoch: number,
  time: SteadyTime,
  topics: Topics | null = null,
): Promise<void> {
  return ledger.change(() => {
    const made = topics === null ? {} : madeBy(topics);
    return { events: [{ type: 'started', epoch, ...clockFactsOf(time), ...made }], result: undefined };
  });
}

function clockFactsOf(time: SteadyTime): ClockFacts {
  return { leap: time.leap, setBacks: time.setBacks.known };
}

/** What the next start must find. A topic may be on its way to be made: then this start or stop says nothing of any. */
function madeBy(topics: Topics): { made?: Made } {
  return { made: topics.areAllMade ? 'all' : 'groups' };
}

/** The time that was believed last before this start. */
async function knownTime(ledger: Ledger<ClusterEvent>, { leap, setBacks }: ClusterState): Promise<KnownTime | null> {
  const timeMs = await ledger.newestMs();
  return timeMs === null ? null : { timeMs, leap, setBacks };
}

function isDiskFull(error: unknown): boolean {
  return error instanceof Fault && error.fault === 'diskFull';
}

interface Start {
  readonly ledger: Ledger<ClusterEvent>;
  readonly topics: Topics;
  readonly state: ClusterState;
  readonly time: SteadyTime;
  readonly isNew: boolean;
}

/** Marks the start, when all is open. False when the disk is full, or was and had to be made room on. */
async function startIfThereIsRoom(
  { logger, replay }: LogContext,
  { ledger, topics, state, time, isNew }: Start,
): Promise<boolean> {
  let err: unknown;
  if (topics.areAllOpen && (replay?.givenBack ?? 0) === 0) {
    try {
      await markStarted(ledger, state.epoch, time, topics);
      return true;
    } catch (error) {
      // Only what is stored from now on needs the mark. Clients are told of the epoch at once: it counts from now on.
      if (!isDiskFull(error) || isNew) throw error;
      err = error;
    }
  }
  logger.warn({ err }, 'the disk is full: what is stored is served, records are refused until there is room');
  return false;
}

/** When every log has taken what the journal held for it. */
function startJournal(journal: Journal | null, { replay, syncer }: LogContext): void {
  if (journal === null) return;
  journal.start(replay!);
  syncer.useJournal(journal);
}

async function openParts(options: BrokerOptions, settings: BrokerSettings, lock: DiskLock): Promise<BrokerParts> {
  const { clock, logger, random } = options;
  const failure = Promise.withResolvers<unknown>();
  let journal: Journal | null = null;
  const onFatal = (cause: unknown): void => {
    // First, so that nothing is released whose sync has just failed.
    journal?.abort();
    failure.resolve(cause);
  };
  const disk = failStopDisk(options.disk, onFatal);
  const identity = await loadIdentity(disk, random);
  const context: LogContext = {
    disk,
    clock,
    logger,
    syncer: new Syncer(),
    replay: options.journaled === false ? null : await JournalReplay.read(disk, logger),
    cache: new TailCache(options.tailCacheBytesMax),
    reads: new Semaphore(options.readsAtOnceMax),
    readBuffers: new ReadBuffers(),
    codecs: options.codecs,
    onFatal,
  };
  journal = context.replay && new Journal(context, context.replay, options.journalSizes ?? JOURNAL_SIZES);
  const state = new ClusterState(settings.changed);
  const hasTopics = (await disk.list('topics')).length > 0;
  let time: SteadyTime | null = null;
  // What the next start knows of the time: a clock that is not believed must not leave its own there.
  const nowMs = (): number => Math.floor(time?.now(clock.wallMs(), clock.monotonicMs()) ?? clock.wallMs());
  const ledger = await Ledger.open('ledger/cluster', context, state, { mayBeNew: !hasTopics, nowMs });
  const topics = new Topics(state, ledger, context, settings, random);
  const groupSettings = new GroupSettings(state, ledger, settings);
  let groups: GroupCoordinator | null = null;
  let started: boolean;
  try {
    time = new SteadyTime(await knownTime(ledger, state), clock.wallMs(), clock.monotonicMs());
    nowMs();
    const isNew = state.epoch < 0;
    // After an unclean stop records may be gone that clients have seen: a new epoch tells them to look.
    state.epoch = isNew ? 0 : state.epoch + (state.stoppedCleanly ? 0 : 1);
    // Before the topics, whose recovery may write: what is lost is told while nothing is changed.
    const mayGroupsBeNew = await mayGroupsLedgerBeNew(context, state);
    await topics.open();
    const needs = { settings, groupSettings, topics, random, onBug: failure.resolve };
    groups = await GroupCoordinator.open(context, needs, mayGroupsBeNew);
    // Only now, so that a start that is refused changes nothing. If it ends before, the next one may take the same epoch:
    // nothing is stored with it yet, and no client was told of it.
    started = await startIfThereIsRoom(context, { ledger, topics, state, time, isNew });
  } catch (error) {
    const stopped = new Fault('brokerStopped');
    groups?.abort(stopped);
    topics.abort(stopped);
    ledger.abort(stopped);
    await Promise.allSettled([groups?.close(), topics.close(), ledger.close()]);
    throw error;
  }
  if (topics.areAllOpen) startJournal(journal, context);
  const background = { disk, topics, settings, clock, random, logger, onBug: onFatal, time };
  const retention = new Retention(background);
  const cleaner = new Cleaner(background);
  return {
    options,
    lock,
    identity,
    settings,
    state,
    ledger,
    time,
    started,
    context,
    journal,
    topics,
    groups,
    retention,
    cleaner,
    groupSettings,
    failure: failure.promise,
    onFatal,
  };
}
