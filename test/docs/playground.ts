import { spawn } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { waitForBroker } from '../../tools/api-versions-probe.ts';
import { freePort } from '../../tools/broker-process.ts';
import { root } from './page.ts';

const COMMAND_MS_MAX = 40_000;
const SERVE = /^(?:\w+=\S+ )*npx millrace serve\b/m;

/** What the package's own tests and CI run; here they stand for nothing, or for what they start. */
const replaced: Readonly<Record<string, string>> = {
  'npm install millrace': '',
  'npm test': '',
  'npm start': startScript(),
};

interface Ended {
  code: number | null;
  output: string;
}

/**
 * A folder as a reader has it who installed the package: `npx millrace` and `import … from 'millrace'` are this project's.
 * The pages' port 9092 stands for a free one. One server at a time runs beside what else is run, as in a reader's first
 * terminal.
 */
export class Playground {
  readonly folder = mkdtempSync(path.join(tmpdir(), 'millrace-docs-'));
  readonly #port: number;
  #stopServer: (() => Promise<Ended>) | null = null;

  private constructor(port: number) {
    this.#port = port;
    const modules = path.join(this.folder, 'node_modules');
    mkdirSync(modules);
    for (const name of readdirSync(path.join(root, 'node_modules')).filter((entry) => !entry.startsWith('.'))) {
      symlinkSync(path.join(root, 'node_modules', name), path.join(modules, name));
    }
    symlinkSync(root, path.join(modules, 'millrace'));
    // As `npm init` makes it: what a page calls a module must be one by its own name.
    writeFileSync(path.join(this.folder, 'package.json'), '{ "private": true, "type": "commonjs" }\n');
    const bin = path.join(this.folder, 'bin');
    mkdirSync(bin);
    // The real one takes half a second to find the same file.
    writeFileSync(path.join(bin, 'npx'), '#!/bin/sh\nexec "$@"\n');
    chmodSync(path.join(bin, 'npx'), 0o755);
    symlinkSync(path.join(root, 'bin', 'millrace.js'), path.join(bin, 'millrace'));
  }

  static async open(): Promise<Playground> {
    return new Playground(await freePort());
  }

  /** With the port of this playground. */
  writeFile(name: string, text: string): void {
    writeFileSync(path.join(this.folder, name), this.#local(text));
  }

  /** Runs lines of a shell; those from one that starts a server on go on while other blocks run. @throws Error */
  async runShell(text: string): Promise<string> {
    const script = this.#local(replacedIn(text));
    const at = script.search(SERVE);
    if (at < 0) return this.#succeed('bash', ['-euo', 'pipefail', '-c', script]);
    const printed = await this.#succeed('bash', ['-euo', 'pipefail', '-c', script.slice(0, at)]);
    await this.#serve(script.slice(at).replace('npx millrace', 'exec npx millrace'));
    return printed;
  }

  /** Runs a module. @throws Error */
  async runModule(name: string, text: string): Promise<string> {
    this.writeFile(name, text);
    return this.#succeed(process.execPath, [name]);
  }

  /** Stops the server, which must end well. */
  async close(): Promise<void> {
    try {
      const ended = await this.#stopServer?.();
      if (ended !== undefined && ended.code !== 0) throw new Error(`serve ended with ${ended.code}:\n${ended.output}`);
    } finally {
      rmSync(this.folder, { recursive: true, force: true });
    }
  }

  async #serve(script: string): Promise<void> {
    await this.#stopServer?.();
    const { child, ended } = this.#spawn('bash', ['-c', script]);
    let alive = true;
    void ended.then(() => {
      alive = false;
    });
    this.#stopServer = () => {
      child.kill('SIGTERM');
      return ended;
    };
    await waitForBroker(this.#port, () => alive).catch(async (cause) => {
      child.kill('SIGTERM');
      throw new Error(`the server did not start: ${(await ended).output}`, { cause });
    });
  }

  async #succeed(file: string, args: readonly string[]): Promise<string> {
    const { child, ended, errors } = this.#spawn(file, args);
    const timer = setTimeout(() => child.kill('SIGKILL'), COMMAND_MS_MAX);
    const { code, output } = await ended;
    clearTimeout(timer);
    if (code !== 0) throw new Error(`ended with ${code}:\n${args.at(-1)}\n${output}${errors()}`);
    return output;
  }

  #spawn(file: string, args: readonly string[]) {
    const own = Object.entries(process.env).filter(
      ([name]) => !/^(MILLRACE|VITEST|NODE_OPTIONS|FORCE_COLOR)/.test(name),
    );
    const searched = [path.join(this.folder, 'bin'), path.dirname(process.execPath), process.env['PATH']];
    const child = spawn(file, args, {
      cwd: this.folder,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...Object.fromEntries(own),
        PATH: searched.join(path.delimiter),
        MILLRACE_LISTEN: `127.0.0.1:${this.#port}`,
        MILLRACE_BROKER: `127.0.0.1:${this.#port}`,
      },
    });
    let output = '';
    let errors = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      errors += text;
    });
    const ended = new Promise<Ended>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code) => resolve({ code, output }));
    });
    return { child, ended, errors: () => errors };
  }

  #local(text: string): string {
    return text.replaceAll('9092', String(this.#port));
  }
}

function replacedIn(text: string): string {
  return text.replace(/^npm (\w+)( \w+)?/gm, (command) => {
    const other = replaced[command];
    if (other === undefined) throw new Error(`"${command}" is not among the commands that CI runs`);
    return other;
  });
}

/** What `npm start` runs once all is built. */
function startScript(): string {
  const { scripts } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as {
    scripts: Record<'start', string>;
  };
  return scripts.start.replace('node bin/millrace.js', 'npx millrace');
}
