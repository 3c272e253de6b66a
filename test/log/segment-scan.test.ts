import fs from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { realDisk } from '../../src/disk/real-disk.ts';
import { Segment } from '../../src/log/segment.ts';
import { segmentName } from '../../src/log/segment-files.ts';
import { damageIn, type KnownOfSegment, scanSegment } from '../../src/log/segment-scan.ts';
import { field, lastOffset, stamp } from '../../src/record/batch.ts';
import { buildBatch } from '../../src/record/batch-builder.ts';
import { batchOf, tempFolder } from './support.ts';

const BASE = 100;
const EPOCH = 3;

interface Placed {
  readonly batch: Buffer;
  readonly position: number;
  readonly offset: number;
  readonly next: number;
}

/** Batches as a segment from offset 100 on has them. */
function placed(batches: readonly Buffer[]): Placed[] {
  let position = 0;
  let offset = BASE;
  return batches.map((batch) => {
    stamp(batch, 0, offset, EPOCH);
    const one = { batch, position, offset, next: lastOffset(batch, 0) + 1 };
    position += batch.length;
    offset = one.next;
    return one;
  });
}

const counts = [1, 3, 2, 1, 4, 2, 1, 5];
const eight = placed(counts.map((count, i) => batchOf({ count, valueBytes: 3 + i * 9, tag: i })));
const bytes = Buffer.concat(eight.map(({ batch }) => batch));
const endNext = eight.at(-1)!.next;

function segmentOf(content: Buffer): Segment {
  const root = tempFolder();
  fs.writeFileSync(path.join(root, `${segmentName(BASE)}.log`), content);
  return new Segment(realDisk(root), '.', BASE, content.length, 300);
}

/** The batches found, and the offsets of the damage between them. */
async function scanned(content: Buffer, known: KnownOfSegment): Promise<{ sound: Buffer[]; damaged: number[][] }> {
  const segment = segmentOf(content);
  const sound: Buffer[] = [];
  const damaged: number[][] = [];
  let at = 0;
  for await (const { position, batch, damage } of scanSegment(segment, known)) {
    expect(position).toBe(at);
    at += batch?.length ?? damage!.bytes;
    if (batch !== null) sound.push(Buffer.from(batch));
    else damaged.push([damage!.firstOffset, damage!.nextOffset]);
  }
  expect(at).toBe(content.length);
  expect(await damageIn(segment, known)).toHaveLength(damaged.length);
  await segment.close();
  return { sound, damaged };
}

const known: KnownOfSegment = { endNext, epochsAt: () => ({ lowest: EPOCH, highest: EPOCH }) };

describe('one byte of a segment changed, whichever and however', () => {
  test.each([
    ['with nothing but its end known', known],
    [
      'with its index',
      {
        ...known,
        startsAfter: () => [2, 5].map((i) => ({ position: eight[i]!.position, offset: eight[i]!.next - 1 })),
      },
    ],
  ])('%s: exactly the batch of that byte is damaged', async (_, knownOfIt) => {
    for (const [number, { position, batch, offset, next }] of eight.entries()) {
      const others = eight.toSpliced(number, 1).map((one) => one.batch);
      for (let at = 0; at < batch.length; at += at < 61 ? 1 : 13) {
        for (const bits of [0x01, 0x80, 0x55]) {
          const content = Buffer.from(bytes);
          content[position + at]! ^= bits;
          const { sound, damaged } = await scanned(content, knownOfIt);
          expect([number, at, bits, damaged]).toEqual([number, at, bits, [[offset, next]]]);
          expect(Buffer.concat(sound).equals(Buffer.concat(others))).toBe(true);
        }
      }
    }
  });
});

test('a stretch of garbage takes the batches that it touches, and no other', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.nat(bytes.length - 1),
      fc.uint8Array({ minLength: 1, maxLength: 300 }),
      async (from, garbage) => {
        const content = Buffer.from(bytes);
        content.set(garbage.subarray(0, content.length - from), from);
        const touched = (i: number): boolean => {
          const { position, batch } = eight[i]!;
          return !content.subarray(position, position + batch.length).equals(batch);
        };
        const { sound, damaged } = await scanned(content, known);
        for (const batch of sound) expect(eight.some((one, i) => !touched(i) && one.batch.equals(batch))).toBe(true);
        expect(sound.length).toBe(eight.filter((_, i) => !touched(i)).length);
        expect(damaged.length).toBeLessThanOrEqual(1);
      },
    ),
    { numRuns: 200 },
  );
});

test('what looks like a batch within a damaged batch is never taken for one', async () => {
  const inner = (offset: number): Buffer => {
    const batch = batchOf({ tag: 'inner' });
    stamp(batch, 0, offset, EPOCH);
    return batch;
  };
  // Also at the very end of its bytes, so that the next batch follows it.
  const outer = buildBatch(
    Array.from({ length: 4 }, () => ({
      timestampMs: 1000,
      key: null,
      value: Buffer.concat([inner(102), inner(103)]),
      headers: [{ key: 'h', value: inner(104) }],
    })),
  );
  const three = placed([batchOf({ count: 1 }), outer, batchOf({ count: 2, tag: 'after' })]);
  const whole = Buffer.concat(three.map(({ batch }) => batch));
  for (let at = 0; at < outer.length; at += at < 61 ? 1 : 7) {
    const content = Buffer.from(whole);
    content[three[1]!.position + at]! ^= 0x11;
    const { sound, damaged } = await scanned(content, { ...known, endNext: three[2]!.next });
    expect([at, damaged]).toEqual([at, [[101, 105]]]);
    expect(sound.length).toBe(2);
  }
});

test('records that the end of the file has lost are told of', async () => {
  const { damaged } = await scanned(bytes.subarray(0, eight[6]!.position), known);
  expect(damaged).toEqual([[eight[6]!.offset, endNext]]);
});

test('a length field that says too much does not swallow what follows', async () => {
  const content = Buffer.from(bytes);
  content.writeInt32BE(0x7fffffff, eight[1]!.position + field.length);
  // Its records are damaged too: nothing tells where it ended but those that follow.
  content[eight[1]!.position + 70]! ^= 1;
  const { sound, damaged } = await scanned(content, known);
  expect(damaged).toEqual([[eight[1]!.offset, eight[1]!.next]]);
  expect(sound.length).toBe(7);
});
