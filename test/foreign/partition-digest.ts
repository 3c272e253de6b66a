import { createHash, type Hash } from 'node:crypto';

/** What a topic holds, partition by partition: how many records, and a hash of their keys and values in order. */
export interface TopicDigest {
  counts: number[];
  hashes: string[];
}

const PIECE_BYTES = 64 * 1024;

/** Hashes the records of one partition as `key TAB value NL`; neither holds a line feed, and a key holds no tab. */
class PartitionHash {
  count = 0;
  readonly #hash: Hash = createHash('sha256');
  readonly #piece = Buffer.allocUnsafe(PIECE_BYTES);
  #used = 0;

  add(line: Buffer): void {
    this.count += 1;
    if (this.#used + line.length > PIECE_BYTES) this.#flush();
    if (line.length > PIECE_BYTES) this.#hash.update(line);
    else this.#used += line.copy(this.#piece, this.#used);
  }

  end(): string {
    this.#flush();
    return this.#hash.digest('hex');
  }

  // A hash takes a few large pieces much faster than a million small ones.
  #flush(): void {
    this.#hash.update(this.#piece.subarray(0, this.#used));
    this.#used = 0;
  }
}

export class TopicHash {
  readonly #partitions: PartitionHash[];

  constructor(partitions: number) {
    this.#partitions = Array.from({ length: partitions }, () => new PartitionHash());
  }

  /** @param line `key TAB value NL` */
  add(partition: number, line: Buffer): void {
    const hash = this.#partitions[partition];
    if (hash === undefined) throw new Error(`a record of partition ${partition}, which does not exist`);
    hash.add(line);
  }

  count(partition: number): number {
    return this.#partitions[partition]?.count ?? 0;
  }

  end(): TopicDigest {
    return {
      counts: this.#partitions.map((partition) => partition.count),
      hashes: this.#partitions.map((partition) => partition.end()),
    };
  }
}

/** Says in one line how what was read differs from what was written, or undefined when it does not. */
export function difference(expected: TopicDigest, found: TopicDigest): string | undefined {
  if (expected.counts.join() !== found.counts.join()) {
    return `records per partition: expected ${expected.counts.join(' ')}, found ${found.counts.join(' ')}`;
  }
  const wrong = expected.hashes.flatMap((hash, partition) => (hash === found.hashes[partition] ? [] : [partition]));
  return wrong.length === 0 ? undefined : `the records of partition ${wrong.join(', ')} differ in content or order`;
}
