import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { BrokerProcess } from '../../tools/broker-process.ts';
import { millraceProgram } from '../../tools/millrace.ts';

/** The real server process on one folder and port, which is killed and started again. */
export class BrokerUnderTest {
  readonly port: number;
  readonly dataFolder: string;
  readonly logFile: string;
  readonly #args: readonly string[];
  readonly #env: Record<string, string>;
  #process: BrokerProcess | null = null;
  kills = 0;
  /** Of them, in the middle of a start. */
  killedStarts = 0;

  constructor(
    folder: string,
    port: number,
    settings: Readonly<Record<string, string>>,
    env: Record<string, string> = {},
  ) {
    mkdirSync(folder, { recursive: true });
    this.port = port;
    this.dataFolder = join(folder, 'data');
    this.logFile = join(folder, 'broker.log');
    const set = Object.entries(settings).flatMap(([name, value]) => ['--set', `${name}=${value}`]);
    const listen = ['--listen', `127.0.0.1:${port}`, '--log-format', 'json'];
    this.#args = ['serve', '--data', this.dataFolder, ...listen, ...set];
    this.#env = env;
  }

  get pid(): number {
    return this.#process!.pid;
  }

  /** Resolves when it answers. @throws Error when it ends before */
  async start(): Promise<void> {
    const { file, args } = millraceProgram(...this.#args);
    this.#process = await BrokerProcess.start({ file, args, env: this.#env }, this.port, this.logFile);
  }

  /** Ends the process at once; nothing of its own code runs any more. */
  async kill(): Promise<void> {
    await this.#process!.kill();
    this.kills += 1;
  }

  /** Starts a process and kills it so soon that it may still be reading its files. */
  async killInStart(afterMs: number): Promise<void> {
    const { file, args } = millraceProgram(...this.#args);
    const log = openSync(this.logFile, 'a');
    const child = spawn(file, args, { stdio: ['ignore', log, log], env: { ...process.env, ...this.#env } });
    closeSync(log);
    const ended = new Promise((resolve) => child.once('exit', resolve));
    await sleep(afterMs);
    child.kill('SIGKILL');
    await ended;
    this.kills += 1;
    this.killedStarts += 1;
  }

  stop(): Promise<void> {
    return this.#process!.stop();
  }
}
