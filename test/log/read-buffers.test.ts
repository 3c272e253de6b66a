import { expect, test } from 'vitest';
import { READ_BUFFER_BYTES, ReadBuffers } from '../../src/log/read-buffers.ts';

test('what is given back is taken again, the youngest first; what is too much is freed at once', () => {
  const buffers = new ReadBuffers();
  const taken = Array.from({ length: 20 }, () => buffers.take());
  expect(new Set(taken.map(({ buffer }) => buffer)).size).toBe(20);
  for (const buffer of taken) buffers.give(buffer);
  const kept = taken.filter(({ length }) => length === READ_BUFFER_BYTES);
  expect(kept.length).toBe(8);
  for (const buffer of kept.toReversed()) expect(buffers.take()).toBe(buffer);
  expect(taken).not.toContain(buffers.take());
});

test('what is given back twice is a bug, whatever became of it: two readers would get it', () => {
  const buffers = new ReadBuffers();
  const taken = Array.from({ length: 9 }, () => buffers.take());
  for (const buffer of taken) buffers.give(buffer);
  for (const buffer of taken) expect(() => buffers.give(buffer)).toThrow(/given back twice/);
});
