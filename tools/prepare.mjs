// Makes a checkout ready to run: `node tools/prepare.mjs` installs the dependencies when they are missing or stale, and with
// `--build` bundles into dist/ when the sources have changed. Plain JavaScript, since it runs before anything is installed,
// on whatever Node is there. It installs a Node too, and a shell keeps to the `node` it found first: so package.json's scripts run
// theirs in another shell than this.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const at = (...names) => path.join(root, ...names);

function run(command, args) {
  const { status, error } = spawnSync(command, args, {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    shell: process.platform === 'win32',
  });
  if (error !== undefined || status !== 0) {
    console.error(`millrace: ${command} ${args.join(' ')} failed${error ? `: ${error.message}` : ''}`);
    process.exit(1);
  }
}

function digest(files) {
  const hash = createHash('sha256');
  for (const file of files) hash.update(`${file}\0`).update(readFileSync(at(file)));
  return hash.digest('hex');
}

function sources(folder) {
  return readdirSync(at(folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(path.relative(root, entry.parentPath), entry.name))
    .sort();
}

/** What is to be done, in order, unless the stamp beside its result says that it was done for these same files. */
const steps = [
  {
    doing: 'installing dependencies (up to a minute)',
    stamp: at('node_modules', '.prepared'),
    files: ['package.json', 'package-lock.json'],
    work: () => run('npm', ['install', '--no-save', '--no-audit', '--no-fund', '--loglevel=error']),
  },
];
if (process.argv.includes('--build')) {
  steps.push({
    doing: 'building (some seconds)',
    stamp: at('dist', '.built'),
    files: ['tsconfig.json', 'tsconfig.build.json', 'package-lock.json', 'tools/bundle.mjs', ...sources('src')],
    work: build,
  });
}

function build() {
  // Beside, and put in place at once: what runs from dist/ meanwhile must not miss it.
  const fresh = at('node_modules', '.dist');
  rmSync(fresh, { recursive: true, force: true });
  run(at('node_modules', '.bin', 'tsc'), ['-p', 'tsconfig.build.json', '--outDir', fresh]);
  run(process.execPath, [at('tools', 'bundle.mjs'), fresh]);
  rmSync(at('dist'), { recursive: true, force: true });
  renameSync(fresh, at('dist'));
}

const due = steps
  .map((step) => ({ ...step, wanted: digest(step.files) }))
  .filter(({ stamp, wanted }) => !existsSync(stamp) || readFileSync(stamp, 'utf8') !== wanted);
if (due.length > 0) {
  // The script that this comes before: both take a while, and say nothing.
  const script = process.env['npm_lifecycle_event']?.replace(/^pre/, '');
  const then = script === undefined ? [] : [`npm ${/^(start|test|pack)$/.test(script) ? '' : 'run '}${script} goes on`];
  // Not on standard output: that is the script's.
  console.error(`millrace: ${[...due.map(({ doing }) => doing), ...then].join(', then ')}`);
}
for (const { stamp, wanted, work } of due) {
  work();
  writeFileSync(stamp, wanted);
}
