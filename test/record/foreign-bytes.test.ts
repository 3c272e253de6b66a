import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { checkBatch } from '../../src/record/batch.ts';
import { decompressSync } from '../../src/record/compression.ts';
import { recordsOf } from '../../src/record/records.ts';
import { describeBatch } from './describe-batch.ts';

function fixture<Line>(name: string): Line[] {
  const text = readFileSync(join(import.meta.dirname, 'fixtures', name), 'utf8');
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
}

interface JavaBatch {
  name: string;
  /** Base64. */
  bytes: string;
}

interface Lz4Frame {
  linked: boolean;
  blockChecksum: boolean;
  contentSize: boolean;
  contentChecksum: boolean;
  /** Base64. */
  frame: string;
  size: number;
  sha256: string;
}

const javaBatches = fixture<JavaBatch>('java-batches.jsonl');
const lz4Frames = fixture<Lz4Frame>('lz4-frames.jsonl');

describe("batches of Kafka's Java code (tools/golden/Batches.java)", () => {
  test.each(javaBatches)('$name: reads as Java reads it', ({ name, bytes, ...expected }) => {
    const batch = Buffer.from(bytes, 'base64');
    expect(checkBatch(batch, 0, batch.length)).toBeNull();
    expect(describeBatch(batch, 0)).toEqual(expected);
  });

  test('there is one for each codec, type of timestamp and kind of producer', () => {
    expect(javaBatches.length).toBe(5 * 6 + 1);
    expect([...recordsOf(Buffer.from(javaBatches[0]!.bytes, 'base64'))].length).toBe(6);
  });
});

describe('frames of the reference LZ4 library (tools/golden/lz4_frames.py)', () => {
  test.each(lz4Frames)(
    'linked $linked, checksums of blocks $blockChecksum and of all $contentChecksum, size $contentSize',
    ({ frame, size, sha256 }) => {
      const content = decompressSync('lz4', Buffer.from(frame, 'base64'));
      expect(content.length).toBe(size);
      expect(createHash('sha256').update(content).digest('hex')).toBe(sha256);
    },
  );

  test.each(lz4Frames.filter((frame) => frame.blockChecksum || frame.contentChecksum))(
    'a checksum that does not match is a fault (blocks $blockChecksum, all $contentChecksum)',
    ({ frame, contentChecksum }) => {
      const bytes = Buffer.from(frame, 'base64');
      // The last block's checksum lies before the end mark, the content's after it.
      bytes[bytes.length - (contentChecksum ? 1 : 5)]! ^= 1;
      expect(() => decompressSync('lz4', bytes)).toThrow('lz4 data is malformed');
    },
  );
});
