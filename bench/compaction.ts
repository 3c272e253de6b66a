// One pass of compaction over a log on a real disk:  node bench/compaction.ts [MiB, default 128]
// Prints MiB/s read, the longest time that the event loop was kept from others, and what memory grew by.
import { rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { systemClock } from '../src/base/clock.ts';
import { silentLogger } from '../src/base/logger.ts';
import { Pace } from '../src/base/pace.ts';
import { systemRandom } from '../src/base/random.ts';
import { Semaphore } from '../src/base/semaphore.ts';
import { realDisk } from '../src/disk/real-disk.ts';
import { compact } from '../src/log/compaction.ts';
import { planOf } from '../src/log/compaction-plan.ts';
import { KeyMap } from '../src/log/key-map.ts';
import { PartitionLog } from '../src/log/partition-log.ts';
import { ReadBuffers } from '../src/log/read-buffers.ts';
import { Syncer } from '../src/log/syncer.ts';
import { TailCache } from '../src/log/tail-cache.ts';
import { buildBatch } from '../src/record/batch-builder.ts';

const MIB = 1024 * 1024;
const NEVER_MS = Number.MAX_SAFE_INTEGER;
const totalBytes = Number(process.argv[2] ?? 128) * MIB;

for (const compression of ['none', 'lz4', 'zstd'] as const) {
  const folder = await mkdtemp(path.join(tmpdir(), 'millrace-bench-'));
  const disk = realDisk(folder);
  const syncer = new Syncer();
  const context = {
    disk,
    clock: systemClock,
    logger: silentLogger,
    syncer,
    replay: null,
    cache: new TailCache(MIB),
    reads: new Semaphore(2),
    readBuffers: new ReadBuffers(),
    onFatal(error: unknown) {
      throw error;
    },
  };
  const log = await PartitionLog.open(
    'p',
    context,
    {
      segmentBytes: 16 * MIB,
      segmentMs: NEVER_MS,
      indexIntervalBytes: 4096,
      flushMessages: NEVER_MS,
      flushMs: NEVER_MS,
      rot: 'stop',
    },
    1,
  );
  for (let number = 0; log.sizeBytes < totalBytes; ) {
    const records = Array.from({ length: 100 }, () => {
      const key = Buffer.from(`key-${(number++ * 7919) % (totalBytes >> 10)}`);
      return { timestampMs: 1000, key, value: Buffer.from(systemRandom.bytes(75).toString('hex')) };
    });
    await syncer.append([{ log, batch: buildBatch(records, { compression }) }], 'written').settled;
  }
  const settings = {
    dirtyRatioMin: 0,
    lagMinMs: 0,
    lagMaxMs: NEVER_MS,
    deleteRetentionMs: NEVER_MS,
    segmentBytes: 16 * MIB,
    indexBytes: 10 * MIB,
  };
  const plan = (await planOf(log, settings, systemClock.wallMs()))!;
  const before = process.memoryUsage().rss;
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const startMs = systemClock.monotonicMs();
  const keys = await KeyMap.create(32 * MIB, systemRandom);
  const pace = new Pace(systemClock, Number.POSITIVE_INFINITY, () => {});
  const nowMs = systemClock.wallMs();
  // Timers of the clock let the process end.
  const alive = setInterval(() => {}, 1000);
  const { codecs } = log;
  const ageMs = (stampMs: number): number => nowMs - stampMs;
  const pass = { disk, keys, pace, settings, nowMs, ageMs, indexIntervalBytes: 4096, codecs };
  const report = await compact(plan, pass);
  clearInterval(alive);
  const seconds = (systemClock.monotonicMs() - startMs) / 1000;
  delay.disable();
  const figures = {
    compression,
    mib: Math.round(report.bytesBefore / MIB),
    leftMib: Math.round(report.bytesAfter / MIB),
    mibPerSecond: Math.round(report.bytesBefore / MIB / seconds),
    recordsPerSecond: Math.round((report.recordsKept + report.recordsDropped) / seconds),
    loopDelayMs: { p50: delay.percentile(50) / 1e6, p99: delay.percentile(99) / 1e6, max: delay.max / 1e6 },
    rssGrewMib: Math.round((process.memoryUsage().rss - before) / MIB),
  };
  process.stdout.write(`${JSON.stringify(figures)}\n`);
  await log.close();
  rmSync(folder, { recursive: true });
}
