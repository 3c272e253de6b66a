import { encode } from 'msgpackr';
import { decodeMessagePack } from '../../src/base/message-pack.ts';
import * as broker from '../../src/broker/groups/consumer/embedded-protocol.ts';
import { decodeFinished } from '../../src/client/worker/finished-beyond.ts';
import { batchesIn, checkBatch } from '../../src/record/batch.ts';
import { buildBatch, type NewRecord } from '../../src/record/batch-builder.ts';
import { compressSync, decompressSync } from '../../src/record/compression.ts';
import { checkRecords, recordsOf } from '../../src/record/records.ts';
import { decodeRequest } from '../../src/wire/codec.ts';
import { FrameSplitter } from '../../src/wire/frame-splitter.ts';

/** Inputs of any size that ask most of a decoder: many of its smallest elements, deep, in the smallest pieces. */
export interface GrowingInput {
  readonly name: string;
  make(elements: number): Buffer;
  read(bytes: Buffer): unknown;
}

const int32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
};

const manyRecords = (elements: number): NewRecord[] =>
  Array.from({ length: elements }, () => ({ timestampMs: 0, key: null, value: null }));

function readBatch(bytes: Buffer): unknown {
  const records = [];
  for (const at of batchesIn(bytes)) {
    if (checkBatch(bytes, at, bytes.length) !== null) throw new Error('a damaged batch');
    records.push([...recordsOf(bytes, at)].length);
  }
  return records;
}

export const growingInputs: readonly GrowingInput[] = [
  {
    name: 'a frame that comes a byte at a time',
    make: (elements) => Buffer.concat([int32(elements), Buffer.alloc(elements)]),
    read(bytes) {
      const splitter = new FrameSplitter(1 << 30);
      for (let at = 0; at < bytes.length; at += 1) splitter.push(bytes.subarray(at, at + 1));
    },
  },
  {
    name: 'frames of no bytes in one piece',
    make: (elements) => Buffer.alloc(4 * elements),
    read: (bytes) => new FrameSplitter(1 << 30).push(bytes),
  },
  {
    name: 'a request of many empty names',
    make: (elements) => Buffer.concat([int32(elements), Buffer.alloc(2 * elements)]),
    read: (bytes) => decodeRequest('Metadata', 1, bytes, 0),
  },
  {
    name: 'a request of many unknown tags',
    make: (elements) => {
      // Heartbeat 4: group, generation, member, instance; then the number of tags, each a tag and a length of 0.
      const count = Buffer.from([0x80 | (elements & 0x7f), 0x80 | ((elements >> 7) & 0x7f), elements >> 14]);
      return Buffer.concat([
        Buffer.from([1, 0, 0, 0, 0, 1, 0]),
        count,
        Buffer.alloc(2 * elements, Buffer.from([99, 0])),
      ]);
    },
    read: (bytes) => decodeRequest('Heartbeat', 4, bytes, 0),
  },
  { name: 'a batch of many records', make: (elements) => buildBatch(manyRecords(elements)), read: readBatch },
  {
    name: 'a batch of many records, as a producer sent it',
    make: (elements) => buildBatch(manyRecords(elements)),
    read(bytes) {
      const fault = checkRecords(bytes, 0);
      if (fault !== null) throw fault;
    },
  },
  {
    name: 'a record of many headers',
    make: (elements) =>
      buildBatch([{ timestampMs: 0, key: null, value: null, headers: Array(elements).fill({ key: '', value: null }) }]),
    read: readBatch,
  },
  {
    name: 'many batches',
    make: (elements) => Buffer.concat(Array<Buffer>(elements).fill(buildBatch(manyRecords(1)))),
    read: readBatch,
  },
  ...(['snappy', 'lz4'] as const).map((codec) => ({
    name: `${codec} of zeros`,
    make: (elements: number) => compressSync(codec, Buffer.alloc(elements * 100)),
    read: (bytes: Buffer) => decompressSync(codec, bytes),
  })),
  {
    name: 'snappy in many empty chunks',
    make: (elements) => {
      const header = Buffer.from('82534e41505059000000000100000001', 'hex');
      return Buffer.concat([header, Buffer.alloc(5 * elements, Buffer.from([0, 0, 0, 1, 0]))]);
    },
    read: (bytes) => decompressSync('snappy', bytes),
  },
  {
    name: 'lz4 in many blocks of one byte',
    make: (elements) => {
      const frame = compressSync('lz4', Buffer.from('a'));
      return Buffer.concat([
        frame.subarray(0, 7),
        Buffer.alloc(5 * elements, Buffer.from([1, 0, 0, 0x80, 0x61])),
        Buffer.alloc(4),
      ]);
    },
    read: (bytes) => decompressSync('lz4', bytes),
  },
  {
    name: 'MessagePack of many elements',
    make: (elements) => encode(Array.from({ length: elements }, () => [])),
    read: decodeMessagePack,
  },
  {
    name: 'a subscription of many empty topics',
    make: (elements) => Buffer.concat([Buffer.alloc(2), int32(elements), Buffer.alloc(2 * elements), int32(-1)]),
    read: broker.decodeSubscription,
  },
  {
    name: 'what a worker has finished, in many ranges',
    make: (elements) => Buffer.from(`mw1:2s:${Buffer.alloc(elements, 0xff).toString('base64url')}`),
    read: (bytes) => decodeFinished(100, bytes.toString()),
  },
];
