import { type Draft, decodeResponse, encodeRequest } from '../../src/wire/codec.ts';
import { FrameSplitter } from '../../src/wire/frame-splitter.ts';
import type { ApiName, Messages } from '../../src/wire/messages.generated.ts';
import type { Network } from './network.ts';
import type { Scheduler } from './scheduler.ts';
import type { SimulatedSocket } from './simulated-socket.ts';

/** No answer came: whether the broker did what was asked is not known, unless nothing of it was ever sent. */
export class Unanswered extends Error {
  readonly wasSent: boolean;

  constructor(reason: string, wasSent: boolean) {
    super(reason);
    this.wasSent = wasSent;
  }
}

interface Expected {
  readonly resolve: (frame: Buffer) => void;
  readonly reject: (error: Error) => void;
}

const ANSWER_TIMEOUT_MS = 4_000;
const RECONNECT_DELAY_MS = 50;

/** A client of the protocol with one connection, made anew when it is needed. Requests go out in the order of the calls. */
export class Client {
  readonly #network: Network;
  readonly #scheduler: Scheduler;
  readonly #name: string;
  readonly #expected = new Map<number, Expected>();
  #socket: SimulatedSocket | null = null;
  #connecting: Promise<SimulatedSocket> | null = null;
  #correlationId = 0;

  constructor(network: Network, scheduler: Scheduler, name: string) {
    this.#network = network;
    this.#scheduler = scheduler;
    this.#name = name;
  }

  /** @throws Unanswered */
  async request<A extends ApiName>(
    api: A,
    version: number,
    message: Draft<Messages[A]['request']>,
    timeoutMs = ANSWER_TIMEOUT_MS,
  ): Promise<Messages[A]['response']> {
    const { correlationId, socket } = await this.#send(api, version, message);
    const frame = await new Promise<Buffer>((resolve, reject) => {
      const cancel = this.#scheduler.after(timeoutMs, () => {
        reject(new Unanswered('timeout', true));
        // As clients do: what else was asked on this connection would be answered behind it.
        socket.destroy();
      });
      this.#expected.set(correlationId, {
        resolve(answer) {
          cancel();
          resolve(answer);
        },
        reject(error) {
          cancel();
          reject(error);
        },
      });
    });
    return decodeResponse(api, version, frame).message;
  }

  /** Sends what the protocol has no answer for. @throws Unanswered */
  async post<A extends ApiName>(api: A, version: number, message: Draft<Messages[A]['request']>): Promise<void> {
    await this.#send(api, version, message);
  }

  close(): void {
    this.#socket?.destroy();
  }

  async #send<A extends ApiName>(api: A, version: number, message: Draft<Messages[A]['request']>) {
    let socket: SimulatedSocket;
    try {
      socket = this.#socket ?? (await (this.#connecting ??= this.#connect()));
    } catch (error) {
      throw new Unanswered((error as Error).message, false);
    }
    if (socket.destroyed) throw new Unanswered('disconnected', false);
    const correlationId = ++this.#correlationId;
    for (const piece of encodeRequest(api, version, correlationId, this.#name, message)) socket.write(piece);
    return { correlationId, socket };
  }

  async #connect(): Promise<SimulatedSocket> {
    try {
      const socket = await this.#network.connect();
      this.#serve(socket);
      return socket;
    } catch (error) {
      await this.#scheduler.sleep(RECONNECT_DELAY_MS);
      throw error;
    } finally {
      this.#connecting = null;
    }
  }

  #serve(socket: SimulatedSocket): void {
    this.#socket = socket;
    const splitter = new FrameSplitter(1 << 28, 'malformedResponse');
    socket.on('data', (chunk: Buffer) => {
      for (const frame of splitter.push(chunk)) {
        const correlationId = frame.readInt32BE();
        this.#expected.get(correlationId)?.resolve(frame);
        this.#expected.delete(correlationId);
      }
    });
    socket.once('close', () => {
      if (this.#socket === socket) this.#socket = null;
      const expected = [...this.#expected.values()];
      this.#expected.clear();
      for (const { reject } of expected) reject(new Unanswered('disconnected', true));
    });
  }
}
