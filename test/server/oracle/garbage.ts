import { BATCH_HEADER_BYTES, field, LOG_OVERHEAD_BYTES, stampCrc } from '../../../src/record/batch.ts';
import { type Compression, compressionId, compressSync } from '../../../src/record/compression.ts';
import { batch } from '../support.ts';

/*
 * Batches whose header and CRC are right and whose records are not. The one record they are made from, byte by byte:
 *
 *   0 length (1c: 14)   4 key length (02: 1)     10 header count (02: 1)      13 value length (02: 1)
 *   1 attributes        5 key (k)                11 header key length (02)    14 header value (v)
 *   2 timestamp delta   6 value length (06: 3)   12 header key (h)
 *   3 offset delta      7 value (abc)
 */

function sealed(records: Buffer, compression: Compression = 'none', count = 1): Buffer {
  const record = { key: Buffer.from('k'), headers: [{ key: 'h', value: Buffer.from('v') }] };
  const header = batch(Array(count).fill('abc'), record).subarray(0, BATCH_HEADER_BYTES);
  const bytes = Buffer.concat([header, records]);
  bytes.writeInt32BE(bytes.length - LOG_OVERHEAD_BYTES, field.length);
  bytes.writeInt16BE(compressionId(compression), field.attributes);
  stampCrc(bytes, 0);
  return bytes;
}

const RECORD = Buffer.from('1c00000002' + '6b06616263' + '02026802' + '76', 'hex');

/** The record with bytes put in the place of others. */
function spliced(at: number, removed: number, hex = ''): Buffer {
  return Buffer.concat([RECORD.subarray(0, at), Buffer.from(hex, 'hex'), RECORD.subarray(at + removed)]);
}

export const garbage: Readonly<Record<string, Buffer>> = {
  'a good record, for comparison': sealed(RECORD),
  'records of zeros': sealed(Buffer.alloc(20)),
  'records of ones': sealed(Buffer.alloc(20, 0xff)),
  'records of text': sealed(Buffer.from('these are not records at all')),
  'a record longer than the batch': sealed(spliced(0, 1, '7e')),
  'a record shorter than what is in it': sealed(spliced(0, 1, '1a')),
  'a record of length 0': sealed(spliced(0, 1, '00')),
  'a record of a length below zero': sealed(spliced(0, 1, '01')),
  'a length that does not end': sealed(spliced(0, 1, 'ffffffffff7f')),
  'bytes behind the record': sealed(Buffer.concat([RECORD, Buffer.from('junk')])),
  'a byte less than the record': sealed(RECORD.subarray(0, RECORD.length - 1)),
  'a key beyond the record': sealed(spliced(4, 1, '60')),
  'a key length of -2': sealed(spliced(4, 1, '03')),
  'a value beyond the record': sealed(spliced(6, 1, '60')),
  'a value length of -2': sealed(spliced(6, 1, '03')),
  'more headers than there are': sealed(spliced(10, 1, '04')),
  'fewer headers than there are': sealed(spliced(10, 1, '00')),
  'headers below zero': sealed(spliced(10, 1, '01')),
  'a header without a key': sealed(spliced(11, 1, '01')),
  'a header beyond the record': sealed(spliced(13, 1, '40')),
  'an offset delta of 1': sealed(spliced(3, 1, '02')),
  'an offset delta below zero': sealed(spliced(3, 1, '01')),
  'an attribute': sealed(spliced(1, 1, '55')),
  'a second record missing': sealed(RECORD, 'none', 2),
  'two records where one is announced': sealed(Buffer.concat([RECORD, RECORD])),
  'the same offset twice': sealed(Buffer.concat([RECORD, RECORD]), 'none', 2),
  'gzip of text': sealed(compressSync('gzip', Buffer.from('these are not records')), 'gzip'),
  'zstd of text': sealed(compressSync('zstd', Buffer.from('these are not records')), 'zstd'),
  'text as lz4': sealed(Buffer.from('these are not records'), 'lz4'),
  'text as snappy': sealed(Buffer.from('these are not records'), 'snappy'),
};
