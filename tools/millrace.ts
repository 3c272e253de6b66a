import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { BrokerProcess, type Program } from './broker-process.ts';

const root = join(import.meta.dirname, '..');
export const builtMain = join(root, 'dist/cli.js');

/** A command of Millrace's command line: as built when it is, else from source. */
export function millraceProgram(...args: string[]): Program {
  return { file: process.execPath, args: [existsSync(builtMain) ? builtMain : join(root, 'src/cli/main.ts'), ...args] };
}

/** Starts a broker with its files in `dir`/data; what `settings` leaves open is as Millrace's own defaults. */
export function startMillrace(
  dir: string,
  port: number,
  settings: Readonly<Record<string, string>> = {},
): Promise<BrokerProcess> {
  mkdirSync(dir, { recursive: true });
  const set = Object.entries(settings).flatMap(([name, value]) => ['--set', `${name}=${value}`]);
  const program = millraceProgram('serve', '--data', join(dir, 'data'), '--listen', `127.0.0.1:${port}`, ...set);
  return BrokerProcess.start(program, port, join(dir, 'out.log'));
}
