import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import type { Readable, Writable } from 'node:stream';
import type { Program } from '../../tools/broker-process.ts';

const STDERR_KEPT_CHARACTERS = 2_000;

export interface RunOptions {
  /** The file the program reads as its standard input, or what writes to it; nothing when left out. */
  input?: string | ((stdin: Writable) => Promise<void>);
  /** Gets what the program writes to its standard output. */
  output?: (chunk: Buffer) => void;
  timeoutMs?: number;
}

/** Runs a program to its end. @throws Error with the end of what it complained of when it fails or takes too long. */
export async function runProgram(program: Program, options: RunOptions = {}): Promise<void> {
  const { input, timeoutMs = 300_000 } = options;
  const file = typeof input === 'string' ? openSync(input, 'r') : undefined;
  const child = spawn(program.file, program.args, {
    stdio: [file ?? (input === undefined ? 'ignore' : 'pipe'), 'pipe', 'pipe'],
    env: { ...process.env, ...program.env },
  });
  if (file !== undefined) closeSync(file);
  const killAtExit = (): void => void child.kill('SIGKILL');
  process.once('exit', killAtExit);
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    child.kill('SIGKILL');
  }, timeoutMs);
  try {
    const complaint = await settled(child, options);
    if (late) throw new Error(`${describe(program)} did not end within ${timeoutMs} ms: ${complaint.text}`);
    if (complaint.status !== 0)
      throw new Error(`${describe(program)} ended with ${complaint.status}: ${complaint.text}`);
  } finally {
    clearTimeout(timer);
    process.off('exit', killAtExit);
  }
}

async function settled(child: ChildProcess, options: RunOptions): Promise<{ status: string | number; text: string }> {
  let text = '';
  (child.stderr as Readable).setEncoding('utf8').on('data', (chunk: string) => {
    text = (text + chunk).slice(-STDERR_KEPT_CHARACTERS);
  });
  (child.stdout as Readable).on('data', options.output ?? (() => {}));
  const closed = new Promise<string | number>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve(code ?? signal ?? 'no status'));
  });
  const fed = typeof options.input === 'function' ? feed(child.stdin as Writable, options.input) : Promise.resolve();
  const [status] = await Promise.all([closed, fed]);
  return { status, text: text.replaceAll(/^SLF4J: .*\n/gm, '').trim() };
}

async function feed(stdin: Writable, write: (stdin: Writable) => Promise<void>): Promise<void> {
  let broken: Error | undefined;
  // A program that ended early has said why on its standard error, which is what gets reported.
  stdin.on('error', (error) => {
    broken = error;
  });
  await write(stdin);
  if (broken === undefined) stdin.end();
}

/** Writes, and waits while the reader is behind; returns at once when it has gone. */
export async function writeTo(stdin: Writable, chunk: Buffer): Promise<void> {
  if (stdin.destroyed || stdin.write(chunk)) return;
  await new Promise<void>((resolve) => {
    const end = (): void => {
      stdin.off('drain', end);
      stdin.off('close', end);
      resolve();
    };
    stdin.once('drain', end);
    stdin.once('close', end);
  });
}

/** Runs a program and gives what it wrote to its standard output. */
export async function outputOf(program: Program, options: RunOptions = {}): Promise<string> {
  const chunks: Buffer[] = [];
  await runProgram(program, { ...options, output: (chunk) => chunks.push(chunk) });
  return Buffer.concat(chunks).toString('utf8');
}

function describe(program: Program): string {
  const words = [program.file, ...program.args].join(' ');
  return words.length > 160 ? `${words.slice(0, 160)}…` : words;
}
