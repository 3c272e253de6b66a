import { expect, test } from 'vitest';
import { limits } from '../../../src/base/limits.ts';
import { TopicPatterns } from '../../../src/broker/groups/consumer/topic-patterns.ts';

/*
 * Patterns of topic names. They find what comes and forget what goes, and what is kept of them has a bound.
 */

class Names {
  version = 0;
  readonly all = new Set<string>();

  *[Symbol.iterator](): Generator<{ name: string }> {
    for (const name of this.all) yield { name };
  }

  add(...names: string[]): void {
    for (const name of names) this.all.add(name);
    this.version++;
  }

  delete(name: string): void {
    this.all.delete(name);
    this.version++;
  }
}

async function patterns(): Promise<{ names: Names; patterns: TopicPatterns }> {
  const names = new Names();
  const patterns = new TopicPatterns(names);
  await patterns.load();
  return { names, patterns };
}

test('a pattern matches whole names, also of topics that come later, and none that is gone', async () => {
  const { names, patterns: all } = await patterns();
  names.add('a', 'ab', 'b');
  expect([...all.matching('a.*')]).toEqual(['a', 'ab']);
  names.add('ac', 'ba');
  names.delete('a');
  expect([...all.matching('a.*')]).toEqual(['ab', 'ac']);
  names.add('a');
  expect([...all.matching('a.*')].sort()).toEqual(['a', 'ab', 'ac']);
});

test('a pattern that was forgotten, since many others came, is found again', async () => {
  const { names, patterns: all } = await patterns();
  names.add('a', 'b');
  expect([...all.matching('a|b')]).toEqual(['a', 'b']);
  for (let i = 0; i <= limits.topicPatternsMax; i++) expect([...all.matching(`x${i}`)]).toEqual([]);
  expect([...all.matching('a|b')]).toEqual(['a', 'b']);
});

test('one that was stored and is not good any more matches nothing', async () => {
  const { names, patterns: all } = await patterns();
  names.add('a');
  expect([...all.matching('(')]).toEqual([]);
});

test("RE2's syntax counts: classes by name, flags, no looking around", async () => {
  const { names, patterns: all } = await patterns();
  names.add('orders-1', 'Orders-2', 'orders.eu');
  expect([...all.matching('(?i)orders-[[:digit:]]')]).toEqual(['orders-1', 'Orders-2']);
  await expect(all.check('orders(?!-1).*')).rejects.toMatchObject({ fault: 'invalidRegularExpression' });
});
