import { Fault } from '../base/faults.ts';

/** @throws Fault invalidArgument unless it is an offset that a record can have. */
export function checkedOffset(offset: number): number {
  if (Number.isSafeInteger(offset) && offset >= 0) return offset;
  throw new Fault('invalidArgument', { detail: `an offset is a whole number from 0 up, not ${offset}` });
}

/** What a request carries in 32 or 16 bits; whether the value makes sense is the broker's to say. @throws Fault invalidArgument. */
export function checkedInt(what: string, value: number, bits: 16 | 32): number {
  const max = 2 ** (bits - 1) - 1;
  if (Number.isInteger(value) && Math.abs(value) <= max) return value;
  throw new Fault('invalidArgument', { detail: `${what} must be a whole number of at most ${max}, not ${value}` });
}
