import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { batchesIn, lastOffset } from '../../src/record/batch.ts';
import { buildBatch } from '../../src/record/batch-builder.ts';
import { compressions } from '../../src/record/compression.ts';
import { recordsOf } from '../../src/record/records.ts';
import { javaProgram } from '../../tools/kafka.ts';
import { SeededRandom } from '../seeded-random.ts';
import { runKafka, whyNoKafka } from './oracle/kafka.ts';
import { Side } from './oracle/scenario.ts';
import { atEnd, fetchFrom, produce, startBroker, until } from './support.ts';

const TOPIC = 'compared';
const ROUNDS = 3;
const SETTINGS = {
  'cleanup.policy': 'compact',
  'segment.ms': '60000',
  'segment.bytes': '1048576',
  'min.cleanable.dirty.ratio': '0.01',
  'index.interval.bytes': '300',
};

interface Found {
  readonly offset: number;
  readonly key: string;
  readonly value: string | null;
  readonly timestampMs: number;
}

/** Everything that a consumer reads. */
async function readAll(side: Side): Promise<Found[]> {
  const client = await side.client();
  const found: Found[] = [];
  for (let offset = 0; ; ) {
    const answer = await fetchFrom(client, TOPIC, { offset, maxWaitMs: 10 });
    const bytes = Buffer.concat(answer.records ?? []);
    const before = offset;
    for (const at of batchesIn(bytes)) {
      for (const { offset: own, key, value, timestampMs } of recordsOf(bytes, at)) {
        if (own >= before) found.push({ offset: own, key: String(key), value: value && String(value), timestampMs });
      }
      offset = lastOffset(bytes, at) + 1;
    }
    if (offset === before) return found;
  }
}

/** Batches of one to five records, all five codecs, tombstones; the first record of a batch of its own ends the segment. */
function* batchesOf(round: number): Generator<Buffer> {
  const random = new SeededRandom(round);
  const startMs = 1_700_000_000_000 + round * 3_600_000;
  for (let i = 0; i < 40; i += 1) {
    const records = Array.from({ length: 1 + random.below(5) }, (_, n) => ({
      timestampMs: startMs + i * 10 + n,
      key: Buffer.from(`k${random.below(30)}`),
      value: random.below(4) === 0 ? null : Buffer.from(`${round}-${i}-${n}`.padEnd(random.below(200))),
    }));
    yield buildBatch(records, { compression: compressions[i % 5]! });
  }
  // Each of these begins a segment: what lies before the second is not active any more.
  for (const laterMs of [120_000, 240_000]) {
    yield buildBatch([{ timestampMs: startMs + laterMs, key: Buffer.from('end'), value: Buffer.from(`${round}`) }]);
  }
}

/** It takes up to a minute, most of which is Kafka's. */
const isAsked = process.env['MILLRACE_COMPARE_COMPACTION'] === '1';

test.skipIf(!isAsked || whyNoKafka() !== null)(
  'what compaction leaves is what Apache Kafka leaves: offsets, keys, values, times',
  async () => {
    const kafka = await runKafka({ 'log.cleaner.backoff.ms': '100' });
    atEnd(() => kafka.stop());
    const { port, folder, stop } = await startBroker({ settings: { 'log.cleaner.backoff.ms': '100' } });
    const sides = [new Side(port), new Side(kafka.port)] as const;
    for (const side of sides) await side.topic(TOPIC, 1, SETTINGS);
    for (let round = 0; round < ROUNDS; round += 1) {
      const results: Found[][] = [];
      for (const side of sides) {
        const client = await side.client();
        for (const batch of batchesOf(round)) expect((await produce(client, TOPIC, batch)).errorCode).toBe(0);
      }
      // Both are done when they agree; what they never agree on fails with what differs.
      const deadline = Date.now() + 20_000;
      await until(async () => {
        results.length = 0;
        for (const side of sides) results.push(await readAll(side));
        const isCompacted = results.every((found) => newestOnly(found));
        return (isCompacted && JSON.stringify(results[0]) === JSON.stringify(results[1])) || Date.now() > deadline;
      });
      expect(results[0]).toEqual(results[1]);
      expect(newestOnly(results[0]!)).toBe(true);
      expect(results[0]!.length).toBeGreaterThan(10);
    }
    await stop();
    expectKafkaDumps(folder);
  },
);

test.skipIf(!isAsked || whyNoKafka() !== null)(
  'a tombstone that need not stay is marked by one pass and gone with the next, in Apache Kafka too',
  async () => {
    const kafka = await runKafka({ 'log.cleaner.backoff.ms': '100' });
    atEnd(() => kafka.stop());
    const { port, stop } = await startBroker({ settings: { 'log.cleaner.backoff.ms': '100' } });
    const sides = [new Side(port), new Side(kafka.port)] as const;
    for (const side of sides) {
      await side.topic(TOPIC, 1, { ...SETTINGS, 'delete.retention.ms': '0' });
      const client = await side.client();
      const send = async (...records: { key: string; value: string | null; atMs: number }[]): Promise<void> => {
        const batch = records.map(({ key, value, atMs }) => ({
          timestampMs: 1_700_000_000_000 + atMs,
          key: Buffer.from(key),
          value: value === null ? null : Buffer.from(value),
        }));
        expect((await produce(client, TOPIC, buildBatch(batch))).errorCode).toBe(0);
      };
      const offsets = async (): Promise<number[]> => (await readAll(side)).map(({ offset }) => offset);
      await send({ key: 'a', value: 'old', atMs: 0 }, { key: 'b', value: 'stays', atMs: 0 });
      await send({ key: 'a', value: null, atMs: 1 });
      // Each of these ends the segment before it, which one pass then compacts, and no other follows it.
      for (const [value, left] of [
        ['first', [1, 2, 3]],
        ['second', [1, 3, 4]],
        ['third', [1, 4, 5]],
      ] as const) {
        await send({ key: 'end', value, atMs: left.at(-1)! * 120_000 });
        await until(async () => JSON.stringify(await offsets()) === JSON.stringify(left));
        // It stays so: a second pass would come within this time.
        for (let read = 0; read < 30; read += 1) expect(await offsets()).toEqual(left);
      }
    }
    await stop();
  },
);

/** Kafka's own tool finds in the files of a compacted segment what it finds in its own. */
function expectKafkaDumps(folder: string): void {
  const files = readdirSync(path.join(folder, 'topics'), { recursive: true, encoding: 'utf8' });
  const log = files.find((file) => file.endsWith(`${'0'.repeat(20)}.log`))!;
  const dump = (file: string, ...args: string[]): string => {
    const program = javaProgram('org.apache.kafka.tools.DumpLogSegments', [
      ...args,
      '--files',
      path.join(folder, 'topics', file),
    ]);
    const { stdout, stderr, status } = spawnSync(program.file, program.args, { encoding: 'utf8' });
    expect(status, stderr).toBe(0);
    return stdout;
  };
  const text = dump(log, '--deep-iteration', '--print-data-log');
  expect(text).toMatch(/deleteHorizonMs: OptionalLong\[\d+\]/);
  expect(text.replaceAll(/^\|.*$/gm, '')).not.toMatch(/isvalid: false|mismatch/i);
  expect(dump(log.replace('.log', '.index'), '--index-sanity-check')).toContain('passed sanity check.');
  expect(dump(log.replace('.log', '.timeindex'))).not.toMatch(/mismatch/i);
}

/** Whether each key is there once, but for what lies in the active segment. */
function newestOnly(found: readonly Found[]): boolean {
  const compacted = found.slice(0, -2);
  return new Set(compacted.map(({ key }) => key)).size === compacted.length;
}
