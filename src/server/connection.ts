import type { CancelTimer } from '../base/clock.ts';
import { Fault } from '../base/faults.ts';
import { kafkaErrors } from '../base/kafka-errors.ts';
import { limits } from '../base/limits.ts';
import type { Broker } from '../broker/broker.ts';
import { apiByKey, encodeResponse, readRequest, readRequestHeader } from '../wire/codec.ts';
import { FrameSplitter } from '../wire/frame-splitter.ts';
import { apis } from '../wire/messages.generated.ts';
import type { AnswerBudget } from './answer-budget.ts';
import type { ByteBudget } from './byte-budget.ts';
import type { Address } from './context.ts';
import { dispatch, serves } from './dispatcher.ts';
import type { FetchSessions } from './fetch-sessions.ts';
import { type OnTaken, Outbox } from './outbox.ts';
import type { PeerSocket } from './peer-socket.ts';

/** What the connections of one server share. */
export interface ServerShare {
  readonly broker: Broker;
  readonly fetchSessions: FetchSessions;
  readonly requestBytes: ByteBudget;
  /** What requests in work take of the heap beside their bytes. */
  readonly decodedBytes: ByteBudget;
  readonly requestElementsMax: number;
  readonly responseBytes: AnswerBudget;
}

/** How long a peer may take to notice that its connection has ended. */
const LINGER_MS = 5_000;
const IDLE_LOOK_MS = 600_000;

/** What a struct or a string of a request takes of the heap until it is answered, with its own part of the answer or its fault. */
export const ELEMENT_BYTES = 2048;
/** A request of more elements does not wait for anything. */
const WAITING_ELEMENTS_MAX = 10_000;

/** A request under way, in the order in which its answer must go out. */
interface Slot {
  readonly requestBytes: number;
  readonly fetches: boolean;
  /** What it is decoded to. */
  decodedBytes: number;
  /** The answer's frame; null for none; undefined while it is awaited. */
  answer: readonly Buffer[] | null | undefined;
  /** What its answer holds, or what is read for it, until the outbox counts it. */
  heldBytes: number;
  /** Called with each of its answer's buffers that is on its way, or never will be. */
  onSent: OnTaken | null;
}

/**
 * One client. Requests start in the order in which they come, wait side by side, and are answered in that order; a fetch starts
 * only when the one before it is answered, and the client has taken all that was sent to it. A client that asks faster than it
 * reads, or than the broker can keep up with, is not read from until it has caught up.
 */
export class Connection {
  readonly #socket: PeerSocket;
  readonly #share: ServerShare;
  readonly #advertised: Address;
  readonly #clientHost: string;
  readonly #splitter = new FrameSplitter(limits.frameBytesMax);
  readonly #outbox: Outbox;
  readonly #gone = new AbortController();
  #inbox: Buffer[] = [];
  #slots: Slot[] = [];
  #bytesInFlight = 0;
  /** … of requests that are worked on, also for nobody any more. */
  #workedOnBytes = 0;
  /** Of a request that has not come whole. */
  #pendingBytes = 0;
  #heldBytes = 0;
  #outboxBytes = 0;
  /** Requests since the start. */
  #answered = 0;
  #willFlush = false;
  /** While a request has work to do that comes before what is asked later. */
  #inOrder = false;
  /** The memory of the bytes that are being received: it becomes others'. */
  #lent: ArrayBufferLike | null = null;
  #state: 'open' | 'ending' | 'closed' = 'open';
  readonly #awaited = new Set<ByteBudget | AnswerBudget>();
  #readerTimer: CancelTimer | null = null;
  #senderTimer: CancelTimer | null = null;
  #lingerTimer: CancelTimer | null = null;
  #idleTimer: CancelTimer | null = null;

