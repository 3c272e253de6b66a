import { loadChecksum } from '../../src/log/checksum.ts';
import { administration } from './administrator.ts';
import { checkGroups } from './check-groups.ts';
import { checkLog } from './check-log.ts';
import { checkPartitions } from './check-partitions.ts';
import { noteCleaned } from './cleaned.ts';
import { Client } from './client.ts';
import { Damages } from './damages.ts';
import { deletionsInPasses } from './delete-records.ts';
import { groupWorkload } from './groups.ts';
import type { History } from './history.ts';
import { Machine } from './machine.ts';
import { type Disturbance, Nemesis } from './nemesis.ts';
import { Network } from './network.ts';
import { producers } from './producer.ts';
import { RandomStreams } from './random-streams.ts';
import { readers } from './reader.ts';
import { Rot } from './rot.ts';
import { Scheduler } from './scheduler.ts';
import { WallClock } from './simulated-clock.ts';
import { type Event, IN_EVERY_RUN, tookPlace, type Work, workDone } from './took-place.ts';
import { TopicPlans } from './topic-plans.ts';
import { Trace } from './trace.ts';
import { TracedHistory } from './traced-history.ts';
import type { Violation } from './violation.ts';
import type { Workload, WorkloadContext } from './workload.ts';

export interface RunOptions {
  readonly seed: number;
  /** Operations that clients begin at least. Default 500. */
  readonly operations?: number;
  /** Ends of the broker that are no clean stops, at least. Default 3. */
  readonly crashes?: number;
  /** What it is not to be disturbed with. Default nothing. */
  readonly without?: readonly Disturbance[];
  /** What its clients do. Default all there is. */
  readonly workloads?: readonly Workload[];
  /** Whether the trace's lines are kept, and not their hash alone. Default false. */
  readonly keepsTrace?: boolean;
}

/** What a run came to. */
export interface Run {
  readonly seed: number;
  /** What was wrong; empty when nothing was. */
  readonly failures: readonly Failure[];
  readonly operations: number;
  readonly succeeded: number;
  readonly crashes: number;
  /** How often each disturbance took place. */
  readonly injected: ReadonlyMap<string, number>;
  /** How often that took place which must in some seeds, and all the work that was done. */
  readonly tookPlace: ReadonlyMap<Event | Work, number>;
  readonly history: History;
  /** Of the trace. */
  readonly digest: string;
  readonly trace: string;
}

/** A violation that the history shows, or one that was seen besides it. */
export interface Failure {
  /** In few words: two runs with the same one failed in the same way. */
  readonly what: string;
  readonly says: string;
  readonly violation: Violation | null;
}

const OPERATIONS = 500;
const CRASHES = 3;
/** Virtual time after which a run has hung. */
const TIME_MS_MAX = 4 * 3_600_000;
/** Virtual time that workloads may take to end when nothing disturbs them any more. */
const END_MS_MAX = 300_000;

export const allWorkloads = (): Workload[] => [
  administration(),
  producers(),
  readers,
  groupWorkload(),
  deletionsInPasses(),
];

/** Runs the whole broker through one seed's life. */
export async function simulate(options: RunOptions): Promise<Run> {
  // Compiled by another thread, in a time of its own.
  await loadChecksum();
  return new World(options).run();
}

class World {
  readonly #options: RunOptions;
  readonly #streams: RandomStreams;
  readonly #scheduler: Scheduler;
  readonly #trace: Trace;
  readonly #history: TracedHistory;
  readonly #network: Network;
  readonly #wall: WallClock;
  readonly #machine: Machine;
  readonly #nemesis: Nemesis;
  readonly #context: WorkloadContext;
  readonly #failures: Failure[] = [];
  #processes = 0;
  #isOver = false;

