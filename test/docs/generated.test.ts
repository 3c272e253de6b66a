import { expect, test } from 'vitest';
import { generatedPages, generatePage, readPage } from '../../tools/generate-docs.ts';
import { pages } from './page.ts';

for (const page of generatedPages) {
  test(`the tables of ${page} are those of the code (else: node tools/generate-docs.ts)`, async () => {
    expect(readPage(page)).toBe(await generatePage(page));
  });
}

test('no other page asks for a table', () => {
  expect(pages.filter((page) => readPage(page).includes('<!-- generated:'))).toEqual([...generatedPages].sort());
});
