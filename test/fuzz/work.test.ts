import { expect, test } from 'vitest';
import { allocatedBytes } from './allocation-meter.ts';
import { growingInputs } from './growing-inputs.ts';
import { workOf } from './work-meter.ts';

/** Enough that what is quadratic goes a hundred times past the bounds. */
const ELEMENTS = 16_000;
/** Blocks of code that may run for each byte of an input, and of what comes out of it. */
const WORK_PER_BYTE = 40;
const ALLOCATED_PER_BYTE = 4;

test.each(growingInputs)('$name: work and memory grow as the input does', ({ name, make, read }) => {
  const bytes = make(ELEMENTS);
  // What a compression lets out is work too.
  const size = Math.max(bytes.length, name.endsWith('of zeros') ? ELEMENTS * 100 : 0);
  const work = workOf(() => read(bytes));
  expect(work).toBeGreaterThan(0);
  expect(work).toBeLessThan(size * WORK_PER_BYTE);
  expect(allocatedBytes(() => read(bytes))).toBeLessThan(size * ALLOCATED_PER_BYTE + 1024);
});
