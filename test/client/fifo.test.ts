import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Fifo } from '../../src/client/fifo.ts';

test('a Fifo gives out what an array would', () => {
  fc.assert(
    fc.property(fc.array(fc.option(fc.nat())), (steps) => {
      const fifo = new Fifo<number>();
      const model: number[] = [];
      for (const step of steps) {
        if (step === null) expect(fifo.shift()).toBe(model.shift());
        else {
          fifo.push(step);
          model.push(step);
        }
        expect(fifo.length).toBe(model.length);
        expect(fifo.peek()).toBe(model[0]);
      }
    }),
  );
});

test('a Fifo that is emptied again and again keeps its order past the point where it makes room', () => {
  const fifo = new Fifo<number>();
  for (let item = 0; item < 10_000; item++) fifo.push(item);
  for (let item = 0; item < 10_000; item++) expect(fifo.shift()).toBe(item);
  expect(fifo.shift()).toBeUndefined();
});
