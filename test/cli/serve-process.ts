import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { type CliOptions, startCli } from './run-cli.ts';

/** A `millrace serve` that is ready. */
export class ServeProcess {
  readonly port: number;
  readonly ready: Readonly<Record<string, unknown>>;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, ready: Readonly<Record<string, unknown>>) {
    this.#child = child;
    this.ready = ready;
    const [first] = ready['listen'] as string[];
    this.port = Number(first!.slice(first!.lastIndexOf(':') + 1));
  }

  get broker(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** Waits for the log line that says so. @throws Error with what it printed when it ends before */
  static async start(args: readonly string[], options: CliOptions = {}): Promise<ServeProcess> {
    const child = startCli(['serve', ...args], options);
    const printed: string[] = [];
    child.stderr!.on('data', (chunk: Buffer) => printed.push(chunk.toString()));
    for await (const line of createInterface({ input: child.stdout! })) {
      printed.push(line);
      const entry = JSON.parse(line) as Record<string, unknown>;
      if (entry['msg'] !== 'ready') continue;
      child.stdout!.resume();
      return new ServeProcess(child, entry);
    }
    throw new Error(`serve ended: ${printed.join('\n')}`);
  }

  /** Sends a signal and returns the exit code. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    this.#child.kill(signal);
    if (this.#child.exitCode === null) await once(this.#child, 'exit');
    return this.#child.exitCode;
  }
}
