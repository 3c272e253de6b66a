import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { batchesIn, stampLogAppendTime } from '../../src/record/batch.ts';
import { buildBatch, type NewRecord } from '../../src/record/batch-builder.ts';
import { compressions } from '../../src/record/compression.ts';
import { kafkaClassPath } from '../../tools/kafka.ts';
import { threeRecords } from './batches.ts';
import { describeBatch } from './describe-batch.ts';

const batchesProgram = join(import.meta.dirname, '../../tools/golden/Batches.java');

function whyNot(): string | undefined {
  if (!existsSync(join(dirname(kafkaClassPath), '.complete'))) {
    return "Kafka's jars are missing; node tools/kafka.ts fetch gets them";
  }
  if (spawnSync('javac', ['-version']).status !== 0) return 'a Java development kit is missing';
  return undefined;
}

const reason = whyNot();

/** More than a block of any codec; half of it repeats, half of it hardly. */
const large: NewRecord[] = Array.from({ length: 3000 }, (_, index) => ({
  timestampMs: 1_700_000_000_000 + index,
  key: Buffer.from(`customer-${index % 10}`),
  value: Buffer.from(`{"id":${index},"amount":${(index * 2_654_435_761) % 1_000_003}}${'='.repeat(index % 90)}`),
}));

test.skipIf(reason !== undefined)(
  `Kafka's Java code reads our batches as we do${reason ? ` (skipped: ${reason})` : ''}`,
  () => {
    const batches = compressions.flatMap((compression) => {
      const stamped = buildBatch(threeRecords, { compression });
      stampLogAppendTime(stamped, 0, 1_800_000_000_000);
      return [
        buildBatch(threeRecords, { compression, baseOffset: 2 ** 45, leaderEpoch: 3 }),
        buildBatch(threeRecords, { compression, producerId: 2 ** 50, producerEpoch: 4, baseSequence: 2 ** 31 - 2 }),
        buildBatch(threeRecords, {
          compression,
          producerId: 1,
          producerEpoch: 0,
          baseSequence: 0,
          isTransactional: true,
        }),
        buildBatch(large, { compression }),
        stamped,
      ];
    });
    const bytes = Buffer.concat(batches);
    const java = spawnSync('java', ['-cp', kafkaClassPath, batchesProgram, 'read'], {
      input: bytes,
      encoding: 'utf8',
      maxBuffer: 64 * 1024 * 1024,
    });
    expect(java.status, java.stderr).toBe(0);
    const read = java.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(read.length).toBe(batches.length);
    for (const [index, at] of [...batchesIn(bytes)].entries()) {
      expect({ name: '', ...describeBatch(bytes, at) }).toEqual(read[index]);
    }
  },
  60_000,
);
