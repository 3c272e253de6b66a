/*
 * What members of the classic protocol tell each other through the broker, as it lies in their JoinGroup (subscription) and
 * SyncGroup (assignment). Big-endian; a string is its length in an int16 and UTF-8, an array its length in an int32.
 *
 *   subscription  version int16 | topics []string | user data bytes | from 1: owned partitions | from 2: generation int32
 *                 | from 3: rack string, nullable
 *   assignment    version int16 | partitions | user data bytes
 *   partitions    [] of topic string | [] of partition int32
 *
 * Later versions only add to the end.
 */

export interface EmbeddedSubscription {
  readonly version: number;
  readonly topics: readonly string[];
  readonly owned: readonly NamedPartitions[];
  /** That in which it was given what it owns; -1 where it does not say. */
  readonly generation: number;
  readonly rackId: string | null;
}

export type NamedPartitions = readonly [topic: string, partitions: readonly number[]];

const LAST_VERSION = 3;

/** Reads forward; a length that leads out of the bytes throws RangeError, as Buffer's own reads do. */
class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  int16(): number {
    this.#at += 2;
    return this.#bytes.readInt16BE(this.#at - 2);
  }

  int32(): number {
    this.#at += 4;
    return this.#bytes.readInt32BE(this.#at - 4);
  }

  string(): string {
    return this.#take(this.int16()).toString('utf8');
  }

  nullableString(): string | null {
    const size = this.int16();
    return size < 0 ? null : this.#take(size).toString('utf8');
  }

  skipBytes(): void {
    this.#take(Math.max(this.int32(), 0));
  }

  array<T>(element: () => T): T[] {
    const count = this.int32();
    // Each takes two bytes at least.
    if (count * 2 > this.left) throw new RangeError('an array is longer than its bytes');
    return Array.from({ length: Math.max(count, 0) }, element);
  }

  partitions(): NamedPartitions[] {
    return this.array(() => [this.string(), this.array(() => this.int32())] as const);
  }

  #take(size: number): Buffer {
    if (size < 0 || size > this.left) throw new RangeError('a length leads out of the bytes');
    this.#at += size;
    return this.#bytes.subarray(this.#at - size, this.#at);
  }
}

/** Null when the bytes are not one. */
export function decodeSubscription(bytes: Uint8Array): EmbeddedSubscription | null {
  return orNull(() => {
    const reader = new Reader(bytes);
    const version = readVersion(reader);
    const topics = reader.array(() => reader.string());
    reader.skipBytes();
    const owned = version >= 1 ? reader.partitions() : [];
    const generation = version >= 2 ? reader.int32() : -1;
    const rackId = version >= 3 ? reader.nullableString() : null;
    return { version, topics, owned, generation, rackId };
  });
}

/** Null when the bytes are not one; none at all are an assignment of nothing. */
export function decodeAssignment(bytes: Uint8Array): NamedPartitions[] | null {
  if (bytes.length === 0) return [];
  return orNull(() => {
    const reader = new Reader(bytes);
    readVersion(reader);
    return reader.partitions();
  });
}

export function encodeAssignment(version: number, partitions: readonly NamedPartitions[]): Buffer {
  const int = (size: 2 | 4, value: number): Buffer => {
    const bytes = Buffer.alloc(size);
    bytes.writeIntBE(value, 0, size);
    return bytes;
  };
  const pieces = partitions.flatMap(([topic, some]) => {
    const name = Buffer.from(topic);
    return [int(2, name.length), name, int(4, some.length), ...some.map((partition) => int(4, partition))];
  });
  // No user data.
  return Buffer.concat([int(2, version), int(4, partitions.length), ...pieces, int(4, -1)]);
}

/** A newer version is read as the last that is known. */
function readVersion(reader: Reader): number {
  const version = reader.int16();
  if (version < 0) throw new RangeError('a version below zero');
  return Math.min(version, LAST_VERSION);
}

function orNull<T>(read: () => T): T | null {
  try {
    return read();
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
}
