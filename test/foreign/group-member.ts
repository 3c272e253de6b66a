import { type ChildProcess, spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import type { GroupClient, GroupJob } from './clients/group-client.ts';
import { type Handled, MemberOrder } from './handled.ts';
import { LineSplitter } from './lines.ts';

const STDERR_KEPT_CHARACTERS = 2_000;
const STOP_TIMEOUT_MS = 60_000;

/** One consumer of a group, in a process of its own. */
export class GroupMember {
  readonly name: string;
  /** Records that it has handled. */
  count = 0;
  /** By partition, the highest offset that it has handled. */
  readonly highest = new Map<number, number>();
  readonly #client: GroupClient;
  readonly #child: ChildProcess;
  readonly #order: MemberOrder;
  readonly #ended: Promise<string | number>;
  readonly #killAtExit: () => void;
  #status: string | number | null = null;
  #told = false;
  #complaint = '';

  constructor(name: string, client: GroupClient, job: GroupJob, handled: Handled) {
    this.name = name;
    this.#client = client;
    this.#order = new MemberOrder(client.mayRepeat ?? false);
    const program = client.program(job);
    const env = { ...process.env, ...program.env };
    this.#child = spawn(program.file, program.args, { stdio: ['ignore', 'pipe', 'pipe'], env });
    this.#killAtExit = () => void this.#child.kill('SIGKILL');
    process.once('exit', this.#killAtExit);
    const splitter = new LineSplitter((line) => this.#take(line.toString('utf8'), handled));
    (this.#child.stdout as Readable).on('data', (chunk: Buffer) => splitter.push(chunk));
    (this.#child.stderr as Readable).setEncoding('utf8').on('data', (chunk: string) => {
      this.#complaint = (this.#complaint + chunk).slice(-STDERR_KEPT_CHARACTERS);
    });
    this.#ended = new Promise((resolve) => {
      this.#child.once('error', (error) => resolve(error.message));
      this.#child.once('close', (code, signal) => resolve(signal ?? code ?? 'no status'));
    });
    void this.#ended.then((status) => {
      this.#status = status;
      process.off('exit', this.#killAtExit);
    });
  }

  /** @throws Error when it has ended by itself, or was given records out of order */
  check(): void {
    if (this.#order.disorder !== null) throw new Error(`${this.name}, ${this.#order.disorder}`);
    if (this.#status !== null && !this.#told) throw new Error(`${this.name} ended with ${this.#status}: ${this.#said}`);
  }

  /** Lets it leave the group. @throws Error when it does not end as it should, or in time */
  async stop(): Promise<void> {
    this.#told = true;
    this.#child.kill('SIGTERM');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), STOP_TIMEOUT_MS);
    const status = await this.#ended;
    clearTimeout(timer);
    this.check();
    if (status !== (this.#client.stopStatus ?? 0)) {
      throw new Error(`${this.name} ended with ${status} when it was asked to leave: ${this.#said}`);
    }
  }

  /** Ends it as a crash does. */
  async kill(): Promise<void> {
    this.#told = true;
    this.#child.kill('SIGKILL');
    await this.#ended;
  }

  get #said(): string {
    return this.#complaint.replaceAll(/^SLF4J.*\n/gm, '').trim();
  }

  #take(line: string, handled: Handled): void {
    const event = this.#client.read(line.trimEnd());
    if (event === null) return;
    if ('assigned' in event) {
      for (const partition of event.assigned) this.#order.assigned(partition);
      return;
    }
    const { partition, offset } = event;
    this.#order.handled(partition, offset);
    handled.add(partition, offset);
    this.count += 1;
    this.highest.set(partition, Math.max(offset, this.highest.get(partition) ?? -1));
  }
}
