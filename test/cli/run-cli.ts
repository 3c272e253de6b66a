import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { builtMain } from '../../tools/millrace.ts';

export interface CliOptions {
  /** Default: nothing, closed at once. */
  readonly input?: string | Buffer;
  readonly env?: Readonly<Record<string, string>>;
  /** Default: a folder without a configuration file. */
  readonly cwd?: string;
}

export interface CliResult {
  readonly code: number | null;
  readonly stdout: Buffer;
  /** As text. */
  readonly out: string;
  readonly err: string;
}

/** Starts the command line as a user would, as built, without what the tests' own environment sets. */
export function startCli(
  args: readonly string[],
  { env = {}, cwd = import.meta.dirname }: CliOptions = {},
): ChildProcess {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('MILLRACE_'));
  return spawn(process.execPath, [builtMain, ...args], {
    cwd,
    env: { ...Object.fromEntries(inherited), ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
}

/** Runs one command line to its end. */
export async function runCli(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  const child = startCli(args, options);
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout!.on('data', (chunk: Buffer) => stdout.push(chunk));
  child.stderr!.on('data', (chunk: Buffer) => stderr.push(chunk));
  // A command that fails early does not read its input.
  child.stdin!.on('error', () => {});
  child.stdin!.end(options.input ?? '');
  const [code] = (await once(child, 'close')) as [number | null];
  const bytes = Buffer.concat(stdout);
  return { code, stdout: bytes, out: bytes.toString(), err: Buffer.concat(stderr).toString() };
}

/** What a user must never see: a failure is one line that begins with the program's name. */
export function isOneLine(text: string): boolean {
  return /^millrace: [^\n]+\n$/.test(text);
}
