import { Fault } from '../base/faults.ts';

/*
 * What members of classic groups of the type `consumer` tell each other through the coordinator, which does not read it.
 *
 *   subscription  version int16, topics (count int32, each a string), further fields that are not read here
 *   assignment    version int16, topics (count int32, each a string and its partitions: count int32, each int32), the same
 *
 * A string is a length int16 and UTF-8. Later versions only add fields at the end.
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
  return reading(bytes, (reader) =>
    reader.array(() => ({
      topic: reader.string(),
      partitions: reader.array(() => reader.int32()).sort((a, b) => a - b),
    })),
  );
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

  #take(size: number): number {
    const at = this.#at;
    if (size < 0 || size > this.#bytes.length - at) throw malformed(`${size} bytes at byte ${at}`);
    this.#at += size;
    return at;
  }
}

function malformed(what: string): Fault {
  return new Fault('malformedResponse', { detail: `${what} in what a group's member told` });
}
