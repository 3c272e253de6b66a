import { encode } from 'msgpackr';
import { Fault } from '../../../src/base/faults.ts';
import { decodeMessagePack } from '../../../src/base/message-pack.ts';
import { isCheckpoint } from '../../../src/log/checkpoint.ts';
import { loadChecksum } from '../../../src/log/checksum.ts';
import { proofsIn } from '../../../src/log/journal-replay.ts';
import { decodeEntries, decodeHeader, encodeRound, padded, sealRound } from '../../../src/log/journal-round.ts';
import { OffsetIndex } from '../../../src/log/offset-index.ts';
import { ProducerState } from '../../../src/log/producer-state.ts';
import { seal, unseal } from '../../../src/log/sealed-file.ts';
import { TimeIndex } from '../../../src/log/time-index.ts';
import { buildBatch } from '../../../src/record/batch-builder.ts';
import { crc32c } from '../../../src/record/crc32c.ts';
import type { Family, Seed } from '../family.ts';

const checksum = await loadChecksum();

/** What ledgers, checkpoints and users put into MessagePack. */
const values: readonly unknown[] = [
  { kind: 'topicCreated', id: 'AAAA', name: 'orders', partitions: 3, settings: { 'retention.ms': '1' } },
  { kind: 'offset', group: 'g', topic: 't', partition: 0, offset: 2 ** 40, metadata: '', at: 1.5, owner: null },
  { list: [1, -1, 255, 65_536, -(2 ** 31), 2 ** 53 - 1, true, false, undefined, 'ü'.repeat(40)] },
  { bytes: Buffer.from('binary'), when: new Date(1_700_000_000_123), big: 2n ** 60n },
  { ['__proto__']: { polluted: true }, constructor: { prototype: { polluted: true } } },
  nested(190, 'x'),
  Array.from({ length: 300 }, (_, i) => i),
  'text',
  null,
];

function nested(depth: number, inner: unknown): unknown {
  return depth === 0 ? inner : [nested(depth - 1, inner)];
}

export const messagePack: Family = {
  name: 'messagepack',
  allocatedBytesMax: 1024,
  seeds: values.map((value, i) => ({ name: `value ${i}`, bytes: encode(value), read: decodeMessagePack })),
};

const checkpoint = {
  segmentBase: 10,
  position: 4096,
  durableNext: 25,
  logStart: 3,
  epochs: [{ epoch: 1, startOffset: 0 }],
};
const producers: [number, number, number[][]][] = [
  [
    7,
    0,
    [
      [0, 4, 10, 14],
      [5, 5, 15, 15],
    ],
  ],
  [8, 1, [[0, 0, 16, 16]]],
];
const proofs = { releasedBefore: 3, logs: { 'topics/AAAA/0': checkpoint, 'ledger/groups': checkpoint } };

/** A file as it is, and one whose checksum fits what it was changed to. */
function sealedSeeds(name: string, content: unknown, read: (content: unknown) => unknown): Seed[] {
  const bytes = seal(content);
  const readFile = (input: Buffer): unknown => {
    const found = unseal(input);
    return found === 'damaged' ? null : read(found.content);
  };
  return [
    { name, bytes, read: readFile },
    {
      name: `${name}, sealed again`,
      bytes,
      read(input) {
        const sealed = Buffer.from(input);
        if (sealed.length >= 8) sealed.writeUInt32BE(crc32c(sealed.subarray(8)), 4);
        return readFile(sealed);
      },
    },
  ];
}

export const sealedFiles: Family = {
  name: 'state-files',
  allocatedBytesMax: 1024,
  seeds: [
    ...sealedSeeds('checkpoint', checkpoint, (content) => isCheckpoint(content) && content),
    ...sealedSeeds('producers', { nextOffset: 17, producers }, (content) => {
      const state = new ProducerState();
      return state.restore((content as { producers?: unknown } | null)?.producers, 0) && state.snapshot();
    }),
    ...sealedSeeds('proofs', proofs, (content) => proofsIn({ content })),
  ],
};

