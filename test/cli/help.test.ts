import { expect, test } from 'vitest';
import { type Command, commonFlags, type Flags } from '../../src/cli/command.ts';
import { allFlagNames, commands, isGroup } from '../../src/cli/commands.ts';
import { exitCodes } from '../../src/cli/exit-codes.ts';
import { isOneLine, runCli } from './run-cli.ts';

async function everyCommand(): Promise<{ path: string[]; command: Command }[]> {
  const found = await Promise.all(
    Object.entries(commands).map(async ([name, { load }]) => {
      const command = await load();
      if (!isGroup(command)) return [{ path: [name], command }];
      return command.commands.map((one) => ({ path: [name, one.syntax.split(' ')[0]!], command: one }));
    }),
  );
  return found.flat();
}

test('every command explains itself with examples whose flags exist', async () => {
  for (const { path, command } of await everyCommand()) {
    const known: Flags = { ...commonFlags, ...command.flags };
    const spellings = Object.entries(known).flatMap(([name, { alias = [] }]) => [
      `--${name}`,
      ...[alias].flat().map((letter) => `-${letter}`),
    ]);
    expect(command.examples.length).toBeGreaterThan(0);
    for (const { run } of command.examples) {
      expect(run).toContain(`$0 ${path.join(' ')}`);
      const used = [
        ...run
          .split('|')
          .find((part) => part.includes('$0'))!
          .matchAll(/(?<=\s)(--[a-z-]+|-[a-zA-Z])(?=[\s=]|$)/g),
      ];
      for (const [flag] of used) expect(spellings).toContain(flag);
    }
  }
});

test('the description in the list is the one of the command itself', async () => {
  for (const { describe, load } of Object.values(commands)) expect((await load()).describe).toBe(describe);
});

// One configuration file serves all commands.
test('a flag of one name is of one type in every command', async () => {
  const seen = new Map<string, unknown>();
  for (const { command } of await everyCommand()) {
    for (const [name, { type }] of Object.entries(command.flags)) {
      if (!seen.has(name)) seen.set(name, type);
      expect([name, type]).toEqual([name, seen.get(name)]);
    }
  }
  expect(await allFlagNames()).toEqual(new Set(seen.keys()));
});

test('help is printed for the program, a group and a command', async () => {
  for (const args of [['--help'], ['topic', '--help'], ['topic', 'create', '-h'], ['consume', '--help']]) {
    const { code, out, err } = await runCli(args);
    expect([args, code, err]).toEqual([args, 0, '']);
    expect(out).toContain('millrace');
  }
  const nothing = await runCli([]);
  expect([nothing.code, nothing.out]).toEqual([exitCodes.usage, '']);
  expect(nothing.err).toContain('Commands:');
});

// Whoever breaks a paragraph by hand has it broken again at the width of the terminal.
test('help wraps a paragraph once: no line ends before the next word has no room', async () => {
  const columns = 110;
  const paths = (await everyCommand()).map(({ path }) => path);
  for (const path of [[], ...paths]) {
    const { out } = await runCli([...path, '--help']);
    // What is below the flags and examples, which are tables.
    const lines = out.slice(out.lastIndexOf('\n  ')).split('\n').slice(2);
    for (const [i, line] of lines.slice(0, -1).entries()) {
      const [nextWord = ''] = lines[i + 1]!.split(' ');
      const isSentenceEnd = /[.…]$/.test(line);
      if (line === '' || nextWord === '' || isSentenceEnd) continue;
      expect([path, line, `${line} ${nextWord}`.length > columns]).toEqual([path, line, true]);
    }
  }
});

test('a flag is listed once', async () => {
  const { out } = await runCli(['consume', '--help']);
  expect(out.match(/--json/g)).toHaveLength(1);
});

test('a line that cannot be understood is answered with one line and exit code 2', async () => {
  const wrong = [
    ['prodce', 'x'],
    ['topic'],
    ['topic', 'make'],
    ['topic', 'create'],
    ['consume'],
    ['consume', 'x', '--frm', '1'],
    ['consume', 'x', '-c', 'few'],
    ['produce', 'x', '-z', 'zip'],
    ['produce', 'x', '-p', '1', '-p', '2'],
    ['topic', 'alter', 'x'],
    ['topic', 'trim', 'x'],
    ['offsets', 'x', '--time', 'soon'],
    ['topic', 'list', '--timeout', 'long'],
    ['topic', 'list', '--timeout', '5'],
    ['consume', 'x', '-J', '-f', '%s'],
    ['replay', 'x', '--json', '--format', '%s'],
    ['consume', 'x', '-b', 'nonsense:x'],
  ];
  for (const args of wrong) {
    const { code, out, err } = await runCli(args);
    expect([args, code, out, isOneLine(err)]).toEqual([args, 2, '', true]);
  }
});

test('a flag that no command has is told as it was written, once', async () => {
  const one = await runCli(['topic', 'trim', 'orders', '--strange-flag', '1', '--yes']);
  expect(one.err).toBe('millrace: unknown argument: strange-flag; see millrace topic trim --help\n');
  const two = await runCli(['topic', 'trim', 'orders', '--strange-flag', '--odd']);
  expect(two.err).toBe('millrace: unknown arguments: strange-flag, odd; see millrace topic trim --help\n');
});

test('a broker that is not there is exit code 3, and with --verbose never a stack trace', async () => {
  const { code, err } = await runCli(['topic', 'list', '-b', '127.0.0.1:1', '--timeout', '200ms', '--verbose']);
  expect(code).toBe(3);
  expect(err).toMatch(/^millrace: .*127\.0\.0\.1:1/);
  expect(err).not.toMatch(/\bat .*\.[jt]s:\d+/);
});

test('an input file that is not there is one line', async () => {
  const { code, err } = await runCli(['produce', 'x', '/no/such/file']);
  expect([code, isOneLine(err)]).toEqual([1, true]);
});

test('the version is printed', async () => {
  expect((await runCli(['--version'])).out).toMatch(/^\d+\.\d+\.\d+\n$/);
});

test('a completion script is printed, and completes commands and flags', async () => {
  expect((await runCli(['completion'], { env: { SHELL: '/bin/bash' } })).out).toContain('--get-yargs-completions');
  const complete = async (...words: string[]) =>
    (await runCli(['--get-yargs-completions', 'millrace', ...words], { env: { SHELL: '/bin/bash' } })).out.split('\n');
  expect(await complete('')).toEqual(expect.arrayContaining(Object.keys(commands)));
  expect(await complete('topic', '')).toEqual(expect.arrayContaining(['create', 'delete', 'trim']));
  expect(await complete('serve', '--')).toContain('--allow-remote-without-login');
});
