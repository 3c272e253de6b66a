import { existsSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { residentMb } from '../../bench/process-usage.ts';

export interface Sample {
  readonly atMs: number;
  readonly rssMb: number;
  /** What the JavaScript heap holds, without garbage. */
  readonly heapMb: number;
  /** Of buffers, which lie outside of it; without garbage likewise. */
  readonly buffersMb: number;
  readonly descriptors: number;
  readonly sockets: number;
}

export type Measure = Exclude<keyof Sample, 'atMs'>;

/** The environment in which a Node process writes to `path`, on SIGUSR2, what memory it uses. */
export function heapReports(path: string, ...alsoImports: string[]): Record<string, string> {
  const imports = ['heap-report.mjs', ...alsoImports].map(
    (name) => pathToFileURL(join(import.meta.dirname, name)).href,
  );
  return { SOAK_HEAP_REPORT: path, NODE_OPTIONS: imports.map((url) => `--import=${url}`).join(' ') };
}

export async function sampleOf(pid: number, reportPath: string): Promise<Sample> {
  const { heapUsed, arrayBuffers } = await heapReport(pid, reportPath);
  const descriptors = readdirSync(`/proc/${pid}/fd`);
  return {
    atMs: performance.now(),
    rssMb: residentMb(pid).nowMb,
    heapMb: heapUsed / 2 ** 20,
    buffersMb: arrayBuffers / 2 ** 20,
    descriptors: descriptors.length,
    sockets: descriptors.filter((name) => isSocket(`/proc/${pid}/fd/${name}`)).length,
  };
}

function isSocket(path: string): boolean {
  try {
    return readlinkSync(path).startsWith('socket:');
  } catch {
    // It was closed meanwhile.
    return false;
  }
}

const REPORT_ATTEMPTS = 200;

async function heapReport(pid: number, path: string): Promise<{ heapUsed: number; arrayBuffers: number }> {
  process.kill(pid, 'SIGUSR2');
  for (let attempt = 0; attempt < REPORT_ATTEMPTS; attempt += 1) {
    await sleep(50);
    if (!existsSync(path)) continue;
    const report = JSON.parse(readFileSync(path, 'utf8')) as { heapUsed: number; arrayBuffers: number };
    rmSync(path);
    return report;
  }
  throw new Error('the process wrote no report of its memory');
}

export interface Trend {
  readonly from: number;
  readonly to: number;
  readonly mean: number;
  /** Of the line through all points, from the first one to the last. */
  readonly growth: number;
  readonly perHour: number;
}

/** The line through the lowest value of each of so many windows: what lies above is work under way. */
export function trendOf(samples: readonly Sample[], measure: Measure, windows: number): Trend {
  const startMs = samples[0]!.atMs;
  const windowMs = (samples.at(-1)!.atMs - startMs) / windows;
  const lowest = new Map<number, number>();
  for (const sample of samples) {
    // The last sample ends the last window, and begins none of its own.
    const window = Math.min(windows - 1, Math.floor((sample.atMs - startMs) / windowMs));
    lowest.set(window, Math.min(lowest.get(window) ?? Number.POSITIVE_INFINITY, sample[measure]));
  }
  const points = [...lowest];
  const meanX = points.reduce((sum, [x]) => sum + x, 0) / points.length;
  const mean = points.reduce((sum, [, y]) => sum + y, 0) / points.length;
  const spread = points.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0);
  const slope = spread === 0 ? 0 : points.reduce((sum, [x, y]) => sum + (x - meanX) * (y - mean), 0) / spread;
  const values = points.map(([, y]) => y);
  return {
    from: values[0]!,
    to: values.at(-1)!,
    mean,
    growth: slope * (points.length - 1),
    perHour: slope * (3_600_000 / windowMs),
  };
}
