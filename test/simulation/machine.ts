import { Fault } from '../../src/base/faults.ts';
import type { Logger } from '../../src/base/logger.ts';
import { Broker } from '../../src/broker/broker.ts';
import { inlineCodecs } from '../../src/record/compression.ts';
import { Server } from '../../src/server/server.ts';
import { type PowerCut, SimulatedDisk } from '../disk/simulated-disk.ts';
import type { SeededRandom } from '../seeded-random.ts';
import type { Pass } from './delete-records.ts';
import type { Network } from './network.ts';
import { type DiskPace, PacedDisk } from './paced-disk.ts';
import { oneIn, type RandomStreams } from './random-streams.ts';
import { Life, type Scheduler } from './scheduler.ts';
import { SimulatedClock, type WallClock } from './simulated-clock.ts';
import type { SimulatedSocket } from './simulated-socket.ts';
import type { Trace } from './trace.ts';

/** How the broker's process ends: as the power goes, or killed, or told to stop. */
export type Ending = PowerCut | 'kill' | 'stop';

/** Small, so that files of all kinds fill, roll and are used again. */
const JOURNAL_SIZES = { firstFileBytes: 64 * 1024, fileBytes: 96 * 1024, filesMax: 3, earlyRoundLogs: 2 };
const SETTINGS = {
  'log.initial.task.delay.ms': '500',
  'log.retention.check.interval.ms': '1000',
  'log.cleaner.backoff.ms': '250',
  // Of as many as there are; 128 MiB for each pass would keep the garbage collector busy.
  'log.cleaner.dedupe.buffer.size': '1048576',
  'group.initial.rebalance.delay.ms': '50',
  'group.min.session.timeout.ms': '500',
  'group.consumer.min.session.timeout.ms': '500',
  'group.consumer.session.timeout.ms': '800',
  'group.consumer.min.heartbeat.interval.ms': '50',
  'group.consumer.heartbeat.interval.ms': '100',
  'offsets.retention.minutes': '30',
  'auto.create.topics.enable': 'false',
};
const ADVERTISED = { host: 'broker', port: 9092 };
/** A stop that takes longer has hung. */
const STOP_MS_MAX = 120_000;
/**
 * How a stop fails that may have left the mark of a clean one, as the last event of the cluster's ledger: when all else was
 * durable. It lacks then what spares the next start some reading, and no record that a client has seen, of which a higher epoch
 * would tell. It is not so when the file of that ledger did not take the mark.
 */
const FAILS_BEHIND_MARK = /ledger\/cluster(?!\/\d+\.log)|journal\/proofs|journal-in-use|: (journal|\.)$/;

/** Whether the broker of a run looks so often for groups that hold nothing any more that it finds some while others use them. */
export const forgetsGroups = (streams: RandomStreams): boolean => oneIn(streams.of('forgetful'), 3);

export interface MachineContext {
  readonly scheduler: Scheduler;
  readonly streams: RandomStreams;
  readonly trace: Trace;
  readonly wall: WallClock;
  readonly network: Network;
  /** Told of what a broker may never do. */
  readonly onViolation: (what: string) => void;
}

/** The one machine of the simulation: its disk, and the broker's process on it, which dies and is started again. */
export class Machine {
  readonly #context: MachineContext;
  readonly #random: SeededRandom;
  readonly #diskRandom: SeededRandom;
  readonly pace: DiskPace = { usualMsMax: 0.4, slowMsMax: 8 };
  disk: SimulatedDisk;
  /** What is kept when the power goes by `disk.cutPowerAfter`. */
  nextCut: PowerCut = 'reordered';
  /** Called when compaction begins to write a segment. */
  onPass: (pass: Pass) => void = () => {};
  #life: Life | null = null;
  #broker: Broker | null = null;
  #server: Server | null = null;
  #sockets = new Set<SimulatedSocket>();
  /** Resolves when the process is gone, however that came. */
  ended: Promise<Ending | 'fatal'> = Promise.resolve('stop');
  #end: (how: Ending | 'fatal') => void = () => {};
  /** What the broker has warned of since it was started. */
  #told: string[] = [];
  /** Of the last broker that served; the next one's is higher unless that one stopped cleanly. */
  #epoch = -1;
  #stoppedCleanly = true;
  #isStopping = false;