  constructor(socket: PeerSocket, share: ServerShare, advertised: Address) {
    this.#socket = socket;
    this.#share = share;
    this.#advertised = advertised;
    // An IPv4 client of a socket for both kinds is told as what it is.
    this.#clientHost = `/${(socket.remoteAddress ?? '').replace(/^::ffff:/, '')}`;
    this.#outbox = new Outbox(socket, () => this.#progressed());
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    socket.on('error', (err) => share.broker.logger.debug({ err, peer: this.#peer }, 'a connection failed'));
    socket.on('end', () => this.#end());
    socket.on('close', () => this.#closed());
    this.#watchIdle(0, share.broker.clock.monotonicMs());
  }

  get #peer(): string {
    return `${this.#socket.remoteAddress}:${this.#socket.remotePort}`;
  }

  /** Answers what has begun, then closes. Waiting fetches are answered with what there is. */
  end(): void {
    this.#inbox = [];
    this.#end();
    this.#closeIfDone();
  }

  /** The client has said all it has to say: what it has asked for is answered. */
  #end(): void {
    if (this.#state !== 'open') return;
    this.#state = 'ending';
    this.#socket.pause();
    this.#gone.abort();
    this.#closeIfDone();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #receive(chunk: Buffer): void {
    if (this.#state !== 'open') return;
    let frames: Buffer[];
    try {
      frames = this.#splitter.push(chunk);
    } catch (fault) {
      this.#refuse(fault as Fault);
      return;
    }
    let bytes = this.#splitter.pendingBytes - this.#pendingBytes;
    this.#pendingBytes += bytes;
    for (const frame of frames) {
      bytes += frame.length;
      this.#inbox.push(frame);
    }
    this.#countRequest(bytes);
    if (this.#pendingBytes > 0) this.#senderTimer ??= this.#watchSender(this.#socket.bytesRead);
    this.#lent = chunk.buffer;
    this.#proceed();
    this.#lent = null;
    this.#keepInbox(chunk);
  }

  /** What waits is looked at when the chunk has become another's. */
  #keepInbox({ buffer }: Buffer): void {
    for (const [i, frame] of this.#inbox.entries()) if (frame.buffer === buffer) this.#inbox[i] = Buffer.from(frame);
  }

  #countRequest(bytes: number): void {
    this.#bytesInFlight += bytes;
    if (bytes > 0) this.#share.requestBytes.take(bytes);
    else this.#share.requestBytes.give(-bytes);
  }

  /** A request that has begun must come to its end. One timer serves all of a connection's. */
  #watchSender(bytesRead: number): CancelTimer {
    return this.#share.broker.clock.after(limits.stalledSenderTimeoutMs, () => {
      this.#senderTimer = null;
      if (this.#pendingBytes === 0) return;
      if (this.#socket.bytesRead === bytesRead) this.#cutOff('the client does not send the rest of its request');
      else this.#senderTimer = this.#watchSender(this.#socket.bytesRead);
    });
  }

  /**
   * A connection on which nothing happened for so long is closed, as in Kafka. Whoever waits for an answer is not idle, and who is in the
   * middle of a request is another's concern. `activity`: that of the last look, since `sinceMs`.
   */
  #watchIdle(activity: number, sinceMs: number): void {
    const { broker } = this.#share;
    const idleMs = broker.settings.number('connections.max.idle.ms');
    const nowMs = broker.clock.monotonicMs();
    const now = this.#socket.bytesRead + this.#answered;
    const isIdle = now === activity && this.#slots.length === 0 && this.#pendingBytes === 0;
    if (isIdle && idleMs >= 0 && nowMs - sinceMs >= idleMs) {
      broker.logger.debug({ peer: this.#peer }, 'an idle connection was closed');
      this.end();
      return;
    }
    // Looked at again without a limit too: it may be set while the connection lasts.
    const lookMs = idleMs >= 0 ? idleMs : IDLE_LOOK_MS;
    this.#idleTimer = broker.clock.after(lookMs, () => this.#watchIdle(now, isIdle ? sinceMs : nowMs));
  }

  /** Starts what may be started, and reads on or stops reading as the limits say. */
  #proceed(): void {
    if (this.#state === 'closed') return;
    let started = 0;
    while (started < this.#inbox.length && this.#mayStart(started)) this.#start(started++);
    if (started > 0) this.#inbox.splice(0, started);
    if (this.#inbox.length > 0 && !this.#hasShare(0)) this.#awaitRoom(this.#share.responseBytes);
    if (this.#inbox.length > 0 && this.#share.decodedBytes.freeBytes === 0) this.#awaitRoom(this.#share.decodedBytes);
    if (this.#state === 'open') this.#readOn();
  }

  #readOn(): void {
    const { requestsInFlightMax, connectionBytesInFlightMax } = limits;
    // While some wait for a fetch that waits for records it is read on: only so it is noticed that the client has gone.
    const stalled = this.#inbox.length > 0 && this.#outbox.queuedBytes > 0;
    const many = this.#slots.length + this.#inbox.length >= requestsInFlightMax;
    const held = stalled || many || this.#bytesInFlight > connectionBytesInFlightMax;
    const { requestBytes } = this.#share;
    const begun = this.#pendingBytes > 0;
    if (!begun) requestBytes.done(this);
    const full = requestBytes.freeBytes === 0 && !(begun && requestBytes.except(this));
    if (full) this.#awaitRoom(requestBytes);
    if (held || full) this.#socket.pause();
    else if (this.#socket.isPaused()) this.#socket.resume();
  }

  #awaitRoom(budget: ByteBudget | AnswerBudget): void {
    if (this.#awaited.has(budget)) return;
    this.#awaited.add(budget);
    budget.whenFree(() => {
      this.#awaited.delete(budget);
      this.#proceed();
    });
  }

  /** `index`: of a request that waits. */
  #mayStart(index: number): boolean {
    const { responseBytesQueuedMax, requestsInFlightMax } = limits;
    const fetches = isFetch(this.#inbox[index]!);
    // One that is gone would make room by what was queued to it, and fill that by what it had asked for.
    if (this.#socket.destroyed || this.#inOrder) return false;
    // Nothing is read from the log for a reader that has not taken what was read for it before.
    if (fetches && (this.#outbox.queuedBytes > 0 || this.#slots.some(({ fetches }) => fetches))) return false;
    return (
      this.#slots.length < requestsInFlightMax &&
      this.#hasShare(index) &&
      this.#share.decodedBytes.freeBytes > 0 &&
      this.#heldBytes + this.#outbox.queuedBytes < responseBytesQueuedMax
    );
  }

  /** Whether the client has sent another fetch behind this one. */
  #asksAhead(index: number): boolean {
    return this.#inbox.some((frame, i) => i > index && isFetch(frame));
  }

  /** Who asks ahead is not told that there is nothing when there is no room: it waits. */
  #hasShare(index: number): boolean {
    return !isFetch(this.#inbox[index]!) || !this.#asksAhead(index) || this.#share.responseBytes.share(true) > 0;
  }

  #start(index: number): void {
    const frame = this.#inbox[index]!;
    const fetches = isFetch(frame);
    const asksAhead = fetches && this.#asksAhead(index);
    const slot: Slot = {
      requestBytes: frame.length,
      fetches,
      decodedBytes: 0,
      answer: undefined,
      heldBytes: 0,
      onSent: null,
    };
    this.#slots.push(slot);
    this.#workedOnBytes += frame.length;
    const answered = this.#answer(frame, slot, asksAhead).finally(() =>
      this.#share.decodedBytes.give(slot.decodedBytes),
    );
    answered.then(
      (answer) => {
        this.#workedOnBytes -= frame.length;
        slot.answer = answer;
        if (!this.#slots.includes(slot)) return this.#forget(slot);
        // It may have to wait for the answers before it.
        this.#hold(slot, sizeOf(answer) - slot.heldBytes);
        this.#flushSoon();
      },
      (error: unknown) => {
        this.#workedOnBytes -= frame.length;
        slot.answer = null;
        if (this.#slots.includes(slot)) this.#refuse(error as Error, slot);
        else this.#forget(slot);
      },
    );
  }

  async #holdingOthers<T>(work: () => Promise<T>): Promise<T> {
    this.#inOrder = true;
    const done = await work();
    // Not after a failure: what was asked later must not be done before what failed is asked again.
    this.#inOrder = false;
    this.#proceed();
    return done;
  }

  #hold(slot: Slot, bytes: number): void {
    if (this.#state === 'closed') return;
    slot.heldBytes += bytes;
    this.#heldBytes += bytes;
    if (bytes > 0) this.#share.responseBytes.take(bytes);
    else this.#share.responseBytes.give(-bytes);
  }

  async #answer(frame: Buffer, slot: Slot, asksAhead: boolean): Promise<readonly Buffer[] | null> {
    const { apiKey, apiVersion: version, correlationId, clientId, bodyStart } = readRequestHeader(frame);
    const api = apiByKey(apiKey);
    if (api === 'ApiVersions' && !serves(api, version)) return this.#refuseVersion(correlationId);
    if (api === null || !serves(api, version)) {
      throw new Fault('unsupportedVersion', { detail: `${api ?? `API ${apiKey}`} version ${version}` });
    }
    const { broker, fetchSessions, responseBytes, decodedBytes, requestElementsMax } = this.#share;
    // What is produced is in memory of its own when the dispatcher returns; of others, bytes may be used later.
    const bytes = api === 'Produce' ? frame : Buffer.from(frame);
    const { message, elements } = readRequest(api, version, bytes, bodyStart, requestElementsMax);
    slot.decodedBytes = elements * ELEMENT_BYTES;
    decodedBytes.take(slot.decodedBytes);
    // Held from the start: else all that wait for room would begin with the same.
    let granted = asksAhead ? responseBytes.share(true) : 0;
    this.#hold(slot, granted);
    const context = {
      broker,
      version,
      clientId,
      clientHost: this.#clientHost,
      advertised: this.#advertised,
      fetchSessions,
      signal: this.#gone.signal,
      lendsRecords: frame.buffer === this.#lent,
      inOrder: <T>(work: () => Promise<T>) => this.#holdingOthers(work),
      mayWait: elements <= WAITING_ELEMENTS_MAX,
      onSent: (onTaken: OnTaken) => {
        slot.onSent = onTaken;
      },
      holdResponse: (bytes: number) => {
        this.#hold(slot, bytes - granted);
        granted = 0;
      },
      responseBytesMax: () => (this.#socket.destroyed ? 0 : granted || responseBytes.share(asksAhead)),
    };
    const answer = await dispatch(api, message, context);
    return answer === null ? null : encodeResponse(api, version, correlationId, answer);
  }

  /** A client newer than this broker learns by version 0, which every client reads, what it may ask (KIP-511). */
  async #refuseVersion(correlationId: number): Promise<readonly Buffer[]> {
    const { broker, fetchSessions } = this.#share;
    const client = { clientId: null, clientHost: this.#clientHost };
    const context = { broker, version: 0, ...client, advertised: this.#advertised, fetchSessions };
    const request = { clientSoftwareName: '', clientSoftwareVersion: '' };
    const answer = await dispatch('ApiVersions', request, {
      ...context,
      signal: this.#gone.signal,
      lendsRecords: false,
      inOrder: (work) => work(),
      mayWait: true,
      onSent: null,
      responseBytesMax: () => 0,
    });
    return encodeResponse('ApiVersions', 0, correlationId, {
      ...answer,
      errorCode: kafkaErrors.UNSUPPORTED_VERSION.code,
    });
  }

  /** Answers that become ready in the same turn share one write, which costs more than all else that is done for a small one. */
  #flushSoon(): void {
    if (this.#willFlush) return;
    this.#willFlush = true;
    process.nextTick(() => {
      this.#willFlush = false;
      this.#flush();
    });
  }

  /** Sends the answers that are ready, up to the first that is not. */
  #flush(): void {
    let ready = 0;
    while (ready < this.#slots.length && this.#slots[ready]!.answer !== undefined) ready += 1;
    this.#answered += ready;
    const sent = this.#slots.splice(0, ready);
    for (const { requestBytes, answer, onSent } of sent) {
      this.#countRequest(-requestBytes);
      if (answer != null && !this.#socket.destroyed) this.#outbox.push(answer, onSent);
      else if (onSent !== null) answer?.forEach(onSent);
    }
    this.#outbox.write();
    this.#accountOutbox();
    // After that, so that nobody takes for room what has only gone from one place to the other.
    for (const slot of sent) this.#hold(slot, -slot.heldBytes);
    this.#proceed();
    this.#closeIfDone();
  }

  #progressed(): void {
    this.#readerTimer?.();
    this.#readerTimer = null;
    this.#accountOutbox();
    if (this.#inbox.length > 0) this.#proceed();
    this.#closeIfDone();
  }

  #accountOutbox(): void {
    const { queuedBytes } = this.#outbox;
    const change = queuedBytes - this.#outboxBytes;
    this.#outboxBytes = queuedBytes;
    if (change > 0) this.#share.responseBytes.take(change);
    else this.#share.responseBytes.give(-change);
    if (queuedBytes > 0) this.#watchReader();
  }

  #watchReader(): void {
    this.#readerTimer ??= this.#share.broker.clock.after(limits.stalledReaderTimeoutMs, () => {
      this.#cutOff('the client does not read its answers');
    });
  }

  /**
   * What the peer sent cannot be answered: it is told by the end of the connection, after the answers to what it had asked
   * before, and the log says why. `slot` is the request that is at fault, if one is.
   */
  #refuse(error: Error, slot?: Slot): void {
    const index = slot === undefined ? this.#slots.length : this.#slots.indexOf(slot);
    const dropped = this.#slots.splice(index);
    this.#tell(error.message);
    // What waits to be started came after the request at fault, but before bytes that are none. It would take the room of those dropped.
    if (slot !== undefined) this.end();
    else this.#end();
    for (const one of dropped) this.#forget(one);
  }

  /** Ends a connection whose peer does not do its part; nothing more can be told to it. */
  #cutOff(reason: string): void {
    this.#tell(reason);
    this.#socket.destroy();
  }

  #tell(reason: string): void {
    if (this.#state !== 'open') return;
    this.#share.broker.logger.warn({ peer: this.#peer, reason }, 'a connection was closed on a client');
  }

  /**
   * Nobody will have its answer. One that is still worked on keeps its bytes, and may yet come to hold more; it is forgotten again
   * when it is answered: else who sends large requests and goes could have the broker hold any number of them.
   */
  #forget(slot: Slot): void {
    if (slot.answer !== undefined) this.#countRequest(-slot.requestBytes);
    this.#hold(slot, -slot.heldBytes);
    if (slot.onSent !== null) slot.answer?.forEach(slot.onSent);
  }

  #closeIfDone(): void {
    if (this.#state !== 'ending' || this.#slots.length > 0 || this.#inbox.length > 0) return;
    if (this.#outbox.queuedBytes > 0) return;
    if (this.#lingerTimer !== null) return;
    this.#socket.end();
    // Its own end must be read to be noticed; what else it sends is ignored.
    this.#socket.resume();
    this.#lingerTimer = this.#share.broker.clock.after(LINGER_MS, () => this.#socket.destroy());
  }

  #closed(): void {
    for (const slot of this.#slots.splice(0)) this.#forget(slot);
    this.#state = 'closed';
    this.#gone.abort();
    for (const cancel of [this.#readerTimer, this.#senderTimer, this.#lingerTimer, this.#idleTimer]) cancel?.();
    this.#countRequest(this.#workedOnBytes - this.#bytesInFlight);
    this.#share.requestBytes.done(this);
    this.#share.responseBytes.give(this.#outboxBytes + this.#heldBytes);
    this.#outboxBytes = this.#heldBytes = 0;
    this.#outbox.drop();
    this.#inbox = [];
  }
}

/** Every header begins with the API's key (int16). */
function isFetch(frame: Buffer): boolean {
  return frame.length >= 2 && frame.readInt16BE() === apis.Fetch.key;
}

function sizeOf(answer: readonly Buffer[] | null): number {
  return answer?.reduce((bytes, buffer) => bytes + buffer.length, 0) ?? 0;
}
