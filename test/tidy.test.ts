import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';

const root = path.join(import.meta.dirname, '..');

const FILE_LINES_MAX = 500;

/** Which folder of src may import which others. Everything may import base; the reasons are in docs/architecture.md. */
const mayImport: Record<string, readonly string[]> = {
  base: [],
  record: ['base'],
  wire: ['base'],
  disk: ['base'],
  log: ['base', 'record', 'disk'],
  ledger: ['base', 'record', 'log'],
  broker: ['base', 'record', 'log', 'ledger'],
  server: ['base', 'wire', 'record', 'broker'],
  client: ['base', 'wire', 'record'],
  cli: ['(root)', 'client', 'base', 'record'],
  '(root)': ['(root)', 'base', 'record', 'wire', 'disk', 'log', 'ledger', 'broker', 'server', 'client'],
};

/** What only some places may touch, so that a simulation can own time, chance, disk and network. */
const handedIn: readonly { what: RegExp; name: string; except: RegExp }[] = [
  {
    what: /\bDate\.now\(|\bnew Date\(\)|\bperformance\.now\(/,
    name: 'the time',
    except: /^src\/(base\/clock\.ts|cli\/)/,
  },
  {
    what: /\bMath\.random\(|\brandomBytes\(|\brandomUUID\(/,
    name: 'randomness',
    except: /^src\/(base\/random\.ts|cli\/)/,
  },
  {
    what: /\bset(Timeout|Interval|Immediate)\(/,
    name: 'timers',
    except: /^src\/(base\/clock\.ts|client\/millrace\.ts|record\/(compression|gather)\.ts|cli\/)/,
  },
  {
    what: /from 'node:(fs|fs\/promises)'/,
    name: 'the file system',
    except: /^src\/(disk\/real-disk\.ts|wire\/schema\.ts|client\/version\.ts|cli\/|[\w-]+\.ts)/,
  },
  { what: /from 'node:(net|tls|http)'/, name: 'sockets', except: /^src\/(server|client|cli)\// },
];

const sources = filesOf('src').filter((file) => file.endsWith('.ts'));
const written = [...sources, ...filesOf('test'), ...filesOf('bench'), ...filesOf('tools')].filter(
  (file) => /\.(ts|mjs|java|go|py)$/.test(file) && !file.includes('.generated.') && !file.includes('/fixtures/'),
);

function filesOf(folder: string): string[] {
  return readdirSync(path.join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.parentPath.includes('node_modules'))
    .map((entry) => path.relative(root, path.join(entry.parentPath, entry.name)));
}

function read(file: string): string {
  return readFileSync(path.join(root, file), 'utf8');
}

function folderOf(file: string): string {
  const parts = file.split(path.sep);
  return parts.length === 2 ? '(root)' : parts[1]!;
}

/** The files that a file imports, of ours. */
function importsOf(file: string): string[] {
  const found = read(file).matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+)'/g);
  return Array.from(found, ([, target]) => path.join(path.dirname(file), target!));
}

test('a folder imports only what lies below it', () => {
  const offences = sources.flatMap((file) => {
    const from = folderOf(file);
    const allowed = [from, ...(mayImport[from] ?? [])];
    return importsOf(file)
      .filter((target) => !allowed.includes(folderOf(target)))
      .map((target) => `${file} imports ${target}; ${from} may import ${allowed.join(', ')}`);
  });
  expect(offences).toEqual([]);
});

test('every folder of src has its rule', () => {
  expect([...new Set(sources.map(folderOf))].sort()).toEqual(Object.keys(mayImport).sort());
});

test('time, chance, disk and network are handed in', () => {
  const offences = sources.flatMap((file) =>
    handedIn
      .filter(({ what, except }) => !except.test(file) && what.test(read(file)))
      .map(({ name }) => `${file} takes ${name} for itself; take it as a parameter (see base/clock.ts, disk/disk.ts)`),
  );
  expect(offences).toEqual([]);
});

test(`no file is longer than ${FILE_LINES_MAX} lines`, () => {
  const long = written.filter((file) => read(file).split('\n').length > FILE_LINES_MAX);
  expect(long).toEqual([]);
});

test('nothing is left for later', () => {
  const marks = new RegExp(`\\b(${['TO', 'FIX', 'XX', 'HA'].join('|')})(DO|ME|X|CK)\\b`);
  const offences = written.filter((file) => marks.test(read(file)));
  expect(offences).toEqual([]);
});

test('no source file is unused', () => {
  const entries = ['src/index.ts', 'src/cli/main.ts'];
  const reached = new Set<string>();
  const visit = (file: string): void => {
    if (reached.has(file)) return;
    reached.add(file);
    importsOf(file).forEach(visit);
  };
  entries.forEach(visit);
  expect(sources.filter((file) => !reached.has(file))).toEqual([]);
});

test('no test is switched off', () => {
  const offences = filesOf('test').filter((file) => /\b(it|test|describe)\.(only|todo)\(/.test(read(file)));
  expect(offences.filter((file) => file !== 'test/tidy.test.ts')).toEqual([]);
});

test('no script runs node in the shell that installs it: shells remember where they found the older one', () => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
  const offences = Object.entries(scripts).filter(([, script]) => /prepare\.mjs.*&& *node /.test(script));
  expect(offences).toEqual([]);
});
