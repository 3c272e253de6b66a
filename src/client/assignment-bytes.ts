import { Fault } from '../base/faults.ts';

/*
 * What members of classic groups of the type `consumer` tell each other through the coordinator, which does not read it.
 *
 *   subscription  version int16, topics (count int32, each a string), userData bytes
 *                 since version 1: owned (count int32, each a string and its partitions), 2: generation int32, 3: rack string
 *   assignment    version int16, topics (count int32, each a string and its partitions: count int32, each int32), userData bytes
 *
 * A string is a length int16 and UTF-8, bytes a length int32 and what it says; -1 stands for none. Later versions only add fields
 * at the end.
 */

export interface TopicPartitions {
  readonly topic: string;
  /** In rising order. */
  readonly partitions: readonly number[];
}

/** The topics that a member of a classic group subscribes. @throws Fault malformedResponse. */
export function topicsOfSubscription(bytes: Buffer): string[] {
  return reading(bytes, (reader) => reader.array(() => reader.string()));
}

/** What a member of a classic group has. @throws Fault malformedResponse. */
export function partitionsOfAssignment(bytes: Buffer): TopicPartitions[] {
  return reading(bytes, (reader) => reader.partitions());
}

export interface Subscribed {
  readonly topics: readonly string[];
  /** What the assignor adds for itself; null where it adds nothing. */
  readonly userData: Buffer | null;
  readonly owned: readonly TopicPartitions[];
  /** In which `owned` were owned; -1: not said. */
  readonly generation: number;
}

/** The length of what is not there. */
const NONE = -1;
const SUBSCRIPTION_VERSION = 3;
const ASSIGNMENT_VERSION = 3;

/** As version 3, without a rack. */
export function encodeSubscription({ topics, userData, owned, generation }: Subscribed): Buffer {
  const writer = new Writer().int16(SUBSCRIPTION_VERSION);
  writer.array(topics, (topic) => writer.string(topic)).bytes(userData);
  return writer.partitions(owned).int32(generation).int16(NONE).done();
}

/** Of any version. @throws Fault malformedResponse. */
export function decodeSubscription(bytes: Buffer): Subscribed {
  const reader = new Reader(bytes);
  const version = reader.int16();
  const topics = reader.array(() => reader.string());
  const userData = reader.bytes();
  const owned = version >= 1 ? reader.partitions() : [];
  return { topics, userData, owned, generation: version >= 2 ? reader.int32() : -1 };
}

export function encodeAssignment(assigned: readonly TopicPartitions[]): Buffer {
  return new Writer().int16(ASSIGNMENT_VERSION).partitions(assigned).bytes(null).done();
}

/** What the `sticky` assignor adds to a subscription: what the member had, and in which generation. */
export function encodeStickyData(owned: readonly TopicPartitions[], generation: number): Buffer {
  return new Writer().partitions(owned).int32(generation).done();
}

/** Those written before there were generations end with the partitions. @throws Fault malformedResponse. */
export function decodeStickyData(bytes: Buffer): Pick<Subscribed, 'owned' | 'generation'> {
  const reader = new Reader(bytes);
  return { owned: reader.partitions(), generation: reader.isAtEnd ? -1 : reader.int32() };
}

/** What `cooperative-sticky` adds: the generation, which older members have no other place for. */
export function encodeGeneration(generation: number): Buffer {
  return new Writer().int32(generation).done();
}

/** @throws Fault malformedResponse. */
export function decodeGeneration(bytes: Buffer): number {
  return new Reader(bytes).int32();
}

/** None are sent while the group has not settled. */
function reading<T>(bytes: Buffer, read: (reader: Reader) => T[]): T[] {
  if (bytes.length === 0) return [];
  const reader = new Reader(bytes);
  reader.int16();
  return read(reader);
}

class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  int16(): number {
    return this.#bytes.readInt16BE(this.#take(2));
  }

  int32(): number {
    return this.#bytes.readInt32BE(this.#take(4));
  }

  string(): string {
    const size = this.int16();
    const at = this.#take(size);
    return this.#bytes.toString('utf8', at, at + size);
  }

  array<T>(read: () => T): T[] {
    const count = this.int32();
    // An element takes two bytes at least, so a count that lies is found out before anything is allocated for it.
    if (count < 0 || count > (this.#bytes.length - this.#at) >> 1) throw malformed(`${count} elements`);
    return Array.from({ length: count }, read);
  }

  bytes(): Buffer | null {
    const size = this.int32();
    if (size === NONE) return null;
    const at = this.#take(size);
    return this.#bytes.subarray(at, at + size);
  }

  partitions(): TopicPartitions[] {
    return this.array(() => ({
      topic: this.string(),
      partitions: this.array(() => this.int32()).sort((a, b) => a - b),
    }));
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  #take(size: number): number {
    const at = this.#at;
    if (size < 0 || size > this.#bytes.length - at) throw malformed(`${size} bytes at byte ${at}`);
    this.#at += size;
    return at;
  }
}

class Writer {
  readonly #pieces: Buffer[] = [];

  int16(value: number): this {
    const piece = Buffer.allocUnsafe(2);
    piece.writeInt16BE(value);
    this.#pieces.push(piece);
    return this;
  }

  int32(value: number): this {
    const piece = Buffer.allocUnsafe(4);
    piece.writeInt32BE(value);
    this.#pieces.push(piece);
    return this;
  }

  string(value: string): this {
    const encoded = Buffer.from(value, 'utf8');
    this.int16(encoded.length).#pieces.push(encoded);
    return this;
  }

  bytes(value: Buffer | null): this {
    this.int32(value?.length ?? NONE);
    if (value !== null) this.#pieces.push(value);
    return this;
  }

  array<T>(values: readonly T[], write: (value: T) => void): this {
    this.int32(values.length);
    values.forEach(write);
    return this;
  }

  partitions(topics: readonly TopicPartitions[]): this {
    return this.array(topics, ({ topic, partitions }) =>
      this.string(topic).array(partitions, (partition) => this.int32(partition)),
    );
  }

  done(): Buffer {
    return Buffer.concat(this.#pieces);
  }
}

function malformed(what: string): Fault {
  return new Fault('malformedResponse', { detail: `${what} in what a group's member told` });
}
