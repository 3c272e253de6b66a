import { spawn } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { PlantedBug } from './planted-bug.ts';

const ROOT = path.join(import.meta.dirname, '../..');

/** What tests and simulations need of the project. */
const COPIED = ['src', 'test', 'tools', 'bench', 'bin', 'package.json', 'package-lock.json', 'tsconfig.json'];

/** Its own, since the project's builds for the tests of the command line, at each change of the source. */
const VITEST_CONFIG = `export default { test: { testTimeout: 60_000, hookTimeout: 60_000, maxWorkers: 1 } };\n`;

export interface Ended {
  /** Null when it was ended because its time was up. */
  readonly exitCode: number | null;
  readonly output: string;
}

/** How often the source has the text that the bug replaces: once, or the list is not current. */
export function placesOf({ file, find }: PlantedBug): number {
  return readFileSync(path.join(ROOT, file), 'utf8').split(find).length - 1;
}

/** A copy of the project's tree in a folder for temporary files, in which one bug at a time is planted. */
export class CopiedTree {
  readonly #root = mkdtempSync(path.join(tmpdir(), 'planted-bugs-'));

  constructor() {
    for (const name of COPIED) cpSync(path.join(ROOT, name), path.join(this.#root, name), { recursive: true });
    writeFileSync(path.join(this.#root, 'vitest.config.mjs'), VITEST_CONFIG);
    // Not the folder itself: what tools keep in it, as their caches, stays in the copy.
    const modules = path.join(ROOT, 'node_modules');
    mkdirSync(path.join(this.#root, 'node_modules'));
    for (const name of readdirSync(modules).filter((each) => !each.startsWith('.v'))) {
      symlinkSync(path.join(modules, name), path.join(this.#root, 'node_modules', name));
    }
  }

  /** Runs `work` with bugs in the copy, of which no two are in one file. */
  async with<T>(bugs: readonly PlantedBug[], work: () => Promise<T>): Promise<T> {
    const sources = bugs.map((bug) => ({ bug, file: path.join(this.#root, bug.file) }));
    const sound = sources.map(({ file }) => readFileSync(file, 'utf8'));
    for (const [i, { bug, file }] of sources.entries()) {
      writeFileSync(
        file,
        sound[i]!.replace(bug.find, () => bug.replace),
      );
    }
    try {
      return await work();
    } finally {
      for (const [i, { file }] of sources.entries()) writeFileSync(file, sound[i]!);
    }
  }

  read(name: string): string {
    return readFileSync(path.join(this.#root, name), 'utf8');
  }

  remove(): void {
    rmSync(this.#root, { recursive: true, force: true });
  }

  /** Runs a program in the copy, with all that it starts; it is ended when its time is up. */
  run(command: string, args: readonly string[], timeLimitMs: number, env: NodeJS.ProcessEnv = {}): Promise<Ended> {
    const bin = path.join(ROOT, 'node_modules/.bin');
    const child = spawn(command, args, {
      cwd: this.#root,
      env: { ...process.env, ...env, PATH: `${bin}:${process.env['PATH']}`, NO_COLOR: '1' },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk));
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      // The whole group: a test may have started brokers of its own.
      process.kill(-child.pid!, 'SIGKILL');
    }, timeLimitMs);
    return new Promise((resolve, reject) => {
      child.on('error', reject);
      child.on('close', (code) => {
        clearTimeout(timer);
        resolve({ exitCode: isLate ? null : code, output });
      });
    });
  }
}
