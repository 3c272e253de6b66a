import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { runCli } from './run-cli.ts';

interface Finding {
  readonly kind: string;
  readonly file: string;
  readonly position: number | null;
  readonly what: string;
}

export interface Verified {
  readonly code: number | null;
  readonly err: string;
  readonly findings: readonly Finding[];
  readonly logs: readonly {
    readonly label: string;
    readonly logStart: number;
    readonly records: number;
    readonly findings: readonly Finding[];
  }[];
}

/** Data folders to try things on, in one that is removed at the end. */
export class LogFolders {
  readonly base: string;
  #copies = 0;

  private constructor(base: string) {
    this.base = base;
  }

  static async make(): Promise<LogFolders> {
    return new LogFolders(await mkdtemp(path.join(tmpdir(), 'cli-log-')));
  }

  remove(): Promise<void> {
    return rm(this.base, { recursive: true });
  }

  /** A copy of a folder with one topic: the data, and its first partition. */
  async copy(of: string): Promise<{ data: string; partition: string }> {
    const data = path.join(this.base, `copy-${++this.#copies}`);
    await cp(of, data, { recursive: true });
    const [topic] = await readdir(path.join(data, 'topics'));
    return { data, partition: path.join(data, 'topics', topic!, '0') };
  }
}

/** The log files of a partition's folder, oldest first. */
export async function logsIn(partition: string): Promise<string[]> {
  const names = (await readdir(partition)).filter((name) => name.endsWith('.log'));
  return names.sort().map((name) => path.join(partition, name));
}

export async function flip(file: string, position: number): Promise<void> {
  const content = await readFile(file);
  content[position]! ^= 0x40;
  await writeFile(file, content);
}

/** What `log verify` says of a folder, its findings and those of its logs together. */
export async function verify(data: string): Promise<Verified> {
  const { code, err, out } = await runCli(['log', 'verify', data, '--json']);
  const { logs, findings } = JSON.parse(out) as Verified;
  return { code, err, logs, findings: [...findings, ...logs.flatMap((log) => log.findings)] };
}
