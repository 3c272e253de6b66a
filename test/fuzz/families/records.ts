import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Fault } from '../../../src/base/faults.ts';
import {
  batchBytes,
  batchesIn,
  checkBatch,
  checkProduced,
  compressionOf,
  recordCount,
  stampCrc,
} from '../../../src/record/batch.ts';
import { buildBatch, type NewRecord } from '../../../src/record/batch-builder.ts';
import { type Compression, compressions, compressSync, decompressSync } from '../../../src/record/compression.ts';
import { checkRecords, type LogRecord, recordsOf } from '../../../src/record/records.ts';
import type { Family, Seed } from '../family.ts';

/** Far below what a broker allows, so that what goes past a cap shows. */
const DECOMPRESSED_BYTES_MAX = 64 * 1024;
/** While memory grows, all that it had is there beside what it gets; and zlib in Node takes 16 KiB pieces, then joins them. */
const DECOMPRESSION_ALLOCATES = 5 * DECOMPRESSED_BYTES_MAX;

const javaBatches = readFileSync(join(import.meta.dirname, '../../record/fixtures/java-batches.jsonl'), 'utf8')
  .trimEnd()
  .split('\n')
  .map((line) => JSON.parse(line) as { name: string; bytes: string });

const records: NewRecord[] = Array.from({ length: 20 }, (_, i) => ({
  timestampMs: 1_700_000_000_000 + i,
  key: i % 3 === 0 ? null : Buffer.from(`key ${i}`),
  value: Buffer.from('value '.repeat(i)),
  headers:
    i % 4 === 0
      ? [
          { key: 'h', value: Buffer.from('x') },
          { key: '__proto__', value: null },
        ]
      : [],
}));

const validBatches = [
  ...javaBatches.map(({ name, bytes }) => ({ name, bytes: Buffer.from(bytes, 'base64') })),
  ...compressions.map((compression) => ({
    name: `20 records, ${compression}`,
    bytes: buildBatch(records, { compression, producerId: 7, producerEpoch: 1, baseSequence: 5 }),
  })),
  {
    name: 'two batches',
    bytes: Buffer.concat([buildBatch(records), buildBatch(records.slice(3), { baseOffset: 20, compression: 'lz4' })]),
  },
  ...bombs().map(({ compression, bytes }) => ({ name: `bomb, ${compression}`, bytes: bombBatch(compression, bytes) })),
];

/** 1,000 bytes and more come out of each, or as many as the format can. */
function bombs(): { compression: Compression; bytes: Buffer }[] {
  const zeros = Buffer.alloc(1 << 20);
  return compressions
    .filter((compression) => compression !== 'none')
    .map((compression) => ({ compression, bytes: compressSync(compression, zeros) }));
}

function bombBatch(compression: Compression, bytes: Buffer): Buffer {
  const header = buildBatch(records, { compression }).subarray(0, 61);
  const batch = Buffer.concat([header, bytes]);
  batch.writeInt32BE(batch.length - 12, 8);
  stampCrc(batch, 0);
  return batch;
}

/** As they are, and with a CRC that fits again, so that what changed is looked at. */
const batchSeeds: Seed[] = validBatches.flatMap(({ name, bytes }) => [
  { name, bytes, read: readBatches },
  { name: `${name}, sealed again`, bytes, read: (input) => readBatches(sealedAgain(input)) },
]);

function sealedAgain(input: Buffer): Buffer {
  const sealed = Buffer.from(input);
  if (sealed.length >= 61 && batchBytes(sealed, 0) >= 61 && batchBytes(sealed, 0) <= sealed.length) stampCrc(sealed, 0);
  return sealed;
}

function readBatches(input: Buffer): unknown {
  const fault = checkProduced(input, 0, input.length, 9);
  const found: LogRecord[][] = [];
  for (const at of batchesIn(input)) {
    const refused = checkBatch(input, at, input.length);
    if (refused !== null) continue;
    const produced = fault === null && compressionOf(input, at) === 'none' ? checkRecords(input, at) : null;
    const read = recordsIn(input, at);
    if (read instanceof Fault) {
      if (fault === null && compressionOf(input, at) === 'none' && produced === null) {
        throw new Error(`what a producer may send cannot be read: ${read.message}`);
      }
      continue;
    }
    if (read.length !== recordCount(input, at)) throw new Error(`${read.length} records of ${recordCount(input, at)}`);
    found.push(read);
  }
  return found;
}

function recordsIn(input: Buffer, at: number): LogRecord[] | Fault {
  try {
    return [...recordsOf(input, at, { bytesMax: DECOMPRESSED_BYTES_MAX })];
  } catch (error) {
    if (error instanceof Fault) return error;
    throw error;
  }
}

export const recordBatches: Family = {
  name: 'batches',
  seeds: batchSeeds,
  // A batch of the sealing, a bomb's worth of output for each of at most a few batches in an input.
  allocatedBytesMax: 4 * DECOMPRESSION_ALLOCATES,
};

const contents = [
  Buffer.alloc(0),
  Buffer.from('a'),
  Buffer.from(JSON.stringify(javaBatches.slice(0, 3))),
  Buffer.from('abcdefgh'.repeat(500)),
  Buffer.concat(javaBatches.map(({ bytes }) => Buffer.from(bytes, 'base64'))),
];

const lz4Frames = readFileSync(join(import.meta.dirname, '../../record/fixtures/lz4-frames.jsonl'), 'utf8')
  .trimEnd()
  .split('\n')
  .map((line) => Buffer.from((JSON.parse(line) as { frame: string }).frame, 'base64'))
  .filter((frame) => frame.length < 20_000);

export const codecs: Family[] = bombs().map(({ compression, bytes: bomb }) => {
  const valid = [...contents.map((content) => compressSync(compression, content)), bomb];
  if (compression === 'lz4') valid.push(...lz4Frames);
  return {
    name: compression,
    allocatedBytesMax: DECOMPRESSION_ALLOCATES,
    seeds: valid.map((bytes, i) => ({
      name: `${decompressSync(compression, bytes).length > DECOMPRESSED_BYTES_MAX ? 'bomb' : compression} ${i}`,
      bytes,
      read(input) {
        const out = decompressSync(compression, input, { bytesMax: DECOMPRESSED_BYTES_MAX });
        if (out.length > DECOMPRESSED_BYTES_MAX) throw new Error(`${out.length} bytes came out`);
        return out;
      },
    })),
  };
});
