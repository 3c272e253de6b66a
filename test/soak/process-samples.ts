import { readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { residentMb } from '../../bench/process-usage.ts';

export interface Sample {
  readonly atMs: number;
  readonly rssMb: number;
  /** What the JavaScript heap holds, garbage included. */
  readonly heapMb: number;
  readonly descriptors: number;
  readonly sockets: number;
}

export type Measure = Exclude<keyof Sample, 'atMs'>;

/** Lets a Node process write its heap's size on SIGUSR2. */
export function reportOptions(folder: string): string {
  return `--report-on-signal --report-compact --report-exclude-network --report-directory=${folder}`;
}

export async function sampleOf(pid: number, reportFolder: string): Promise<Sample> {
  const descriptors = readdirSync(`/proc/${pid}/fd`);
  return {
    atMs: performance.now(),
    rssMb: residentMb(pid).nowMb,
    heapMb: await heapMb(pid, reportFolder),
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

const REPORT_ATTEMPTS = 100;

async function heapMb(pid: number, folder: string): Promise<number> {
  process.kill(pid, 'SIGUSR2');
  for (let attempt = 0; attempt < REPORT_ATTEMPTS; attempt += 1) {
    await sleep(50);
    for (const name of readdirSync(folder).filter((each) => each.endsWith('.json'))) {
      const used = usedBytes(join(folder, name));
      if (used === null) continue;
      rmSync(join(folder, name));
      return used / 2 ** 20;
    }
  }
  throw new Error('the process wrote no report of its heap');
}

/** Null while it is being written. */
function usedBytes(report: string): number | null {
  try {
    return (JSON.parse(readFileSync(report, 'utf8')) as { javascriptHeap: { usedMemory: number } }).javascriptHeap
      .usedMemory;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

export interface Trend {
  readonly from: number;
  readonly to: number;
  readonly mean: number;
  /** Of the line through all points, from the first one to the last. */
  readonly growth: number;
  readonly perHour: number;
}

/** The line through the lowest value of each of so many windows: what lies above is garbage that was not collected yet. */
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
