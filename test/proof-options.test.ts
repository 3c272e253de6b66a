import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { expect, test } from 'vitest';
import { allBugs, bugsNamed } from '../tools/planted-bugs/list.ts';

const root = path.join(import.meta.dirname, '..');

function run(program: string, ...args: string[]): { status: number | null; printed: string; said: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [path.join(root, program), ...args], {
    encoding: 'utf8',
  });
  return { status, printed: stdout, said: stderr };
}

// One that reads the options by itself ends in a stack trace, or takes "abc" for a number and tries nothing.
test.each([
  ['test/log/run-power-cuts.ts', ['--states', '-3'], '--states is "-3", not a number from 1 on\n'],
  ['test/log/run-power-cuts.ts', ['--states=abc'], '--states is "abc", not a number from 1 on\n'],
  ['tools/planted-bugs/run.ts', ['--jobs', '0'], '--jobs is "0", not a number from 1 on\n'],
  ['tools/planted-bugs/run.ts', ['--sample', 'abc'], '--sample is "abc", not a number from 1 on\n'],
  ['tools/planted-bugs/run.ts', ['--bogus'], /^Unknown option '--bogus'.* --only.*\n$/],
  ['tools/planted-bugs/run.ts', ['--only', 'no such bug'], '--only: no bug has "no such bug" in its name\n'],
  ['bench/run.ts', ['--rounds', '-1'], '--rounds is "-1", not a number from 0 on\n'],
  ['bench/run.ts', ['--only', 'nobody'], /^--only: there is no nobody, but .*millrace.*\n$/],
])('%s %s is refused in a line', (program, args, says) => {
  const { status, said } = run(program, ...args);
  expect([status, said]).toEqual([2, typeof says === 'string' ? says : expect.stringMatching(says)]);
});

test.each(['test/log/run-power-cuts.ts', 'tools/planted-bugs/run.ts', 'bench/run.ts'])(
  '%s --help lists the options',
  (program) => {
    const { status, printed, said } = run(program, '--help');
    expect([status, said]).toEqual([0, '']);
    expect(printed).toMatch(/^options: .*--only/);
  },
);

test('a planted bug is found by a part of its name, in letters of either case', () => {
  const [first] = allBugs;
  expect(bugsNamed(first!.name.toUpperCase())).toEqual([first]);
  expect(bugsNamed('')).toEqual(allBugs);
});
