import { type ChildProcess, spawn } from 'node:child_process';
import { CommandFailed } from './command-failed.ts';

interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A command of the user's, run by the shell, that is given records on its standard input. */
export class RecordCommand {
  readonly #child: ChildProcess;
  readonly #ended: Promise<Ended>;
  /** Aborted when the command reads no more, with why. */
  readonly #closed = new AbortController();

  constructor(command: string) {
    this.#child = spawn(command, { shell: true, stdio: ['pipe', 'inherit', 'inherit'] });
    this.#ended = new Promise((resolve, reject) => {
      this.#child.once('error', reject);
      this.#child.once('exit', (code, signal) => {
        this.#closed.abort(new Error('the command has ended'));
        resolve({ code, signal });
      });
    });
    this.#ended.catch((error: Error) => this.#closed.abort(error));
    this.#child.stdin!.on('error', (error: Error) => this.#closed.abort(error));
  }

  get closed(): AbortSignal {
    return this.#closed.signal;
  }

  /** Resolves when the command's input has room again. */
  readonly write = (bytes: Buffer): Promise<void> =>
    new Promise((resolve, reject) => {
      this.#child.stdin!.write(bytes, (error) => (error == null ? resolve() : reject(error)));
    });

  /** Ends its input and waits for its end. @throws CommandFailed */
  async end(): Promise<void> {
    this.#child.stdin!.end();
    const { code, signal } = await this.#ended;
    if (code === 0) return;
    throw new CommandFailed(`the command was ended ${signal === null ? `with exit code ${code}` : `by ${signal}`}`);
  }
}
