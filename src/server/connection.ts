import type { Socket } from 'node:net';
import type { CancelTimer } from '../base/clock.ts';
import { Fault } from '../base/faults.ts';
import { kafkaErrors } from '../base/kafka-errors.ts';
import { limits } from '../base/limits.ts';
import type { Broker } from '../broker/broker.ts';
import { apiByKey, decodeRequest, encodeResponse, readRequestHeader } from '../wire/codec.ts';
import { FrameSplitter } from '../wire/frame-splitter.ts';
import type { ByteBudget } from './byte-budget.ts';
import type { Address } from './context.ts';
import { dispatch, serves } from './dispatcher.ts';
import type { FetchSessions } from './fetch-sessions.ts';
import { Outbox } from './outbox.ts';

/** What the connections of one server share. */
export interface ServerShare {
  readonly broker: Broker;
  readonly fetchSessions: FetchSessions;
  readonly requestBytes: ByteBudget;
  readonly responseBytes: ByteBudget;
}

/** A request under way, in the order in which its answer must go out. */
interface Slot {
  readonly requestBytes: number;
  /** The answer's frame; null for none; undefined while it is awaited. */
  answer: readonly Buffer[] | null | undefined;
  /** Called when the answer is on its way, or never will be. */
  onSent: (() => void) | null;
}

/**
 * One client. Requests start in the order in which they come, wait side by side, and are answered in that order. A client
 * that asks faster than it reads, or than the broker can keep up with, is not read from until it has caught up.
 */
export class Connection {
  readonly #socket: Socket;
  readonly #share: ServerShare;
  readonly #advertised: Address;
  readonly #splitter = new FrameSplitter(limits.frameBytesMax);
  readonly #outbox: Outbox;
  readonly #gone = new AbortController();
  #inbox: Buffer[] = [];
  #slots: Slot[] = [];
  #bytesInFlight = 0;
  #outboxBytes = 0;
  #ending = false;
  #awaitsRoom = false;
  #stallTimer: CancelTimer | null = null;

  constructor(socket: Socket, share: ServerShare, advertised: Address) {
    this.#socket = socket;
    this.#share = share;
    this.#advertised = advertised;
    this.#outbox = new Outbox(socket, () => this.#progressed());
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    socket.on('error', (err) => share.broker.logger.debug({ err, peer: this.#peer }, 'a connection failed'));
    socket.on('end', () => this.end());
    socket.on('close', () => this.#closed());
  }

  get #peer(): string {
    return `${this.#socket.remoteAddress}:${this.#socket.remotePort}`;
  }

  /** Answers what has begun, then closes. Waiting fetches are answered with what there is. */
  end(): void {
    this.#ending = true;
    this.#inbox = [];
    this.#socket.pause();
    this.#gone.abort();
    this.#closeIfDone();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #receive(chunk: Buffer): void {
    if (this.#ending) return;
    let frames: Buffer[];
    try {
      frames = this.#splitter.push(chunk);
    } catch (fault) {
      this.#refuse(fault as Fault);
      return;
    }
    for (const frame of frames) {
      this.#bytesInFlight += frame.length;
      this.#share.requestBytes.take(frame.length);
      this.#inbox.push(frame);
    }
    this.#proceed();
  }

  /** Starts what may be started, and reads on or stops reading as the limits say. */
  #proceed(): void {
    let started = 0;
    while (started < this.#inbox.length && this.#mayStart()) this.#start(this.#inbox[started++]!);
    if (started > 0) this.#inbox.splice(0, started);
    const held = this.#inbox.length > 0 || this.#bytesInFlight > limits.connectionBytesInFlightMax;
    const full = this.#share.requestBytes.freeBytes === 0;
    if (full && !this.#awaitsRoom) {
      this.#awaitsRoom = true;
      this.#share.requestBytes.whenFree(() => {
        this.#awaitsRoom = false;
        this.#proceed();
      });
    }
    if (held || full || this.#ending) this.#socket.pause();
    else if (this.#socket.isPaused()) this.#socket.resume();
  }

  #mayStart(): boolean {
    const { responseBytesQueuedMax, requestsInFlightMax } = limits;
    return (
      !this.#ending && this.#slots.length < requestsInFlightMax && this.#outbox.queuedBytes < responseBytesQueuedMax
    );
  }

  #start(frame: Buffer): void {
    const slot: Slot = { requestBytes: frame.length, answer: undefined, onSent: null };
    this.#slots.push(slot);
    this.#answer(frame, slot).then(
      (answer) => {
        slot.answer = answer;
        this.#flush();
      },
      (error: unknown) => this.#refuse(error as Error),
    );
  }

  async #answer(frame: Buffer, slot: Slot): Promise<readonly Buffer[] | null> {
    const { apiKey, apiVersion: version, correlationId, clientId, bodyStart } = readRequestHeader(frame);
    const api = apiByKey(apiKey);
    if (api === 'ApiVersions' && !serves(api, version)) return this.#refuseVersion(correlationId);
    if (api === null || !serves(api, version)) {
      throw new Fault('unsupportedVersion', { detail: `${api ?? `API ${apiKey}`} version ${version}` });
    }
    const { broker, fetchSessions, responseBytes } = this.#share;
    const context = {
      broker,
      version,
      clientId,
      advertised: this.#advertised,
      fetchSessions,
      signal: this.#gone.signal,
      onSent: (done: () => void) => {
        slot.onSent = done;
      },
      responseBytesMax: () => responseBytes.freeBytes >> 2,
    };
    const answer = await dispatch(api, decodeRequest(api, version, frame, bodyStart), context);
    return answer === null ? null : encodeResponse(api, version, correlationId, answer);
  }

