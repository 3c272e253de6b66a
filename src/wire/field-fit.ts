import { Fault } from '../base/faults.ts';
import type { ScalarName } from './schema.ts';

/** Strings of either form, as FrameWriter has it. */
const STRING_BYTES_MAX = 0x7fff;

/** What a value of each type must be for FrameWriter to take it. */
const fits: Readonly<Record<ScalarName, (value: unknown) => boolean>> = {
  bool: (value) => typeof value === 'boolean',
  int8: (value) => ((value as number) << 24) >> 24 === value,
  int16: (value) => ((value as number) << 16) >> 16 === value,
  uint16: (value) => ((value as number) & 0xffff) === value,
  int32: (value) => ((value as number) | 0) === value,
  int64: Number.isSafeInteger,
  float64: (value) => typeof value === 'number',
  uuid: (value) => typeof value === 'string' && value.length === 22,
  string: (value) => typeof value === 'string' && Buffer.byteLength(value) <= STRING_BYTES_MAX,
  bytes: Buffer.isBuffer,
  records: (value) => Array.isArray(value) && value.every(Buffer.isBuffer),
};

/** Of a value that is refused. */
const SHOWN_MAX = 100;

type Fit = (value: unknown, field: string) => unknown;

/**
 * For each type a function that returns a value of it. They hold a message to its types where no wire does.
 * They throw Fault invalidArgument.
 */
export const fit: Readonly<Record<ScalarName, Fit>> = Object.freeze(
  Object.fromEntries(Object.entries(fits).map(([type, isFit]) => [type, fitOf(type, isFit)])) as Record<
    ScalarName,
    Fit
  >,
);

function fitOf(type: string, isFit: (value: unknown) => boolean): Fit {
  return (value, field) => {
    if (isFit(value)) return value;
    throw new Fault('invalidArgument', { detail: `${field} is no ${type}: ${String(value).slice(0, SHOWN_MAX)}` });
  };
}
