import { Fault } from '../../src/base/faults.ts';
import { type FailingCall, POWER_CUTS, type PowerCut } from '../disk/simulated-disk.ts';
import type { SeededRandom } from '../seeded-random.ts';
import type { Ending, Machine } from './machine.ts';
import type { Network } from './network.ts';
import { oneIn, pick } from './random-streams.ts';
import type { Rot } from './rot.ts';
import type { Scheduler } from './scheduler.ts';
import type { WallClock } from './simulated-clock.ts';
import { hasDoneAll } from './took-place.ts';
import type { Trace } from './trace.ts';
import type { TracedHistory } from './traced-history.ts';

/** What a run may be disturbed with; a run can be told to do without some. */
export const DISTURBANCES = ['disk', 'clock', 'network', 'recovery', 'rot'] as const;
export type Disturbance = (typeof DISTURBANCES)[number];

export interface NemesisContext {
  readonly scheduler: Scheduler;
  readonly random: SeededRandom;
  readonly machine: Machine;
  readonly network: Network;
  readonly wall: WallClock;
  readonly history: TracedHistory;
  readonly trace: Trace;
  readonly rot: Rot;
  readonly process: number;
  readonly onViolation: (what: string) => void;
  readonly without: ReadonlySet<Disturbance>;
}

const HOUR_MS = 3_600_000;
const CLOCK_JUMPS_MS = [HOUR_MS, -HOUR_MS, 87_660 * HOUR_MS, -87_660 * HOUR_MS];
/** Virtual time that one life may take to bring its part of the operations about. */
const LIFE_MS_MAX = 60_000;
/** So much peace is enough for all that each run is to show. */
const PEACE_MS_MAX = 5_000;
/** A start that takes longer has hung. */
const START_MS_MAX = 120_000;
/** What may be done to a broker while it serves. */
const DURING_LIFE = ['disk', 'disk', 'clock', 'network'] as const satisfies Disturbance[];
/** By then retention and compaction have been over all there is: what they take wrongly is missed. */
const PASSES_MS = 1_000;

/** Ends the broker's lives, one after the other, and lets no life pass in peace. Counts all that it does. */
export class Nemesis {
  readonly #context: NemesisContext;
  readonly #random: SeededRandom;
  /** How often each thing was done. */
  readonly injected = new Map<string, number>();
  crashes = 0;
  /** How often something was done to the broker that is no end of it. */
  faults = 0;
  /** Operations after which there must have been one. */
  #faultBy = Number.POSITIVE_INFINITY;
  #isPeace = true;
  /** Whether the power went last, so that all that the disk has is durable. */
  #isPowerless = false;
  #down: { ok: (result: object) => void } | null = null;

  constructor(context: NemesisContext) {
    this.#context = context;
    this.#random = context.random;
  }

  /** Lives until `operations` have begun and `crashes` have been survived. */
  async run(operations: number, crashes: number): Promise<void> {
    const lives = crashes + this.#random.below(3);
    const { history } = this.#context;
    this.#isPeace = false;
    const before = history.begun;
    this.#faultBy = before + (operations - before) / 2;
    // A life may end before something could be done to it.
    const isDone = (): boolean => history.begun >= operations && this.crashes >= crashes && !this.#mustDisturb();
    for (let life = 1; !isDone(); life += 1) {
      const until = before + Math.min(1, life / lives) * (operations - before);
      const isFull = (): boolean => history.begun >= until && !this.#mustDisturb();
      await this.#live((untilMs) => isFull() || this.#context.scheduler.nowMs >= untilMs);
    }
    await this.#untilAllIsDone();
  }

  /** Whether it may do something else to a broker than to end it. */
  get mayDisturb(): boolean {
    return DURING_LIFE.some((disturbance) => !this.#context.without.has(disturbance));
  }

  /** Goes on in peace where what was done to the broker left no room for what each run is to show. */
  async #untilAllIsDone(): Promise<void> {
    const { history, scheduler } = this.#context;
    if (hasDoneAll(history.history())) return;
    this.#count('more time in peace');
    await this.makePeace();
    const untilMs = scheduler.nowMs + PEACE_MS_MAX;
    while (!hasDoneAll(history.history()) && scheduler.nowMs < untilMs) await scheduler.sleep(200);
  }

