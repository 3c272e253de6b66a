import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { type Block, blocksOf, pages, prints, readPage, root } from './page.ts';
import { Playground } from './playground.ts';

const LANGUAGES = ['sh', 'ts', 'json', 'text'];

// The pages show the package as it is installed: its command and its types are the built ones.
beforeAll(() => {
  execFileSync(process.execPath, [path.join(root, 'tools/prepare.mjs'), '--build'], { stdio: 'inherit' });
}, 180_000);

describe.concurrent('what a page shows does what the page says', () => {
  for (const page of pages) {
    const blocks = blocksOf(page);
    if (!blocks.some(({ language }) => language === 'sh' || language === 'ts')) continue;
    test(page, { timeout: 120_000 }, async () => {
      const playground = await Playground.open();
      try {
        for (const block of blocks) await run(block, playground);
      } finally {
        await playground.close();
      }
    });
  }
});

async function run(block: Block, playground: Playground): Promise<void> {
  const { language, page, line, text, output } = block;
  const place = `${page}:${line}`;
  if (language === 'json' && block.fileName !== null) playground.writeFile(block.fileName, text);
  if (language !== 'sh' && language !== 'ts') return;
  if (/^kcat /m.test(text) && !hasKcat()) return;
  const ran = language === 'sh' ? playground.runShell(text) : playground.runModule(`line-${line}.mts`, text);
  const printed = await ran.catch((cause: Error) => {
    throw new Error(`${place} ${cause.message}`, { cause });
  });
  if (output !== null && !prints(printed, output)) expect(printed, place).toBe(output);
}

/** Not a part of Node, so it may be missing; test/foreign tells of that. */
function hasKcat(): boolean {
  return spawnSync('kcat', ['-V'], { stdio: 'ignore' }).status === 0;
}

test('every block of TypeScript type-checks against the published types', async () => {
  const playground = await Playground.open();
  try {
    const blocks = pages.flatMap(blocksOf).filter(({ language }) => language === 'ts');
    for (const { page, line, text } of blocks) {
      playground.writeFile(`${page.replaceAll('/', '-')}-line-${line}.mts`, text);
    }
    const options = { extends: path.join(root, 'tsconfig.json'), include: ['*.mts'] };
    writeFileSync(path.join(playground.folder, 'tsconfig.json'), JSON.stringify(options));
    const { stdout, status } = spawnSync('tsc', ['-p', playground.folder], {
      cwd: playground.folder,
      encoding: 'utf8',
    });
    expect(stdout).toBe('');
    expect(status).toBe(0);
    expect(blocks.length).toBeGreaterThan(0);
  } finally {
    await playground.close();
  }
});

test('every block is of a kind that is tested, and the output that is shown belongs to something', () => {
  const strange = pages.flatMap(blocksOf).filter(({ language }) => !LANGUAGES.includes(language));
  expect(strange.map(({ page, line, language }) => `${page}:${line} ${language}`)).toEqual([]);
});

test('every link to a file or to a heading leads somewhere', () => {
  const dead = pages.flatMap((page) =>
    Array.from(readPage(page).matchAll(/\]\(([^)\s]+)\)/g), ([, link]) => link!)
      .filter((link) => !/^https?:/.test(link) && !leads(page, link))
      .map((link) => `${page}: ${link}`),
  );
  expect(dead).toEqual([]);
});

function leads(page: string, link: string): boolean {
  const [file = '', heading] = link.split('#');
  const target = file === '' ? page : path.join(path.dirname(page), file);
  if (!existsSync(path.join(root, target))) return false;
  return heading === undefined || headingsOf(target).includes(heading);
}

/** As they are linked to. */
function headingsOf(page: string): string[] {
  return Array.from(readPage(page).matchAll(/^#+ (.*)$/gm), ([, text]) =>
    text!
      .toLowerCase()
      .replaceAll(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  );
}
