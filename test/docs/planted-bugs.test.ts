import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { placesOf } from '../../tools/planted-bugs/copied-tree.ts';
import { allBugs } from '../../tools/planted-bugs/list.ts';
import { describeCatch } from '../../tools/planted-bugs/planted-bug.ts';
import { root } from './page.ts';

/* That each is caught takes minutes: npm run planted-bugs. */

test('there are forty planted bugs at least, each with a name of its own', () => {
  expect(allBugs.length).toBeGreaterThanOrEqual(40);
  expect(new Set(allBugs.map(({ name }) => name)).size).toBe(allBugs.length);
});

test('the source has the place of each planted bug, once: a change of the source takes its bugs along', () => {
  const lost = allBugs.filter((bug) => placesOf(bug) !== 1);
  expect(lost.map(({ name, file, find }) => ({ name, file, find }))).toEqual([]);
});

test('what is to catch a planted bug is there', () => {
  const catches = allBugs.flatMap(({ caughtBy }) => caughtBy).filter((by) => by.kind === 'test');
  const missing = catches.filter(({ file, name }) => {
    const at = path.join(root, file);
    return !existsSync(at) || !titlesIn(readFileSync(at, 'utf8')).some((title) => title.test(name));
  });
  expect(missing.map(describeCatch)).toEqual([]);
});

/** The titles of a file's tests, which end a test's full name. */
function titlesIn(source: string): RegExp[] {
  const titles = source.matchAll(/\b(?:test|it)(?:\.each\([^;]*?\))?\(\s*(['"`])(.*?)\1,/gs);
  return Array.from(titles, ([, , title]) => {
    const literal = title!.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&');
    return new RegExp(`${literal.replaceAll(/%[a-z]/g, '.*')}$`);
  });
}
