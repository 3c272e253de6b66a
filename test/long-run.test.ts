import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { expect, test } from 'vitest';

const MODULE = path.join(import.meta.dirname, 'long-run-numbers.ts');

/** A run whose cases are numbers: those below 0 fail, NaN brings its thread down, 13 hangs. */
function runNumbers(...numbers: number[]): { printed: string; last: string; status: number | null } {
  const env = { ...process.env, MILLRACE_PART_MS_MAX: '2000' };
  const { stdout, status } = spawnSync(process.execPath, [MODULE, ...numbers.map(String)], { encoding: 'utf8', env });
  return { printed: stdout, last: stdout.trimEnd().split('\n').at(-1)!, status };
}

test('a long run says what was tried, and ends with 0 when all was good', () => {
  const { printed, last, status } = runNumbers(1, 2, 2, 3);
  expect(printed).toMatch(/^ {2}a 2 +2$/m);
  expect(last).toMatch(/^4 of 4 numbers in \d+ s, .* 0 failed$/);
  expect(status).toBe(0);
});

test('what fails is told at once and in the last line, with the command that tries it again', () => {
  const { printed, last, status } = runNumbers(1, -7, 3);
  expect(printed).toContain('-7 is below 0');
  expect(last).toMatch(/^3 of 3 numbers in .* 1 failed; again: try -7$/);
  expect(status).toBe(1);
});

test('a case that brings its thread down is a failure, and the others are tried all the same', () => {
  const { printed, last, status } = runNumbers(1, Number.NaN, 3, 4);
  expect(printed).toContain('nobody waited for this');
  expect(printed).toMatch(/^ {2}a 4 +1$/m);
  expect(last).toMatch(/^4 of 4 numbers in .* 1 failed; again: try NaN$/);
  expect(status).toBe(1);
});

test('a case that hangs is a failure, and the others are tried all the same', () => {
  const { printed, last, status } = runNumbers(1, 13, 3, 4);
  expect(printed).toContain('hangs: 13');
  expect(printed).toMatch(/^ {2}a 4 +1$/m);
  expect(last).toMatch(/^4 of 4 numbers in .* 1 failed; again: try 13$/);
  expect(status).toBe(1);
});

test('a run that tried nothing fails, and so does one in which something never took place', () => {
  expect(runNumbers()).toMatchObject({ status: 1, printed: expect.stringContaining('nothing was tried') });
  expect(runNumbers(2)).toMatchObject({ status: 1, printed: expect.stringContaining('did not: a 1 or a 3') });
});

test.each([
  ['--inputs many', '--inputs is "many", not a number from 1 on'],
  ['--input 5', "Unknown option '--input'. There are --inputs, --family, --from, --jobs"],
])('a command that is called with %s says what is wrong with that, and tries nothing', (given, says) => {
  const command = path.join(import.meta.dirname, 'fuzz/run.ts');
  const { stdout, stderr, status } = spawnSync(process.execPath, [command, ...given.split(' ')], { encoding: 'utf8' });
  expect({ stdout, stderr, status }).toEqual({ stdout: '', stderr: `${says}\n`, status: 2 });
});
