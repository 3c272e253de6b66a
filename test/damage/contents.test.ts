import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Fault } from '../../src/base/faults.ts';
import { loadChecksum } from '../../src/log/checksum.ts';
import { compactedIn } from '../../src/log/compacted-segments.ts';
import { seal, unseal } from '../../src/log/sealed-file.ts';
import { crc32c } from '../../src/record/crc32c.ts';
import { SimulatedDisk } from '../disk/simulated-disk.ts';
import { contentMutated, messagePackCodec } from '../fuzz/content-mutations.ts';
import { mutated, mutations } from '../fuzz/mutations.ts';
import { SeededRandom } from '../seeded-random.ts';
import { type Folder, prepareFolders } from './folders.ts';
import { everythingIn, type OpenedBroker, openOn, sendBatch } from './stored.ts';

/*
 * Files whose checksum is right and whose content is not what a broker wrote. What is lost by it nobody can tell: but a start
 * is refused by a Fault, or the broker works, and so does the next one.
 */

const HEADER_BYTES = 8;
const checksum = await loadChecksum();
/** Contents tried of each file. */
const CONTENTS = Number(process.env['MILLRACE_CONTENTS'] ?? 6);

const OFFSETS_MAX = 10_000;

interface Changed {
  readonly path: string;
  readonly files: Map<string, Buffer>;
  readonly payload: Buffer;
}

/** A folder with one of its sealed files changed, and sealed again; each such file several times. */
function* changedContents({ files }: Folder, seed: number): Generator<Changed> {
  const sealed = [...files].filter(([, bytes]) => unseal(bytes) !== 'damaged');
  const payloads = sealed.map(([, bytes]) => bytes.subarray(HEADER_BYTES));
  for (const [i, [path, bytes]] of sealed.entries()) {
    for (const [k, changes] of fc.sample(mutations, { numRuns: CONTENTS, seed: seed + i }).entries()) {
      const payload = contentMutated(messagePackCodec, payloads[i]!, changes, payloads[k % payloads.length]!);
      const changed = Buffer.concat([bytes.subarray(0, HEADER_BYTES), payload]);
      changed.writeUInt32BE(crc32c(payload), 4);
      yield { path, files: new Map(files).set(path, changed), payload };
    }
  }
}

/** A folder with one file of block sums changed, and `compacted` saying that it is as it should be. */
function* changedSums({ files }: Folder, seed: number): Generator<Changed> {
  for (const [path, bytes] of files) {
    if (!path.endsWith('.sums')) continue;
    const [, folder, base] = /^(.*)\/(\d+)\.sums$/.exec(path)!;
    const compacted = compactedIn((unseal(files.get(`${folder}/compacted`)!) as { content: unknown }).content)!;
    for (const changes of fc.sample(mutations, { numRuns: CONTENTS * 5, seed })) {
      const payload = mutated(bytes, changes, bytes);
      const sums = checksum(payload).toString(16).padStart(16, '0');
      const segments = compacted.segments.map((one) => (one.base === Number(base) ? { ...one, sums } : one));
      const sealed = seal({ ...compacted, segments });
      yield { path, files: new Map(files).set(path, payload).set(`${folder}/compacted`, sealed), payload };
    }
  }
}

function* allChanged(folder: Folder): Generator<Changed> {
  yield* changedContents(folder, 1);
  yield* changedSums(folder, 1);
}

/** Reads all that is stored, and stores more. */
async function use(opened: OpenedBroker): Promise<void> {
  const { broker, told } = opened;
  const found = { lost: 0, missing: 0, broken: [] };
  for (const topic of broker.topics) {
    for (const [i, log] of topic.partitions.entries()) {
      const { logStart, highWatermark } = log.marks;
      // Else what is said to be stored is more than can be asked for, one after the other.
      if (highWatermark - logStart < OFFSETS_MAX) await everythingIn(log, found);
      else await refusable(log.reader.read(logStart, { endNext: highWatermark, bytesMax: 1, atLeastOne: true }));
      await refusable(sendBatch(opened, topic.name, i, ['later'], { key: 'later', producerId: 7, sequence: 3 }));
      log.epochs.endOf(0, log.marks.highWatermark);
    }
  }
  for (const { id } of broker.groups.groups()) broker.groups.offsets(id, null, -1);
  expect(broker.stopped).toBeNull();
  expect([...found.broken, ...told.filter((line) => line.startsWith('NO FAULT'))]).toEqual([]);
}

/** Null when it is refused. @throws what is no Fault */
async function refusable<T>(work: T | Promise<T>): Promise<T | null> {
  try {
    return await work;
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return null;
  }
}

/** Whether the broker starts. */
async function starts(disk: SimulatedDisk): Promise<boolean> {
  const opened = await refusable(openOn(disk));
  if (opened === null) return false;
  await use(opened);
  await opened.broker.close();
  return true;
}

test('a content that no broker writes is refused, or the broker works with it', { timeout: 7_200_000 }, async () => {
  const outcomes = { refused: 0, started: 0 };
  for (const folder of await prepareFolders()) {
    for (const { path, files, payload } of allChanged(folder)) {
      const disk = SimulatedDisk.holding(files, new SeededRandom(1));
      try {
        if (await starts(disk)) {
          outcomes.started += 1;
          expect(await starts(disk)).toBe(true);
        } else outcomes.refused += 1;
      } catch (cause) {
        throw new Error(`${folder.name}, ${path}: ${payload.toString('hex')}`, { cause });
      }
    }
  }
  expect(outcomes.refused).toBeGreaterThan(50);
  expect(outcomes.started).toBeGreaterThan(50);
});
