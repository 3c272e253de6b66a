import { createServer, type Socket } from 'node:net';

/*
 * As little of the Kafka protocol as the Java producer and consumer need, in fixed versions without tagged fields, for
 * the two ends of the scale: what no broker in Node can beat on this machine. One partition for every topic named.
 */

/** Where produced batches go and fetched ones come from. */
export interface BareStore {
  /** Stores a batch of `recordCount` records at the topic's end. @returns its base offset, when it is as safe as `acks` asks */
  append(topic: string, batch: Buffer, recordCount: number, acks: number): Promise<number>;
  endNext(topic: string): number;
  /** Whole batches from the one that holds `offset`, at least one; none at the end of the topic. */
  read(topic: string, offset: number, bytesMax: number): Promise<Buffer>;
}

/** Key, lowest and highest version served. */
const apis = [
  [0, 3, 7], // Produce
  [1, 4, 4], // Fetch
  [2, 1, 1], // ListOffsets
  [3, 4, 4], // Metadata
  [18, 0, 2], // ApiVersions
  [22, 0, 0], // InitProducerId
] as const;
const UNSUPPORTED_VERSION = 35;
const EARLIEST = -2;
/** baseOffset:int64 length:int32 epoch:int32 magic:int8 crc:uint32 attributes:int16 lastOffsetDelta:int32 … */
const LAST_OFFSET_DELTA_AT = 23;

class Reader {
  readonly #bytes: Buffer;
  #at = 0;
  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }
  int8 = (): number => this.#bytes.readInt8((this.#at += 1) - 1);
  int16 = (): number => this.#bytes.readInt16BE((this.#at += 2) - 2);
  int32 = (): number => this.#bytes.readInt32BE((this.#at += 4) - 4);
  int64 = (): number => Number(this.#bytes.readBigInt64BE((this.#at += 8) - 8));
  text = (): string => this.#take(this.int16()).toString();
  bytes = (): Buffer => this.#take(this.int32());
  list<T>(item: () => T): T[] {
    return Array.from({ length: Math.max(this.int32(), 0) }, item);
  }
  #take(length: number): Buffer {
    const from = this.#at;
    this.#at += Math.max(length, 0);
    return this.#bytes.subarray(from, this.#at);
  }
}

const int8 = (value: number): Buffer => Buffer.from([value]);
const int16 = (value: number): Buffer => Buffer.from([(value >> 8) & 255, value & 255]);
function int32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeInt32BE(value);
  return bytes;
}
function int64(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(8);
  bytes.writeBigInt64BE(BigInt(value));
  return bytes;
}
const text = (value: string): Buffer => Buffer.concat([int16(Buffer.byteLength(value)), Buffer.from(value)]);
const list = (items: readonly Buffer[]): Buffer => Buffer.concat([int32(items.length), ...items]);

function apiVersions(version: number): Buffer {
  const known = version <= 2;
  const served = list(apis.map(([key, from, to]) => Buffer.concat([int16(key), int16(from), int16(to)])));
  const throttle = known && version >= 1 ? int32(0) : Buffer.alloc(0);
  return Buffer.concat([int16(known ? 0 : UNSUPPORTED_VERSION), served, throttle]);
}

function metadata(ask: Reader, port: number): Buffer {
  const topics = ask.list(() => ask.text());
  const broker = Buffer.concat([int32(1), text('127.0.0.1'), int32(port), int16(-1)]);
  const partition = Buffer.concat([int16(0), int32(0), int32(1), list([int32(1)]), list([int32(1)])]);
  const described = topics.map((topic) => Buffer.concat([int16(0), text(topic), int8(0), list([partition])]));
  return Buffer.concat([int32(0), list([broker]), text('bare'), int32(1), list(described)]);
}

