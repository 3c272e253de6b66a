import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Command } from '../../src/cli/command.ts';
import { parseCommandLine } from '../../src/cli/command-line.ts';
import { plainArguments } from '../../src/cli/plain-arguments.ts';
import { serve } from '../../src/cli/serve.ts';
import { Millrace } from '../../src/millrace.ts';
import { isOneLine, runCli, startCli } from './run-cli.ts';
import { ServeProcess } from './serve-process.ts';

let base = '';
beforeEach(async () => {
  base = await mkdtemp(path.join(tmpdir(), 'cli-serve-'));
});
afterEach(() => rm(base, { recursive: true }));

const folder = (name: string): string => path.join(base, name);
const anyPort = ['--listen', '127.0.0.1:0'];

async function failure(...args: string[]): Promise<{ code: number | null; err: string; oneLine: boolean }> {
  const { code, err, out } = await runCli(['serve', ...args]);
  return { code, err, oneLine: isOneLine(err) && out === '' };
}

test('a signal ends it cleanly, and what was stored is there at the next start', async () => {
  const data = folder('restarted');
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    const server = await ServeProcess.start(['--data', data, ...anyPort]);
    await runCli(['produce', 'kept', '-b', server.broker], { input: `${signal}\n` });
    expect(await server.stop(signal)).toBe(0);
  }
  const server = await ServeProcess.start(['--data', data, ...anyPort]);
  const { out } = await runCli(['consume', 'kept', '-e', '-q', '-b', server.broker]);
  await server.stop();
  expect(out).toBe('SIGTERM\nSIGINT\n');
});

test('a folder or a port that another one uses is one line that says so', async () => {
  const server = await ServeProcess.start(['--data', folder('first'), ...anyPort]);
  const folderInUse = await failure('--data', folder('first'), ...anyPort);
  const portInUse = await failure('--data', folder('second'), '--listen', server.broker);
  await server.stop();
  expect(folderInUse).toMatchObject({ code: 5, oneLine: true, err: expect.stringContaining('stop it or choose') });
  expect(portInUse).toMatchObject({ code: 6, oneLine: true, err: expect.stringContaining(server.broker) });
});

test('a folder within the data of another broker is refused, also while that one is stopped; one beside it is not', async () => {
  const data = folder('outer');
  expect(await (await ServeProcess.start(['--data', data, ...anyPort])).stop()).toBe(0);
  for (const part of ['topics', 'ledger/cluster', 'journal']) {
    const { code, err, oneLine } = await failure('--data', path.join(data, part), ...anyPort);
    expect([part, code, err, oneLine]).toEqual([
      part,
      5,
      expect.stringContaining('a part of the data of another'),
      true,
    ]);
    expect(existsSync(path.join(data, part, 'millrace.json'))).toBe(false);
  }
  const beside = await ServeProcess.start(['--data', path.join(data, 'beside'), ...anyPort]);
  expect(await beside.stop()).toBe(0);
});

test('a folder that cannot be used is one line and exit code 5', async () => {
  const newer = folder('newer');
  await mkdir(newer);
  await writeFile(path.join(newer, 'millrace.json'), '{"format":99,"clusterId":"x","nodeId":1}');
  const damaged = folder('damaged');
  await mkdir(damaged);
  await writeFile(path.join(damaged, 'millrace.json'), '{"format');
  const file = folder('file');
  await writeFile(file, '');
  for (const data of [newer, damaged, file, path.join(file, 'below'), '/sys/millrace']) {
    expect([data, await failure('--data', data, ...anyPort)]).toEqual([
      data,
      { code: 5, oneLine: true, err: expect.any(String) },
    ]);
  }
  expect(await readFile(path.join(damaged, 'millrace.json'), 'utf8')).toBe('{"format');
});

test.runIf(process.platform === 'linux')('a place where no folder can be is told as what it is', async () => {
  const file = folder('a-file');
  await writeFile(file, '');
  for (const data of ['/dev/null', file, path.join(file, 'below')]) {
    const { code, err } = await failure('--data', data, ...anyPort);
    expect([data, code, err]).toEqual([data, 5, expect.stringContaining('is no folder; choose another')]);
  }
  // There even the folder above seems to be missing.
  const { code, err } = await failure('--data', '/proc/millrace', ...anyPort);
  expect([code, err]).toEqual([5, expect.stringContaining('the data folder cannot be written')]);
});

test('a signal while it starts ends it cleanly', async () => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    const data = folder(`early-${signal}`);
    const child = startCli(['serve', '--data', data, ...anyPort]);
    child.stdout!.resume();
    const ended = once(child, 'exit');
    // The lock is among the first that a start makes.
    await expect.poll(() => existsSync(path.join(data, 'lock')), { timeout: 60_000, interval: 1 }).toBe(true);
    child.kill(signal);
    expect(await ended).toEqual([0, null]);
    expect(await (await ServeProcess.start(['--data', data, ...anyPort])).stop()).toBe(0);
  }
});

test.runIf(process.platform === 'linux')('a signal ends a start that would never end', async () => {
  const data = folder('stuck');
  await mkdir(data);
  // To open it waits for somebody who writes into it.
  execFileSync('mkfifo', [path.join(data, 'millrace.json')]);
  const child = startCli(['serve', '--data', data, ...anyPort]);
  const ended = once(child, 'exit');
  const printed = text(child.stdout!);
  await expect.poll(() => existsSync(path.join(data, 'lock')), { timeout: 60_000 }).toBe(true);
  child.kill('SIGTERM');
  expect(await ended).toEqual([null, 'SIGTERM']);
  expect(await printed).toMatch(/stopping before the start is done.*\n.*ended in the middle of the start/);
});