  constructor(options: RunOptions) {
    this.#options = options;
    this.#streams = new RandomStreams(options.seed);
    const streams = this.#streams;
    const scheduler = new Scheduler(streams.of('scheduler'));
    const trace = new Trace(() => scheduler.nowMs, options.keepsTrace ?? false);
    const wall = new WallClock(scheduler);
    const network = new Network(scheduler, streams.of('network'), trace);
    const history = new TracedHistory(() => ({ step: scheduler.nextStep(), timeMs: scheduler.nowMs }), trace);
    const onViolation = (says: string): void => this.#fail(says);
    const machine = new Machine({ scheduler, streams, trace, wall, network, onViolation });
    const random = streams.of('nemesis');
    const topics = new TopicPlans(history);
    const damages = new Damages();
    const without = new Set(options.without ?? []);
    const process = this.#processes++;
    this.#nemesis = new Nemesis({
      scheduler,
      random,
      machine,
      network,
      wall,
      history,
      trace,
      rot: new Rot({ random: streams.of('rot'), machine, history, topics, damages, process }),
      process,
      onViolation,
      without,
    });
    [this.#scheduler, this.#trace, this.#wall, this.#network] = [scheduler, trace, wall, network];
    [this.#history, this.#machine] = [history, machine];
    this.#context = {
      scheduler,
      wall,
      streams,
      history,
      topics,
      damages,
      connect: (name) => new Client(network, scheduler, name),
      newProcess: () => this.#processes++,
      isOver: () => this.#isOver,
      onPass: (action) => {
        machine.onPass = action;
      },
      onViolation,
    };
  }

  async run(): Promise<Run> {
    let isDone = false;
    const life = this.#live().then(
      () => {
        isDone = true;
      },
      (error: unknown) => {
        isDone = true;
        this.#fail(String(error instanceof Error ? error.stack : error));
      },
    );
    try {
      await this.#scheduler.run(() => isDone, TIME_MS_MAX);
      await life;
    } catch (error) {
      this.#fail(String(error instanceof Error ? error.message : error));
    }
    return this.#outcome();
  }

  async #live(): Promise<void> {
    const { operations = OPERATIONS, crashes = CRASHES, workloads: all = allWorkloads() } = this.#options;
    await this.#nemesis.makePeace();
    for (const workload of all) await workload.prepare?.(this.#context);
    const running = Promise.all(all.map((workload) => workload.run(this.#context)));
    // One that fails ends the run at once.
    await Promise.race([running, this.#nemesis.run(operations, crashes)]);
    this.#isOver = true;
    await this.#nemesis.makePeace();
    const tooLong = this.#scheduler.sleep(END_MS_MAX).then(() => Promise.reject(new Error('a workload does not end')));
    await Promise.race([running, tooLong]);
    tooLong.catch(() => {});
    for (const workload of all) await workload.settle?.(this.#context);
    await this.#nemesis.endOnceMore();
    const { topics, newProcess } = this.#context;
    await noteCleaned(this.#machine.disk.files(), topics, this.#history, newProcess());
    for (const workload of all) await workload.finish?.(this.#context);
    await this.#machine.stop();
  }

  #outcome(): Run {
    const { operations = OPERATIONS, crashes = CRASHES } = this.#options;
    const history = this.#history.history();
    for (const violation of [...checkLog(history), ...checkPartitions(history), ...checkGroups(history)]) {
      this.#failures.push({ what: violation.anomaly, says: violation.says, violation });
    }
    const { begun, succeeded } = this.#history;
    // A run that did nothing has shown nothing.
    if (begun < operations) this.#fail(`only ${begun} operations were begun`);
    if (succeeded < operations / 5) this.#fail(`only ${succeeded} operations of ${begun} succeeded`);
    if (this.#nemesis.crashes < crashes) this.#fail(`there were only ${this.#nemesis.crashes} crashes`);
    if (this.#nemesis.faults === 0 && this.#nemesis.mayDisturb)
      this.#fail('nothing but crashes was done to the broker');
    const done = workDone(history);
    for (const what of IN_EVERY_RUN) if (!done.has(what)) this.#fail(`there was no ${what}`);
    const injected = new Map(this.#nemesis.injected);
    injected.set('connections broken', this.#network.broken);
    return {
      seed: this.#options.seed,
      failures: this.#failures,
      operations: begun,
      succeeded,
      crashes: this.#nemesis.crashes,
      injected,
      tookPlace: new Map([...tookPlace(history), ...done]),
      history,
      digest: this.#trace.digest(),
      trace: this.#trace.text,
    };
  }

  #fail(says: string): void {
    this.#trace.add(`failure ${says}`);
    this.#failures.push({ what: says.split('\n', 1)[0]!.replace(/[\d-]+/g, '#'), says, violation: null });
  }
}
