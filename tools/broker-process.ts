import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { answersApiVersions, waitForBroker } from './api-versions-probe.ts';

export interface Program {
  file: string;
  args: readonly string[];
  env?: Record<string, string>;
}

/** A broker of any kind as a child process, ready for clients. It is killed when this process ends before it is stopped. */
export class BrokerProcess {
  readonly port: number;
  readonly pid: number;
  /** From the start of the process to its first answer. */
  readonly startMs: number;
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;
  readonly #killAtExit: () => void;

  private constructor(child: ChildProcess, port: number, startMs: number, ended: Promise<void>, atExit: () => void) {
    this.#child = child;
    this.port = port;
    this.pid = child.pid!;
    this.startMs = startMs;
    this.#ended = ended;
    this.#killAtExit = atExit;
  }

  /** @throws Error with the end of the log when the process ends before it answers, or the port is taken. */
  static async start(program: Program, port: number, logFile: string): Promise<BrokerProcess> {
    if (await answersApiVersions(port)) throw new Error(`another broker answers on port ${port}`);
    const log = openSync(logFile, 'a');
    const startedMs = performance.now();
    const child = spawn(program.file, program.args, {
      stdio: ['ignore', log, log],
      env: { ...process.env, ...program.env },
    });
    closeSync(log);
    const atExit = (): void => void child.kill('SIGKILL');
    process.once('exit', atExit);
    const ended = new Promise<void>((resolve) => {
      child.once('exit', () => resolve());
      child.once('error', () => resolve());
    });
    let alive = true;
    void ended.then(() => {
      alive = false;
      process.off('exit', atExit);
    });
    try {
      await waitForBroker(port, () => alive);
    } catch (error) {
      child.kill('SIGKILL');
      throw new Error(`${program.file} did not start: ${lastLines(logFile, 8)}`, { cause: error });
    }
    return new BrokerProcess(child, port, performance.now() - startedMs, ended, atExit);
  }

  /** Asks it to end, and waits. @throws Error when it does not end in time; it is then killed. */
  async stop(timeoutMs = 60_000): Promise<void> {
    this.#child.kill('SIGTERM');
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      this.#child.kill('SIGKILL');
    }, timeoutMs);
    await this.#ended;
    clearTimeout(timer);
    if (late) throw new Error(`the broker did not stop within ${timeoutMs} ms`);
  }

  /** Ends it as a crash does: nothing of its own code runs any more. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#ended;
  }

  /** Leaves it running after this process: it must be ended by its process id. */
  detach(): void {
    process.off('exit', this.#killAtExit);
    this.#child.unref();
  }
}

export function lastLines(file: string, count: number): string {
  return readFileSync(file, 'utf8').trimEnd().split('\n').slice(-count).join('\n');
}

/** Below what Linux gives to clients that go out: one of those would take a port before the broker does. */
const FIRST_PORT = 12_000;
const LAST_PORT = 31_999;

/** A port, the first of `count` in a row, that nobody listened on a moment ago. Kafka's node takes two. */
export async function freePort(count = 1): Promise<number> {
  for (;;) {
    const first = FIRST_PORT + Math.floor(Math.random() * (LAST_PORT - FIRST_PORT - count));
    const ports = Array.from({ length: count }, (_, i) => first + i);
    if ((await Promise.all(ports.map(isFree))).every(Boolean)) return first;
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
