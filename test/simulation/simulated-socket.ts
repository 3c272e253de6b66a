import { Duplex } from 'node:stream';
import { crc32 } from 'node:zlib';
import type { SeededRandom } from '../seeded-random.ts';
import { oneIn } from './random-streams.ts';
import type { Life, Scheduler } from './scheduler.ts';
import type { Trace } from './trace.ts';

/** How a connection treats what is sent on it. */
export interface LinkPace {
  readonly delayMsMax: number;
  /** Bytes, of both ways together, after which the connection breaks, wherever in a frame that is. */
  readonly breaksAfterBytes: number;
}

export interface LinkContext {
  readonly scheduler: Scheduler;
  readonly random: SeededRandom;
  readonly trace: Trace;
}

/**
 * One end of a connection. Bytes come in the order in which they were sent, in other pieces, and late. When the connection
 * breaks, each end learns of it at a time of its own, and what was under way is lost.
 */
export class SimulatedSocket extends Duplex {
  bytesRead = 0;
  readonly remoteAddress = '10.0.0.1';
  readonly remotePort: number;
  readonly #link: Link;
  readonly #life: Life | null;

  constructor(link: Link, life: Life | null, allowHalfOpen: boolean) {
    super({ allowHalfOpen });
    this.#link = link;
    this.#life = life;
    this.remotePort = link.number;
  }

  get life(): Life | null {
    return this.#life;
  }

  receive(bytes: Buffer): void {
    if (this.destroyed || this.readableEnded) return;
    this.bytesRead += bytes.length;
    this.push(bytes);
  }

  /** As with a real one, what a server's socket has received is overwritten by what comes next. */
  override emit(event: string | symbol, ...values: unknown[]): boolean {
    const isHeard = super.emit(event, ...values);
    if (event === 'data' && this.#life !== null) (values[0] as Buffer).fill(0);
    return isHeard;
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#link.send(this, chunk, done);
  }

  override _final(done: () => void): void {
    this.#link.end(this);
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#link.closed(this);
    done(error);
  }
}

/** A connection of one client with one life of the broker. */
export class Link {
  readonly number: number;
  readonly client: SimulatedSocket;
  readonly server: SimulatedSocket;
  readonly #context: LinkContext;
  readonly #pace: LinkPace;
  #leftBytes: number;
  #isBroken = false;
  /** Whether what was under way at the break arrives all the same. */
  #losesRest = false;
  /** When the last piece on its way to each end arrives; none overtakes it. */
  readonly #arrivesMs = new Map<SimulatedSocket, number>();

  constructor(number: number, life: Life, pace: LinkPace, context: LinkContext) {
    this.number = number;
    this.#context = context;
    this.#pace = pace;
    this.#leftBytes = pace.breaksAfterBytes;
    this.client = new SimulatedSocket(this, null, false);
    this.server = new SimulatedSocket(this, life, true);
  }

  send(from: SimulatedSocket, chunk: Buffer, done: () => void): void {
    const { random, scheduler, trace } = this.#context;
    // Sent by a process that has died in this very moment, or after the break: it goes nowhere.
    if (this.#isBroken || from.life?.isOver) return void scheduler.after(1, done, from.life);
    const bytes = Buffer.from(chunk.subarray(0, Math.min(chunk.length, this.#leftBytes)));
    this.#leftBytes -= chunk.length;
    trace.add(`net ${this.#nameOf(from)} ${bytes.length} ${crc32(bytes)}`);
    for (let at = 0; at < bytes.length; ) {
      const size = oneIn(random, 3) ? 1 + random.below(bytes.length - at) : bytes.length - at;
      const piece = bytes.subarray(at, at + size);
      this.#deliver(this.#other(from), (to) => void (this.#losesRest || to.receive(piece)));
      at += size;
    }
    if (this.#leftBytes < 0) this.break('ECONNRESET');
    // The operating system takes what there is room for at once, or when something has left.
    scheduler.after(oneIn(random, 2) ? 0 : this.#delayMs(), done, from.life);
  }

  end(from: SimulatedSocket): void {
    if (this.#isBroken || from.life?.isOver) return;
    this.#deliver(this.#other(from), (to) => void (to.destroyed || to.push(null)));
  }

  /** One end has let go of it: to the other that is the end, or a reset. */
  closed(socket: SimulatedSocket): void {
    if (this.#isBroken || socket.life?.isOver || (this.client.writableFinished && this.server.writableFinished)) return;
    this.break('ECONNRESET');
  }

  /** It carries nothing more. Each end that lives is told, in its time; or not, as when a machine has lost its power. */
  break(code: string, isTold = true): void {
    if (this.#isBroken) return;
    this.#isBroken = true;
    this.#losesRest = oneIn(this.#context.random, 2);
    this.#context.trace.add(`net ${this.number} breaks`);
    if (!isTold) return;
    for (const socket of [this.client, this.server]) {
      this.#deliver(socket, () => void socket.destroy(Object.assign(new Error(code), { code })));
    }
  }

  #deliver(to: SimulatedSocket, action: (to: SimulatedSocket) => void): void {
    const { scheduler } = this.#context;
    const arrivesMs = Math.max(scheduler.nowMs + this.#delayMs(), (this.#arrivesMs.get(to) ?? 0) + 0.001);
    this.#arrivesMs.set(to, arrivesMs);
    scheduler.after(arrivesMs - scheduler.nowMs, () => action(to), to.life);
  }

  #delayMs(): number {
    const { random } = this.#context;
    return (random.below(1000) / 1000) * this.#pace.delayMsMax * (oneIn(random, 30) ? 20 : 1);
  }

  #nameOf(from: SimulatedSocket): string {
    return `${this.number}${from === this.client ? '>' : '<'}`;
  }

  #other(end: SimulatedSocket): SimulatedSocket {
    return end === this.client ? this.server : this.client;
  }
}
