import { isMainThread } from 'node:worker_threads';
import { doParts, runLong } from './long-run.ts';

/* A long run over the numbers that it is called with, for long-run.test.ts. */

const again = (number: number): string => `try ${number}`;

if (isMainThread) {
  const parts = process.argv.slice(2).map(Number);
  const missing = (counts: ReadonlyMap<string, number>): string[] =>
    parts.length === 0 || counts.has('a 1') || counts.has('a 3') ? [] : ['a 1 or a 3'];
  const isGood = await runLong(import.meta.url, { cases: 'numbers', total: parts.length, parts, again, missing }, 2);
  process.exitCode = isGood ? 0 : 1;
} else {
  doParts(async (number: number) => {
    if (number === 13) await new Promise(() => {});
    if (Number.isNaN(number)) void Promise.reject(new Error('not a number'));
    await new Promise((resolve) => setTimeout(resolve, 1));
    const failures = number < 0 ? [{ says: `${number} is below 0`, again: again(number) }] : [];
    return { cases: 1, counts: new Map([[`a ${number}`, 1]]), failures };
  });
}
