/*
 * What a decoded value must be like, as small checks that are put together: for what lies on a disk, whose checksum says that it
 * is what was written, and not that what was written makes sense.
 */

export type Check = (value: unknown) => boolean;

/** A check for each field of an object, also of those that may be missing. */
export type Fields<T> = { readonly [Name in keyof T]-?: Check };

export const isText: Check = (value) => typeof value === 'string';
export const isBytes: Check = (value) => value instanceof Uint8Array;
export const isInt32: Check = (value) => typeof value === 'number' && (value | 0) === value;
export const isWhole: Check = (value) => Number.isSafeInteger(value);
export const isCount: Check = (value) => Number.isSafeInteger(value) && (value as number) >= 0;

/** Milliseconds, of which some clocks tell fractions. Sums of a few stay exact enough. */
export const isTime: Check = (value) => typeof value === 'number' && Math.abs(value) <= 2 ** 54;

/** A 16-byte id in Kafka's text form. It becomes the name of a folder. */
export const isUuid: Check = (value) => typeof value === 'string' && /^[\w-]{21}[AQgw]$/.test(value);

export const isIn =
  (lowest: number, highest: number): Check =>
  (value) =>
    Number.isSafeInteger(value) && (value as number) >= lowest && (value as number) <= highest;

export const isOneOf =
  (...values: readonly unknown[]): Check =>
  (value) =>
    values.includes(value);

export const orNull =
  (check: Check): Check =>
  (value) =>
    value === null || check(value);

export const orMissing =
  (check: Check): Check =>
  (value) =>
    value === undefined || check(value);

export const listOf =
  (check: Check): Check =>
  (value) =>
    Array.isArray(value) && value.every(check);

/** An array of as many elements as there are checks. */
export const tupleOf =
  (...checks: readonly Check[]): Check =>
  (value) =>
    Array.isArray(value) && value.length === checks.length && checks.every((check, i) => check(value[i]));

export const dictionaryOf =
  (check: Check): Check =>
  (value) =>
    isObject(value) && Object.values(value).every(check);

export function objectOf<T>(fields: Fields<T>): Check {
  return (value) => isObject(value) && misfit(value, fields) === null;
}

/** The first field of an object that is not as it should be; null when all are. Others than these may be there. */
export function misfit<T>(value: object, fields: Fields<T>): string | null {
  for (const name in fields) if (!fields[name]((value as Record<string, unknown>)[name])) return name;
  return null;
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}