async function produce(ask: Reader, store: BareStore, version: number): Promise<Buffer | undefined> {
  ask.text(); // transactional id
  const acks = ask.int16();
  ask.int32(); // timeout
  const topics = ask.list(() => ({
    topic: ask.text(),
    batches: ask.list(() => ({ partition: ask.int32(), batch: ask.bytes() })),
  }));
  const answers = topics.map(async ({ topic, batches }) => {
    const stored = batches.map(async ({ partition, batch }) => {
      const recordCount = batch.readInt32BE(LAST_OFFSET_DELTA_AT) + 1;
      const baseOffset = await store.append(topic, batch, recordCount, acks);
      const logStart = version >= 5 ? int64(0) : Buffer.alloc(0);
      return Buffer.concat([int32(partition), int16(0), int64(baseOffset), int64(-1), logStart]);
    });
    return Buffer.concat([text(topic), list(await Promise.all(stored))]);
  });
  const answer = Buffer.concat([list(await Promise.all(answers)), int32(0)]);
  return acks === 0 ? undefined : answer;
}

function listOffsets(ask: Reader, store: BareStore): Buffer {
  ask.int32(); // replica
  const topics = ask.list(() => {
    const topic = ask.text();
    const partitions = ask.list(() => {
      const partition = ask.int32();
      const offset = ask.int64() === EARLIEST ? 0 : store.endNext(topic);
      return Buffer.concat([int32(partition), int16(0), int64(-1), int64(offset)]);
    });
    return Buffer.concat([text(topic), list(partitions)]);
  });
  return list(topics);
}

async function fetch(ask: Reader, store: BareStore): Promise<Buffer> {
  ask.int32(); // replica
  const maxWaitMs = ask.int32();
  ask.int32(); // least bytes
  ask.int32(); // most bytes
  ask.int8(); // isolation
  let found = 0;
  const topics = ask.list(() => ({
    topic: ask.text(),
    partitions: ask.list(() => ({ partition: ask.int32(), offset: ask.int64(), bytesMax: ask.int32() })),
  }));
  const answers = topics.map(async ({ topic, partitions }) => {
    const parts = partitions.map(async ({ partition, offset, bytesMax }) => {
      const bytes = await store.read(topic, offset, bytesMax);
      found += bytes.length;
      const endNext = int64(store.endNext(topic));
      return Buffer.concat([int32(partition), int16(0), endNext, endNext, int32(0), int32(bytes.length), bytes]);
    });
    return Buffer.concat([text(topic), list(await Promise.all(parts))]);
  });
  const answer = Buffer.concat([int32(0), list(await Promise.all(answers))]);
  // A reader at the end is only kept from asking again at once; nothing wakes it.
  if (found === 0) await new Promise((resolve) => setTimeout(resolve, maxWaitMs));
  return answer;
}

async function answer(frame: Buffer, store: BareStore, port: number): Promise<Buffer[]> {
  const ask = new Reader(frame);
  const [key, version, correlation] = [ask.int16(), ask.int16(), int32(ask.int32())];
  ask.text(); // client id; what ApiVersions 3 has after it is not needed
  const body = await (() => {
    if (key === 0) return produce(ask, store, version);
    if (key === 1) return fetch(ask, store);
    if (key === 2) return listOffsets(ask, store);
    if (key === 3) return metadata(ask, port);
    if (key === 18) return apiVersions(version);
    if (key === 22) return Buffer.concat([int32(0), int16(0), int64(1), int16(0)]);
    throw new Error(`request ${key} version ${version} is not served`);
  })();
  return body === undefined ? [] : [int32(4 + body.length), correlation, body];
}

/** Serves one connection: requests overlap, answers go out in the order in which the requests came. */
function serve(socket: Socket, store: BareStore, port: number): void {
  let rest: Buffer = Buffer.alloc(0);
  let last: Promise<void> = Promise.resolve();
  socket.setNoDelay();
  socket.on('error', () => socket.destroy());
  socket.on('data', (chunk) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    while (rest.length >= 4 && rest.length >= 4 + rest.readInt32BE()) {
      const frameEnd = 4 + rest.readInt32BE();
      const answered = answer(rest.subarray(4, frameEnd), store, port);
      rest = rest.subarray(frameEnd);
      last = Promise.all([last, answered]).then(([, parts]) => {
        socket.cork();
        for (const part of parts) socket.write(part);
        socket.uncork();
      });
    }
  });
}

export function listenBare(store: BareStore, port: number): void {
  createServer((socket) => serve(socket, store, port)).listen(port, '127.0.0.1');
  process.once('SIGTERM', () => process.exit(0));
}
