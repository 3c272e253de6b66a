import { kafkaErrors } from '../../src/base/kafka-errors.ts';

const byCode = new Map<number, { name: string; retriable: boolean }>(
  Object.entries(kafkaErrors).map(([name, { code, retriable }]) => [code, { name, retriable }]),
);

/** An error code's name. */
export function errorName(code: number): string {
  return byCode.get(code)?.name ?? String(code);
}

/** Whether the same request may succeed later. */
export function isRetriable(code: number): boolean {
  return byCode.get(code)?.retriable ?? false;
}
