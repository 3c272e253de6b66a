/*
 * The floor: node bare-broker.ts PORT DIR. Checks each batch's CRC, writes all that has come with one writev, keeps one
 * sync under way, and acknowledges; it has no recovery, no limits, no names. What Millrace costs above it is its own.
 */
import { mkdirSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32c } from '@node-rs/crc32';
import { type BareStore, listenBare } from './bare-kafka.ts';

/** baseOffset:int64 length:int32 epoch:int32 magic:int8 crc:uint32, and what the CRC covers. */
const CRC_AT = 17;
const CRC_COVERS_FROM = 21;

interface Batch {
  bytes: Buffer;
  written(): void;
}

class BareLog {
  endNext = 0;
  readonly #file: Promise<FileHandle>;
  readonly #baseOffsets: number[] = [];
  readonly #positions: number[] = [];
  #position = 0;
  /** Bytes before this can be read. */
  #writtenPosition = 0;
  #waiting: Batch[] = [];
  #writing: Promise<void> | undefined;
  #syncing: Promise<void> | undefined;
  #syncNext: Promise<void> | undefined;

  constructor(path: string) {
    this.#file = open(path, 'w+');
  }

  async append(batch: Buffer, recordCount: number, acks: number): Promise<number> {
    if (crc32c(batch.subarray(CRC_COVERS_FROM)) !== batch.readUInt32BE(CRC_AT)) throw new Error('wrong CRC');
    const baseOffset = this.endNext;
    batch.writeBigInt64BE(BigInt(baseOffset));
    this.endNext += recordCount;
    this.#baseOffsets.push(baseOffset);
    this.#positions.push(this.#position);
    this.#position += batch.length;
    const written = new Promise<void>((resolve) => this.#waiting.push({ bytes: batch, written: resolve }));
    this.#writing ??= this.#write();
    await written;
    const synced = this.#sync();
    if (acks === -1) await synced;
    return baseOffset;
  }

  async read(offset: number, bytesMax: number): Promise<Buffer> {
    if (offset >= this.endNext) return Buffer.alloc(0);
    let first = 0;
    for (let end = this.#baseOffsets.length; end - first > 1; ) {
      const middle = (first + end) >> 1;
      if (this.#baseOffsets[middle]! <= offset) first = middle;
      else end = middle;
    }
    const from = this.#positions[first]!;
    let last = first + 1;
    while (last < this.#positions.length && this.#positions[last]! - from < bytesMax) last += 1;
    const to = Math.min(this.#positions[last] ?? this.#position, this.#writtenPosition);
    if (to <= from) return Buffer.alloc(0);
    const { buffer } = await (await this.#file).read(Buffer.allocUnsafe(to - from), 0, to - from, from);
    return buffer;
  }

  async #write(): Promise<void> {
    const file = await this.#file;
    while (this.#waiting.length > 0) {
      const batches = this.#waiting.splice(0, 1_000);
      const pieces = batches.map((batch) => batch.bytes);
      const { bytesWritten } = await file.writev(pieces);
      if (bytesWritten !== pieces.reduce((total, piece) => total + piece.length, 0)) throw new Error('short write');
      this.#writtenPosition += bytesWritten;
      for (const batch of batches) batch.written();
    }
    this.#writing = undefined;
  }

  /** Group commit. @returns when a sync that began after this call has ended */
  #sync(): Promise<void> {
    if (this.#syncing === undefined) return (this.#syncing = this.#syncNow());
    this.#syncNext ??= this.#syncing.then(() => {
      this.#syncNext = undefined;
      return (this.#syncing = this.#syncNow());
    });
    return this.#syncNext;
  }

  async #syncNow(): Promise<void> {
    await (await this.#file).datasync();
    if (this.#syncNext === undefined) this.#syncing = undefined;
  }
}

const [port = '', dir = ''] = process.argv.slice(2);
mkdirSync(dir, { recursive: true });
const logs = new Map<string, BareLog>();
function logOf(topic: string): BareLog {
  let log = logs.get(topic);
  if (log === undefined) logs.set(topic, (log = new BareLog(join(dir, `${topic}.log`))));
  return log;
}
const store: BareStore = {
  append: (topic, batch, recordCount, acks) => logOf(topic).append(batch, recordCount, acks),
  endNext: (topic) => logOf(topic).endNext,
  read: (topic, offset, bytesMax) => logOf(topic).read(offset, bytesMax),
};
listenBare(store, Number(port));