test('an address that is not of this machine is exit code 6', async () => {
  const open = '--allow-remote-without-login';
  expect(await failure('--data', folder('far'), '--listen', '192.0.2.1:9092', open)).toMatchObject({
    code: 6,
    oneLine: true,
  });
  // A name that nobody knows is not refused for being open to others.
  for (const allowed of [[], [open]]) {
    const { code, err } = await failure('--data', folder('far'), '--listen', 'nosuchhost.invalid:9092', ...allowed);
    expect([code, err]).toEqual([
      6,
      expect.stringContaining('nosuchhost.invalid:9092 (no machine of this name is known)'),
    ]);
  }
});

test('what cannot be meant is refused before anything is made', async () => {
  const wrong: string[][] = [
    ['--listen', '0.0.0.0:0'],
    ['--listen', ':0'],
    ['--listen', '[::]:0'],
    ['--listen', 'nonsense'],
    ['--advertise', 'a:1'],
    [...anyPort, '--advertise', 'a:0'],
    [...anyPort, '--advertise', 'a:1', '--advertise', 'b:2'],
    [...anyPort, '--set', 'num.partitions'],
    [...anyPort, '--set', 'foo=1'],
    [...anyPort, '--set', 'log.retention.ms=abc'],
    ['--log-level', 'loud'],
    ['--data'],
    ['--no-such-flag'],
    ['unexpected'],
  ];
  for (const args of wrong) {
    const data = args.includes('--data') ? [] : ['--data', folder('never')];
    expect([args, await failure(...data, ...args)]).toEqual([
      args,
      { code: 2, oneLine: true, err: expect.any(String) },
    ]);
  }
  await expect(readFile(path.join(folder('never'), 'millrace.json'))).rejects.toThrow();
});

test('flags can be given by the environment and by a file, arguments first', async () => {
  const cwd = folder('configured');
  await mkdir(cwd);
  const settings = { data: 'from-file', listen: ['127.0.0.1:0'], set: ['num.partitions=3'], broker: 'for-others:1' };
  await writeFile(path.join(cwd, 'millrace.config.json'), JSON.stringify(settings));
  const byFile = await ServeProcess.start([], { cwd });
  await runCli(['topic', 'create', 'three', '-b', byFile.broker]);
  const { out } = await runCli(['topic', 'list', '-b', byFile.broker, '--json']);
  await byFile.stop();
  expect(byFile.ready['data']).toBe('from-file');
  expect(JSON.parse(out)).toMatchObject([{ name: 'three', partitions: 3 }]);

  const byEnv = await ServeProcess.start([], {
    cwd,
    env: { MILLRACE_DATA: 'from-env', MILLRACE_LISTEN: '127.0.0.1:0, [::1]:0' },
  });
  await byEnv.stop();
  expect(byEnv.ready).toMatchObject({ data: 'from-env', listen: { length: 2 } });

  const byArgument = await ServeProcess.start(['--data', 'from-argument'], { cwd, env: { MILLRACE_DATA: 'from-env' } });
  await byArgument.stop();
  expect(byArgument.ready['data']).toBe('from-argument');

  await writeFile(path.join(cwd, 'other.json'), '{"dta":"x"}');
  const mistyped = await runCli(['serve', '--config', 'other.json'], { cwd });
  expect([mistyped.code, isOneLine(mistyped.err)]).toEqual([2, true]);
  expect(mistyped.err).toContain('"dta"');
});

test('clients are told the address that is advertised', async () => {
  const server = await ServeProcess.start([
    '--data',
    folder('advertised'),
    ...anyPort,
    '--advertise',
    'broker.example:1234',
  ]);
  const client = await Millrace.connect(server.broker);
  const { brokers } = await client.admin.describeCluster();
  await client.close();
  await server.stop();
  expect(brokers).toMatchObject([{ host: 'broker.example', port: 1234 }]);
});

// Loading yargs would take half of the time to the first answer, so plain flags are read without it: it must not be noticed.
test('plain flags mean to the short way what they mean to yargs', async () => {
  const words = fc.constantFrom(
    '--data',
    '--listen',
    '--set',
    '--log-level',
    '--log-format',
    '--json',
    '--verbose',
    '--config',
    '--allow-remote-without-login',
    '--data=x',
    '--listen=a:1',
    '--json=false',
    '--log-level=debug',
    'x',
    'a=1',
    'debug',
    'json',
    'true',
    '-v',
    '-1',
    '',
    '--',
    '--dat',
    '--no-json',
  );
  const env = { MILLRACE_LISTEN: 'e:1,e:2', MILLRACE_LOG_LEVEL: 'warn' };
  let compared = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(words, { maxLength: 5 }), async (argv) => {
      const plain = plainArguments(argv, serve, env, null);
      if (plain === null) return;
      compared++;
      let seen: Record<string, unknown> = {};
      const spy: Command = { ...serve, run: async (args) => void (seen = args) };
      await parseCommandLine(['serve', ...argv], { loaded: new Map([['serve', spy]]), env, file: null });
      for (const [name, value] of Object.entries(plain)) expect([argv, name, seen[name]]).toEqual([argv, name, value]);
    }),
    { numRuns: 1000 },
  );
  expect(compared).toBeGreaterThan(50);
});