  /** A client newer than this broker learns by version 0, which every client reads, what it may ask (KIP-511). */
  async #refuseVersion(correlationId: number): Promise<readonly Buffer[]> {
    const { broker, fetchSessions } = this.#share;
    const context = { broker, version: 0, clientId: null, advertised: this.#advertised, fetchSessions };
    const request = { clientSoftwareName: '', clientSoftwareVersion: '' };
    const answer = await dispatch('ApiVersions', request, {
      ...context,
      signal: this.#gone.signal,
      onSent: null,
      responseBytesMax: () => 0,
    });
    return encodeResponse('ApiVersions', 0, correlationId, {
      ...answer,
      errorCode: kafkaErrors.UNSUPPORTED_VERSION.code,
    });
  }

  /** Sends the answers that are ready, up to the first that is not. */
  #flush(): void {
    let ready = 0;
    while (ready < this.#slots.length && this.#slots[ready]!.answer !== undefined) ready += 1;
    for (const { requestBytes, answer, onSent } of this.#slots.splice(0, ready)) {
      this.#bytesInFlight -= requestBytes;
      this.#share.requestBytes.give(requestBytes);
      if (answer != null && !this.#socket.destroyed) this.#outbox.push(answer, onSent);
      else onSent?.();
    }
    this.#accountOutbox();
    this.#proceed();
    this.#closeIfDone();
  }

  #progressed(): void {
    this.#accountOutbox();
    this.#stallTimer?.();
    this.#stallTimer = null;
    if (this.#inbox.length > 0) this.#proceed();
    this.#closeIfDone();
  }

  #accountOutbox(): void {
    const { queuedBytes } = this.#outbox;
    const change = queuedBytes - this.#outboxBytes;
    this.#outboxBytes = queuedBytes;
    if (change > 0) this.#share.responseBytes.take(change);
    else this.#share.responseBytes.give(-change);
    if (queuedBytes > 0) this.#watchForStall();
  }

  #watchForStall(): void {
    this.#stallTimer ??= this.#share.broker.clock.after(limits.stalledReaderTimeoutMs, () => {
      this.#refuse(new Fault('requestTimedOut', { detail: 'the client does not read its answers' }));
    });
  }

  /** What the peer sent cannot be answered: it is told by the end of the connection, and the log says why. */
  #refuse(error: Error): void {
    if (!this.#socket.destroyed && !this.#gone.signal.aborted) {
      const facts = { peer: this.#peer, reason: error.message };
      this.#share.broker.logger.warn(facts, 'a connection was closed on a client');
    }
    this.#socket.destroy();
  }

  #closeIfDone(): void {
    if (this.#ending && this.#slots.length === 0 && this.#outbox.queuedBytes === 0) this.#socket.end();
  }

  #closed(): void {
    this.#ending = true;
    this.#gone.abort();
    this.#stallTimer?.();
    this.#share.requestBytes.give(this.#bytesInFlight);
    this.#share.responseBytes.give(this.#outboxBytes);
    this.#bytesInFlight = this.#outboxBytes = 0;
    this.#outbox.drop();
    this.#inbox = [];
    this.#slots = [];
  }
}
