import type { SeededRandom } from '../seeded-random.ts';
import { oneIn } from './random-streams.ts';
import type { Life, Scheduler } from './scheduler.ts';
import { Link, type SimulatedSocket } from './simulated-socket.ts';
import type { Trace } from './trace.ts';

/** Takes the connections of one life of the broker. */
export interface Door {
  readonly life: Life;
  accept(socket: SimulatedSocket): void;
}

/** How often connections break, and how long bytes take. */
export interface Weather {
  /** One connection in so many breaks by itself; Infinity for none. */
  breaksOneIn: number;
  delayMsMax: number;
}

/** All connections of the clients with the machine. */
export class Network {
  readonly #scheduler: Scheduler;
  readonly #random: SeededRandom;
  readonly #trace: Trace;
  readonly weather: Weather = { breaksOneIn: Number.POSITIVE_INFINITY, delayMsMax: 1 };
  /** Connections that broke by themselves. */
  broken = 0;
  #door: Door | null = null;
  #links: Link[] = [];
  #number = 0;

  constructor(scheduler: Scheduler, random: SeededRandom, trace: Trace) {
    this.#scheduler = scheduler;
    this.#random = random;
    this.#trace = trace;
  }

  open(door: Door): void {
    this.#door = door;
  }

  /** The broker takes no connections any more. */
  shut(): void {
    this.#door = null;
  }

  /** The process on the machine is gone. Its operating system tells the clients; after a power cut nobody does. */
  lose(isTold: boolean): void {
    this.#door = null;
    for (const link of this.#links) link.break('ECONNRESET', isTold);
    this.#links = [];
  }

  /** Breaks every connection that there is. */
  breakAll(): void {
    for (const link of this.#links) link.break('ECONNRESET');
    this.broken += this.#links.length;
    this.#links = [];
  }

  /** @throws Error while nobody listens */
  async connect(): Promise<SimulatedSocket> {
    const { delayMsMax, breaksOneIn } = this.weather;
    await this.#scheduler.sleep((this.#random.below(1000) / 1000) * delayMsMax);
    const door = this.#door;
    if (door === null || door.life.isOver) throw new Error('ECONNREFUSED');
    const breaks = breaksOneIn !== Number.POSITIVE_INFINITY && oneIn(this.#random, breaksOneIn);
    const pace = { delayMsMax, breaksAfterBytes: breaks ? this.#random.below(12_000) : Number.POSITIVE_INFINITY };
    if (breaks) this.broken += 1;
    const context = { scheduler: this.#scheduler, random: this.#random, trace: this.#trace };
    const link = new Link(++this.#number, door.life, pace, context);
    this.#links.push(link);
    link.client.on('error', () => {});
    link.client.on('close', () => {
      this.#links = this.#links.filter((other) => other !== link);
    });
    door.accept(link.server);
    return link.client;
  }
}
