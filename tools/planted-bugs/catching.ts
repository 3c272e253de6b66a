import type { CopiedTree, Ended } from './copied-tree.ts';
import type { Catch, CatchingSimulation, CatchingTest } from './planted-bug.ts';

/** For one command with a bug. A test that is only slow must not pass for one that fails: its own limit is no shorter. */
const TIME_LIMIT_MS = 3 * 60_000;
/** After which a test that is said to hang does so. */
const HANG_TIME_LIMIT_MS = 30_000;
/** What cleans up after a test that failed may hang. */
const HOOK_TIME_LIMIT_MS = 60_000;
/** For everything, without a bug. */
const SOUND_TIME_LIMIT_MS = 15 * 60_000;

interface Result {
  readonly fullName: string;
  readonly status: string;
  readonly failureMessages: readonly string[];
}

interface VitestReport {
  readonly testResults: readonly {
    readonly assertionResults: readonly Result[];
  }[];
}

const REPORT = 'vitest-report.json';

/** With a bug, a test of many states ends at the first that shows it: it may have more of them than in the suite. */
const MORE_STATES = { MILLRACE_POWER_CUTS: '9000' };

/** Why the tests and simulations are no judge: those that do not pass without a bug. Null when all do. */
export async function failuresWithoutBug(
  tree: CopiedTree,
  all: readonly Catch[],
  jobs: number,
): Promise<string | null> {
  const tests = all.filter((by) => by.kind === 'test');
  const { statusOf, ended } = await runTests(tree, tests, SOUND_TIME_LIMIT_MS, SOUND_TIME_LIMIT_MS, jobs);
  const bad = tests.filter((by) => statusOf(by) !== 'passed');
  if (bad.length > 0) {
    return [...bad.map((by) => `${statusOf(by)}: ${by.file}: ${by.name}`), ended.output].join('\n');
  }
  for (const by of all) {
    if (by.kind === 'test') continue;
    const { exitCode, output } = await simulate(tree, by, SOUND_TIME_LIMIT_MS);
    if (exitCode !== 0) return output;
  }
  return null;
}

/** Why a command did not catch the bug that is in the tree; null when it did: by a failure of what it tests. */
export async function missed(tree: CopiedTree, by: Catch): Promise<string | null> {
  if (by.kind === 'simulation') {
    const { exitCode, output } = await simulate(tree, by, TIME_LIMIT_MS);
    if (exitCode === 1 && /^seed \d+ failed/m.test(output)) return null;
    return `exit code ${exitCode}: ${lastLines(output)}`;
  }
  const limitMs = by.hangs ? HANG_TIME_LIMIT_MS : TIME_LIMIT_MS;
  const { statusOf, ended } = await runTests(tree, [by], limitMs, TIME_LIMIT_MS, 1, MORE_STATES);
  const status = statusOf(by);
  return status === 'failed' || (by.hangs && status === 'timed out')
    ? null
    : `it ${status}: ${lastLines(ended.output)}`;
}

/** Runs tests by their full names. `statusOf`: 'passed', 'failed', 'timed out', or 'is missing' when no such test ended. */
async function runTests(
  tree: CopiedTree,
  tests: readonly CatchingTest[],
  testLimitMs: number,
  timeLimitMs: number,
  jobs = 1,
  env: NodeJS.ProcessEnv = {},
): Promise<{ statusOf: (test: CatchingTest) => string; ended: Ended }> {
  const files = [...new Set(tests.map(({ file }) => file))];
  const names = `^(${tests.map(({ name }) => literal(name)).join('|')})$`;
  const limits = [`--testTimeout=${testLimitMs}`, `--hookTimeout=${HOOK_TIME_LIMIT_MS}`, `--maxWorkers=${jobs}`];
  const args = ['run', ...files, '-t', names, '--reporter=json', `--outputFile=${REPORT}`, ...limits];
  const ended = await tree.run('vitest', args, timeLimitMs, env);
  const { testResults } =
    ended.exitCode === null ? { testResults: [] } : (JSON.parse(tree.read(REPORT)) as VitestReport);
  const results = testResults.flatMap(({ assertionResults }) => assertionResults);
  const statusOf = ({ name }: CatchingTest): string => {
    const found = results.find(({ fullName }) => fullName === name);
    const isLate = found?.failureMessages.length !== 0 && found?.failureMessages.every(isTimeout);
    return isLate === true ? 'timed out' : (found?.status ?? 'is missing');
  };
  return { statusOf, ended };
}

function isTimeout(message: string): boolean {
  return /\b(Test|Hook) timed out in \d+ms/.test(message);
}

function simulate(tree: CopiedTree, { from, seeds }: CatchingSimulation, timeLimitMs: number): Promise<Ended> {
  const args = ['run', '--silent', 'simulate', '--', '--seeds', String(seeds), '--from', String(from)];
  return tree.run('npm', args, timeLimitMs);
}

function literal(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&');
}

function lastLines(output: string): string {
  return output.trimEnd().split('\n').slice(-8).join('\n    ');
}