  constructor(context: MachineContext) {
    this.#context = context;
    this.#random = context.streams.of('broker');
    this.#diskRandom = context.streams.of('disk');
    this.disk = new SimulatedDisk(this.#diskRandom);
  }

  get told(): readonly string[] {
    return this.#told;
  }

  get isUp(): boolean {
    return this.#broker !== null;
  }

  /**
   * Starts the process; resolves when the broker serves, or to the fault for which it refused to start, or to null when it
   * ended before either. Or to 'ended', when it is ended before it serves anybody for what it warned of: `mayServe` says so.
   */
  async start(mayServe: (told: readonly string[]) => boolean = () => true): Promise<Broker | Fault | 'ended' | null> {
    const { scheduler, trace, wall, network, streams } = this.#context;
    const life = new Life();
    this.#life = life;
    this.#told = [];
    const { promise, resolve } = Promise.withResolvers<Ending | 'fatal'>();
    this.ended = promise;
    this.#end = resolve;
    const { pace, disk: inner } = this;
    // Told to go at some call, it goes in the middle of whatever is under way then.
    void inner.died.then(() => this.disk === inner && this.cutPower(this.nextCut));
    const disk = new PacedDisk(this.disk, {
      scheduler,
      life,
      random: streams.of('pace'),
      pace,
      trace,
      onCreate: (path) => this.#notePass(path),
    });
    trace.add('start');
    const opening = Broker.open({
      disk,
      clock: new SimulatedClock(scheduler, wall, life),
      random: this.#random,
      logger: this.#logger(life),
      settings: {
        ...SETTINGS,
        'offsets.retention.check.interval.ms': forgetsGroups(streams) ? '5000' : '1200000',
      },
      startFacts: {},
      tailCacheBytesMax: 64 * 1024,
      journalSizes: JOURNAL_SIZES,
      codecs: inlineCodecs,
      readsAtOnceMax: 2,
    }).catch((error: unknown) => {
      if (error instanceof Fault) return error;
      throw error;
    });
    const opened = await Promise.race([opening, promise.then(() => null)]);
    if (opened === null || life.isOver) return null;
    if (opened instanceof Fault) {
      trace.add(`no start: ${opened.fault}`);
      this.#over('stop');
      return opened;
    }
    if (!mayServe(this.#told)) {
      this.kill();
      return 'ended';
    }
    this.#serve(opened, life, network);
    return opened;
  }

  #serve(broker: Broker, life: Life, network: Network): void {
    const server = new Server(broker, this.#random);
    this.#broker = broker;
    this.#server = server;
    this.#context.trace.add(`up, epoch ${broker.epoch}`);
    if (broker.epoch < this.#epoch + (this.#stoppedCleanly ? 0 : 1)) {
      this.#context.onViolation(`the leader epoch is ${broker.epoch} after ${this.#epoch}`);
    }
    this.#epoch = broker.epoch;
    this.#stoppedCleanly = this.#isStopping = false;
    void broker.fatal.then((fault) => {
      if (life.isOver) return;
      this.#context.trace.add(`fatal: ${fault}`);
      this.#stoppedCleanly = this.#isStopping && FAILS_BEHIND_MARK.test(String(fault));
      if (!(fault.cause instanceof Fault)) this.#context.onViolation(`the broker stopped itself for a bug: ${fault}`);
      // As `serve` does: the process ends, what the page cache holds stays.
      void server.close().then(() => this.kill('fatal'));
    });
    network.open({
      life,
      accept: (socket) => {
        this.#sockets.add(socket);
        socket.once('close', () => this.#sockets.delete(socket));
        server.accept(socket, ADVERTISED);
      },
    });
  }

  /** All files are as they were at another time. */
  putBack(files: ReadonlyMap<string, Buffer>): void {
    this.disk = SimulatedDisk.holding(files, this.#diskRandom);
  }

  /** The power goes now. */
  cutPower(how: PowerCut): void {
    this.#context.trace.add(`power cut, ${how} is kept`);
    this.#context.network.lose(false);
    this.disk = this.disk.afterPowerCut(how);
    this.#over(how);
  }

  /** The process is killed now. */
  kill(how: 'kill' | 'fatal' = 'kill'): void {
    if (this.#life === null || this.#life.isOver) return;
    this.#context.trace.add(how);
    this.#context.network.lose(true);
    this.disk = this.disk.afterKill();
    this.#over(how);
  }

  /** Told to stop: answers what has begun, makes all durable. Resolves to whether it came to its end by itself. */
  async stop(): Promise<boolean> {
    const [server, broker] = [this.#server, this.#broker];
    if (server === null || broker === null) return false;
    this.#context.trace.add('stop');
    this.#isStopping = true;
    this.#context.network.shut();
    const stopped = this.#stopAll(server, broker).then(
      () => {
        this.#stoppedCleanly = true;
        return true;
      },
      (error: unknown) => {
        this.#context.trace.add(`stop failed: ${error}`);
        if (broker.failed === null) this.#stoppedCleanly = FAILS_BEHIND_MARK.test(String(error));
        return true;
      },
    );
    const tooLong = this.#context.scheduler.sleep(STOP_MS_MAX).then(() => 'late' as const);
    const outcome = await Promise.race([stopped, tooLong, this.ended.then(() => false)]);
    if (outcome === 'late') this.#context.onViolation('a stop has not come to its end after two minutes');
    if (outcome !== false) this.#leave();
    return outcome === true;
  }

  async #stopAll(server: Server, broker: Broker): Promise<void> {
    const closed = [...this.#sockets].map((socket) => new Promise((resolve) => socket.once('close', resolve)));
    await server.close();
    await Promise.all(closed);
    await broker.close();
  }

  /** The process has ended by itself: whatever it has not synced is in the page cache still. */
  #leave(): void {
    if (this.#life === null || this.#life.isOver) return;
    this.#context.network.lose(true);
    this.disk = this.disk.afterKill();
    this.#over('stop');
  }

  #notePass(path: string): void {
    const [, folder, id, partition, base] = /^(topics\/([^/]+)\/(\d+)\/)(\d+)\.log\.cleaned-\d+$/.exec(path) ?? [];
    if (folder === undefined) return;
    const bases = [...this.disk.files().keys()].flatMap((file) =>
      file.startsWith(folder) && /\/\d{20}\.log$/.test(file) ? [Number(file.slice(-24, -4))] : [],
    );
    const behind = bases.filter((other) => other > Number(base)).sort((a, b) => a - b);
    this.onPass({ id: id!, partition: Number(partition), bases: behind.slice(0, -1) });
  }

  #over(how: Ending | 'fatal'): void {
    if (this.#life !== null) this.#life.isOver = true;
    this.#broker = null;
    this.#server = null;
    this.#sockets = new Set();
    this.#end(how);
  }

  #logger(life: Life): Logger {
    const note = (level: string) => (facts: object, message: string) => {
      if (!life.isOver) this.#context.trace.add(`log ${level} ${message}`);
      if (level !== 'info') this.#told.push(message);
      if (level !== 'error') return;
      const { err } = facts as { err?: unknown };
      if (err instanceof Error && !(err instanceof Fault)) this.#context.onViolation(`${message}: ${err.stack}`);
    };
    return { debug() {}, info: note('info'), warn: note('warn'), error: note('error') };
  }
}
