import { cpus, totalmem } from 'node:os';
import type { Contestant } from './contestants.ts';
import type { Load } from './load.ts';

/** Every measured value of every figure, by the figure's name. */
export type Figures = Record<string, number[]>;

export interface Median {
  median: number;
  lowest: number;
  highest: number;
}

export interface Row {
  figure: string;
  /** By contestant. */
  values: Record<string, Median>;
}

function medianOf(values: readonly number[]): Median {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const median = (sorted[Math.ceil(middle) - 1]! + sorted[Math.floor(middle)]!) / 2;
  return { median, lowest: sorted[0]!, highest: sorted.at(-1)! };
}

export function summarize(all: readonly { name: string; figures: Figures }[]): Row[] {
  const names = [...new Set(all.flatMap(({ figures }) => Object.keys(figures)))];
  return names.map((figure) => ({
    figure,
    values: Object.fromEntries(
      all.flatMap(({ name, figures }) => {
        const measured = figures[figure];
        return measured === undefined ? [] : [[name, medianOf(measured)] as const];
      }),
    ),
  }));
}

/** A Markdown table of medians, with lowest and highest, and Millrace's ratio to the others. */
export function printTables(rows: readonly Row[], chosen: readonly Contestant[], loads: readonly Load[]): void {
  const names = chosen.map(({ name }) => name);
  const rivals = names.includes('millrace') ? ['kafka', 'bare'].filter((name) => names.includes(name)) : [];
  const header = ['figure', ...names, ...rivals.map((name) => `millrace / ${name}`)];
  const lines = rows.map(({ figure, values }) => {
    const own = values['millrace']?.median;
    const ratios = rivals.map((name) => ratio(own, values[name]?.median));
    return [figure, ...names.map((name) => cell(values[name])), ...ratios];
  });
  const [processor] = cpus();
  const memoryGb = Math.round(totalmem() / 2 ** 30);
  const print = (text: string): boolean => process.stdout.write(`${text}\n`);
  print(
    `${cpus().length} × ${processor?.model.trim()}, ${memoryGb} GB; Node ${process.version}; medians (lowest–highest)`,
  );
  for (const { name, what } of chosen) print(`- ${name}: ${what}`);
  for (const { recordBytes, records, acks } of loads) print(`- ${records} records of ${recordBytes} B, acks=${acks}`);
  print('');
  for (const line of [header, header.map(() => '---'), ...lines]) print(`| ${line.join(' | ')} |`);
}

function cell(value: Median | undefined): string {
  if (value === undefined) return '–';
  return `${short(value.median)} (${short(value.lowest)}–${short(value.highest)})`;
}

function ratio(own: number | undefined, other: number | undefined): string {
  return own === undefined || !other ? '–' : (own / other).toFixed(2);
}

function short(value: number): string {
  return value >= 100 ? String(Math.round(value)) : value.toPrecision(3);
}
