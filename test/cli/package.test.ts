import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { tempFolder } from '../disk/temp-folder.ts';

const root = path.join(import.meta.dirname, '../..');

/** What a package of this checkout would hold. */
function packed(): string[] {
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
  const { stdout, stderr } = spawnSync(npm, ['pack', '--dry-run', '--json', '--ignore-scripts'], {
    cwd: root,
    encoding: 'utf8',
    shell: process.platform === 'win32',
  });
  const found = JSON.parse(stdout || `{"error":${JSON.stringify(stderr)}}`);
  const [one] = Array.isArray(found) ? found : Object.values(found);
  return (one as { files: { path: string }[] }).files.map((file) => file.path);
}

test('the package holds what is needed to run it, and runs with nothing else but its dependencies', () => {
  const files = packed();
  for (const needed of ['bin/millrace.js', 'dist/index.js', 'dist/index.d.ts', 'dist/cli.js', 'dist/messages.txt']) {
    expect(files).toContain(needed);
  }
  expect(files.filter((file) => /^(src|test|bench|tools)\//.test(file))).toEqual([]);

  const folder = tempFolder();
  for (const file of [...files, 'package.json']) {
    mkdirSync(path.join(folder, path.dirname(file)), { recursive: true });
    cpSync(path.join(root, file), path.join(folder, file));
  }
  // Only what is installed with the package.
  const { dependencies, version } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
  const installed = path.join(root, 'node_modules');
  for (const name of Object.keys(dependencies)) {
    mkdirSync(path.join(folder, 'node_modules', path.dirname(name)), { recursive: true });
    symlinkSync(path.join(installed, name), path.join(folder, 'node_modules', name), 'junction');
  }
  const run = (...args: string[]) => spawnSync(process.execPath, args, { cwd: folder, encoding: 'utf8' });
  expect(run('bin/millrace.js', '--version').stdout).toBe(`${version}\n`);

  const program = `
    import { Millrace, text } from 'millrace';
    const millrace = await Millrace.open();
    await millrace.producer({ value: text }).send({ topic: 't', value: 'packed' });
    for await (const { value } of millrace.reader({ topic: 't', value: text, to: 'end' })) console.log(value);
    await millrace.close();`;
  writeFileSync(path.join(folder, 'program.mjs'), program);
  const { stdout, stderr } = run('program.mjs');
  expect([stdout, stderr]).toEqual(['packed\n', '']);
  expect(existsSync(path.join(folder, 'data'))).toBe(false);
});
