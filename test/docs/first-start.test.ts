import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { root } from './page.ts';

/** A checkout in which preparing installs a Node that only says that it is the one, as the real one installs a newer Node. */
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'millrace-first-start-'));
  cpSync(path.join(root, 'package.json'), path.join(folder, 'package.json'));
  mkdirSync(path.join(folder, 'tools'));
  writeFileSync(
    path.join(folder, 'tools/prepare.mjs'),
    `import { mkdirSync, writeFileSync } from 'node:fs';
    mkdirSync('node_modules/.bin', { recursive: true });
    writeFileSync('node_modules/.bin/node', '#!/bin/sh\\necho the installed Node runs "$1"\\n', { mode: 0o755 });`,
  );
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

const { scripts } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as {
  scripts: Record<string, string>;
};
const running = Object.keys(scripts).filter((name) => /(^|&& )node (?!tools\/prepare)/.test(scripts[name]!));

test.skipIf(process.platform === 'win32').each(running)(
  'npm run %s runs the Node that a first start installs, whichever Node is there',
  (name) => {
    // Without those of this checkout, whose Node is the installed one already.
    const isOutside = (entry: string): boolean => !entry.includes(path.join('node_modules', '.bin'));
    const PATH = [...process.env['PATH']!.split(path.delimiter).filter(isOutside), path.dirname(process.execPath)].join(
      ':',
    );
    const { stdout, stderr } = spawnSync('npm', ['run', name], {
      cwd: folder,
      env: { ...process.env, PATH },
      encoding: 'utf8',
    });
    expect(stdout, stderr).toContain('the installed Node runs');
  },
);

test.skipIf(process.platform === 'win32')(
  'preparing says in a line what it does and what comes, and nothing where there is nothing to do',
  () => {
    const prepare = path.join(folder, 'tools/prepare.mjs');
    cpSync(path.join(root, 'tools/prepare.mjs'), prepare);
    cpSync(path.join(root, 'package-lock.json'), path.join(folder, 'package-lock.json'));
    mkdirSync(path.join(folder, 'bin'));
    writeFileSync(path.join(folder, 'bin/npm'), '#!/bin/sh\nmkdir -p node_modules\n', { mode: 0o755 });
    const env = {
      ...process.env,
      PATH: `${path.join(folder, 'bin')}:${process.env['PATH']}`,
      npm_lifecycle_event: 'prestart',
    };
    const said = (): string => spawnSync(process.execPath, [prepare], { env, encoding: 'utf8' }).stderr;
    expect(said()).toBe('millrace: installing dependencies (up to a minute), then npm start goes on\n');
    expect(said()).toBe('');
  },
);