function roundOf(entryCount: number): Buffer {
  const entries = Array.from({ length: entryCount }, (_, i) => {
    const batch = buildBatch([{ timestampMs: 1, key: null, value: Buffer.from(`value ${i}`) }]);
    return {
      folder: Buffer.from(`topics/AAAA/${i}`),
      segmentBase: 0,
      position: i * 100,
      epochStart: 0,
      nextOffset: i,
      batches: [batch],
      bytes: batch.length,
    };
  });
  const target = Buffer.alloc(64 * 1024);
  encodeRound(target, entries);
  sealRound(target, checksum, 5, 77);
  return target.subarray(0, padded(target.readUInt32BE(4)));
}

/** As the replay reads it: what the header announces must be there, and its checksum must fit. */
function readRound(input: Buffer): unknown {
  const header = decodeHeader(input);
  if (header === null || header.bytes < 36 || header.bytes > input.length) return null;
  const round = input.subarray(0, header.bytes);
  if (checksum(round.subarray(16)) !== header.checksum) return null;
  const entries = decodeEntries(round);
  if (entries === null) throw new Fault('damagedMetadata');
  for (const { start, bytes } of entries) if (start + bytes > round.length) throw new Error('an entry leads out');
  return entries;
}

export const journalRounds: Family = {
  name: 'journal',
  allocatedBytesMax: 1024,
  seeds: [0, 1, 5].flatMap((count): Seed[] => [
    { name: `${count} entries`, bytes: roundOf(count), read: readRound },
    {
      name: `${count} entries, sealed again`,
      bytes: roundOf(count),
      read(input) {
        const sealed = Buffer.from(input);
        const bytes = sealed.length < 36 ? 0 : sealed.readUInt32BE(4);
        if (bytes >= 36 && bytes <= sealed.length) sealed.writeBigUInt64BE(checksum(sealed.subarray(16, bytes)), 8);
        return readRound(sealed);
      },
    },
  ]),
};

const offsetIndex = new OffsetIndex(1000);
const timeIndex = new TimeIndex(1000);
for (let i = 0; i < 20; i += 1) {
  offsetIndex.append(1000 + i * 5, i * 4096);
  timeIndex.append(1_700_000_000_000 + i * 10, 1000 + i * 5);
}
const SEGMENT_BYTES = 1 << 20;

/** An index that is taken for one answers every look with a place of the segment. */
function readOffsetIndex(input: Buffer): unknown {
  const index = OffsetIndex.parse(input, 1000, SEGMENT_BYTES);
  for (const offset of index === null ? [] : [999, 1000, 1042, 2 ** 53]) {
    const floor = index!.floor(offset);
    if (floor !== null && (floor.offset > offset || floor.position < 0 || floor.position >= SEGMENT_BYTES)) {
      throw new Error(`offset ${offset} is at ${JSON.stringify(floor)}`);
    }
  }
  return index?.length;
}

function readTimeIndex(input: Buffer): unknown {
  const index = TimeIndex.parse(input, 1000);
  for (const timestampMs of index === null ? [] : [0, 1_700_000_000_055, 2 ** 53]) {
    const floor = index!.floor(timestampMs);
    if (floor !== null && (floor.timestampMs >= timestampMs || floor.offset < 1000)) {
      throw new Error(`time ${timestampMs} is at ${JSON.stringify(floor)}`);
    }
  }
  return index?.length;
}

export const indexes: Family = {
  name: 'indexes',
  allocatedBytesMax: 1024,
  seeds: [
    { name: 'offset index', bytes: Buffer.from(offsetIndex.toBytes()), read: readOffsetIndex },
    { name: 'time index', bytes: Buffer.from(timeIndex.toBytes()), read: readTimeIndex },
  ],
};