  /** Ends all disturbance; resolves when the broker serves. */
  async makePeace(): Promise<void> {
    const { machine, network, wall } = this.#context;
    this.#isPeace = true;
    machine.disk.heal();
    machine.disk.cutPowerAfter(Number.POSITIVE_INFINITY);
    wall.setRight();
    Object.assign(machine.pace, { usualMsMax: 0.4, slowMsMax: 8 });
    Object.assign(network.weather, { breaksOneIn: Number.POSITIVE_INFINITY, delayMsMax: 1 });
    if (!machine.isUp) await this.#start();
    if (!machine.isUp) throw new Error('the broker does not start though nothing disturbs it');
  }

  /** One more end and start, since what was acknowledged last must survive too. */
  async endOnceMore(): Promise<void> {
    const ending = pick<Ending>(this.#random, [...POWER_CUTS, 'kill', 'stop']);
    await this.#end(ending);
    await this.makePeace();
    await this.#context.scheduler.sleep(PASSES_MS);
  }

  /** A life: it is over when `isFull`, or when the nemesis had enough of it. */
  async #live(isFull: (untilMs: number) => boolean): Promise<void> {
    const { scheduler, machine } = this.#context;
    if (!machine.isUp && !(await this.#start())) return;
    this.#changeWeather();
    const untilMs = scheduler.nowMs + LIFE_MS_MAX;
    const ended = machine.ended.then(() => true);
    while (machine.isUp && !isFull(untilMs)) {
      if (oneIn(this.#random, 12) || this.#mustDisturb()) this.#disturb();
      await Promise.race([ended, scheduler.sleep(this.#random.below(200))]);
    }
    if (machine.isUp)
      await this.#end(pick<Ending>(this.#random, [...POWER_CUTS, ...POWER_CUTS, 'kill', 'kill', 'stop']));
    // It stopped itself, for a disk that it cannot trust.
    else this.#noteDown(await machine.ended);
  }

  /** Whether the broker serves now. */
  async #start(): Promise<boolean> {
    const { machine, scheduler, without, rot } = this.#context;
    const isFlipped = await this.#rot();
    const cutsRecovery =
      !isFlipped && !this.#isPeace && this.crashes > 0 && !without.has('recovery') && oneIn(this.#random, 3);
    if (cutsRecovery) this.#cutPowerSoon(this.#random.below(this.#random.below(150) + 1));
    const started = machine.start((told) => rot.mayServe(told));
    const late = scheduler.sleep(START_MS_MAX).then(() => 'late' as const);
    const opened = await Promise.race([started, late]);
    if (opened === 'late') {
      this.#context.onViolation('a start has not come to its end after two minutes');
      machine.kill();
    } else if (opened === 'ended') {
      this.#count('told of a flipped bit in the journal');
      rot.undo();
      return this.#start();
    } else if (opened === null) {
      this.#count('power cut in recovery');
      this.#noteDown(await machine.ended);
    } else if (opened instanceof Fault && rot.explains(opened, machine.told)) {
      this.#count('start refused for a flipped bit');
      rot.undo();
      return this.#start();
    } else if (opened instanceof Fault) await this.#refused(opened);
    else {
      rot.settle();
      this.#isPowerless = false;
      // If recovery had fewer calls, the cut comes later.
      this.#down?.ok({});
      this.#down = null;
      return true;
    }
    return false;
  }

  /** Flips a bit of what is durable, and some back. Returns whether the next start is to be judged by it. */
  async #rot(): Promise<boolean> {
    const { rot, without } = this.#context;
    if (!this.#isPowerless || this.#isPeace || without.has('rot')) return false;
    if (oneIn(this.#random, 4))
      for (let mended = rot.mendSome(); mended > 0; mended -= 1) this.#count('bit flipped back');
    if (!oneIn(this.#random, 2)) return false;
    this.#isPowerless = false;
    const kind = await rot.flip();
    if (kind !== null) this.#count(`bit flipped in ${kind}`);
    return kind !== null;
  }

  async #refused(fault: Fault): Promise<void> {
    const { machine, scheduler } = this.#context;
    const isExpected = machine.disk.isFailing && ['diskFullAtStart', 'diskFull', 'diskError'].includes(fault.fault);
    if (!isExpected) {
      this.#context.onViolation(`the broker refuses to start: ${fault.fault}: ${fault.message}`);
      throw fault;
    }
    this.#count('start refused');
    if (oneIn(this.#random, 2)) machine.disk.heal();
    await scheduler.sleep(500);
  }

  async #end(ending: Ending): Promise<void> {
    const { machine, scheduler } = this.#context;
    if (ending === 'stop') {
      await machine.stop();
    } else if (ending === 'kill') machine.kill();
    else if (oneIn(this.#random, 3)) {
      machine.cutPower(ending);
    } else {
      machine.nextCut = ending;
      machine.disk.cutPowerAfter(this.#random.below(40));
      await Promise.race([machine.ended, scheduler.sleep(2_000)]);
      if (machine.isUp) machine.cutPower(ending);
    }
    this.#noteDown(await machine.ended);
  }

  #cutPowerSoon(calls: number): void {
    const { machine } = this.#context;
    machine.nextCut = pick<PowerCut>(this.#random, POWER_CUTS);
    machine.disk.cutPowerAfter(calls);
  }

  #noteDown(how: Ending | 'fatal'): void {
    const isCrash = how !== 'stop';
    if (isCrash) this.crashes += 1;
    const name =
      how === 'kill' || how === 'stop' ? how : how === 'fatal' ? 'broker stopped itself' : `power cut, ${how}`;
    this.#count(name);
    const { history, process } = this.#context;
    const kind = how === 'kill' || how === 'fatal' ? 'kill' : how === 'stop' ? 'stop' : 'power';
    this.#isPowerless = kind === 'power';
    if (this.#down === null || kind === 'power') this.#down = history.invoke(process, 'crash', { how: kind });
  }

  #changeWeather(): void {
    const { network, machine, without } = this.#context;
    if (without.has('network')) return;
    network.weather.breaksOneIn = pick(this.#random, [2, 4, Number.POSITIVE_INFINITY]);
    network.weather.delayMsMax = pick(this.#random, [1, 5, 30]);
    machine.pace.usualMsMax = pick(this.#random, [0.2, 1, 4]);
    machine.pace.slowMsMax = pick(this.#random, [5, 30, 300]);
  }

  #mustDisturb(): boolean {
    return this.mayDisturb && this.faults === 0 && this.#context.history.begun >= this.#faultBy;
  }

  #disturb(): void {
    const { without } = this.#context;
    const disturbance = pick(this.#random, DURING_LIFE);
    if (without.has(disturbance)) return;
    this.faults += 1;
    if (disturbance === 'disk') this.#failDisk();
    else if (disturbance === 'clock') this.#moveClock();
    else {
      this.#count('all connections broken');
      this.#context.network.breakAll();
    }
  }

  #failDisk(): void {
    const random = this.#random;
    const { disk } = this.#context.machine;
    switch (random.below(4)) {
      case 0:
      case 1: {
        this.#count('disk full for a while');
        const calls: FailingCall[] = ['write', 'folder'];
        // As some file systems do, which write anew what they change.
        if (oneIn(random, 4)) calls.push('rename');
        if (oneIn(random, 4)) calls.push('truncate');
        disk.fail({ fault: 'ENOSPC', of: (call) => calls.includes(call), from: random.below(30), forEver: true });
        this.#healIn(disk, 200 + random.below(3000));
        return;
      }
      case 2:
        this.#count('too many open files for a while');
        disk.fail({ fault: 'EMFILE', of: (call) => call === 'open', from: random.below(5), forEver: true });
        this.#healIn(disk, 100 + random.below(1000));
        return;
      default: {
        const call = pick<FailingCall>(random, ['sync', 'sync', 'write', 'read', 'truncate', 'rename', 'syncFolder']);
        this.#count(`EIO at ${call}`);
        disk.fail({ fault: 'EIO', of: (one) => one === call, from: random.below(20), forEver: oneIn(random, 3) });
        this.#healIn(disk, 500 + random.below(3000));
      }
    }
  }

  #healIn(disk: Machine['disk'], delayMs: number): void {
    this.#context.scheduler.after(delayMs, () => disk.heal());
  }

  #moveClock(): void {
    const { wall } = this.#context;
    const choice = this.#random.below(8);
    if (choice === 0) {
      // That is none.
      this.faults -= 1;
      wall.setRight();
    } else if (choice <= 2) {
      this.#count('clock frozen');
      wall.freeze();
    } else {
      const byMs = pick(this.#random, CLOCK_JUMPS_MS);
      this.#count(`clock jumped ${byMs / HOUR_MS} h`);
      wall.jump(byMs);
    }
  }

  #count(what: string): void {
    this.#context.trace.add(`nemesis: ${what}`);
    this.injected.set(what, (this.injected.get(what) ?? 0) + 1);
  }
}
