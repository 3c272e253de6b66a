import type { RecordHeader } from '../../record/records.ts';

/** Where a record was first read by the group: retries by topic and dead letters keep it. */
export interface Origin {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  /** Milliseconds since 1970; -1: not known. */
  readonly timestampMs: number;
}

/** Why and how often a record failed. */
export interface Failure {
  readonly group: string;
  readonly origin: Origin;
  readonly attempts: number;
  readonly error: unknown;
  readonly failedAtMs: number;
  /** When the next attempt is due; null: there is none, this is a dead letter. */
  readonly retryAtMs: number | null;
}

const names = {
  group: 'millrace-origin-group',
  topic: 'millrace-origin-topic',
  partition: 'millrace-origin-partition',
  offset: 'millrace-origin-offset',
  timestampMs: 'millrace-origin-timestamp-ms',
  attempts: 'millrace-attempts',
  errorClass: 'millrace-error-class',
  errorMessage: 'millrace-error-message',
  errorStack: 'millrace-error-stack',
  failedAtMs: 'millrace-failed-at-ms',
  retryAtMs: 'millrace-retry-at-ms',
} as const;
const ownNames: ReadonlySet<string> = new Set(Object.values(names));

const MESSAGE_CHARACTERS_MAX = 1000;
const STACK_CHARACTERS_MAX = 4000;

/** How much of the error is told: less of it when the broker finds the record too large. */
export type Telling = 'whole' | 'message' | 'class';

/** The record's own headers, as they are, and the failure's; those of an earlier failure are replaced. */
export function withFailure(
  headers: readonly RecordHeader[],
  failure: Failure,
  telling: Telling = 'whole',
): RecordHeader[] {
  const { origin, error } = failure;
  const cause = describeError(error);
  const told: (readonly [string, string | number | null])[] = [
    [names.errorClass, cause.name],
    [names.errorMessage, telling === 'class' ? null : cause.message],
    [names.errorStack, telling === 'whole' ? cause.stack : null],
    [names.attempts, failure.attempts],
    [names.group, failure.group],
    [names.topic, origin.topic],
    [names.partition, origin.partition],
    [names.offset, origin.offset],
    [names.timestampMs, origin.timestampMs],
    [names.failedAtMs, Math.floor(failure.failedAtMs)],
    [names.retryAtMs, failure.retryAtMs === null ? null : Math.ceil(failure.retryAtMs)],
  ];
  const added = told.flatMap(([key, value]) => (value === null ? [] : [{ key, value: Buffer.from(String(value)) }]));
  return [...withoutFailure(headers), ...added];
}

/** The headers that the record had before it failed. */
export function withoutFailure(headers: readonly RecordHeader[]): RecordHeader[] {
  return headers.filter(({ key }) => !ownNames.has(key));
}

/** What a record of a retry topic says of itself; null when it is not one that `group` stored there. */
export function readRetry(
  headers: readonly RecordHeader[],
  group: string,
): { origin: Origin; attempts: number; retryAtMs: number } | null {
  const text = (name: string): string | null => headers.findLast(({ key }) => key === name)?.value?.toString() ?? null;
  const number = (name: string): number => Number.parseInt(text(name) ?? '', 10);
  const topic = text(names.topic);
  const origin = {
    partition: number(names.partition),
    offset: number(names.offset),
    timestampMs: number(names.timestampMs),
  };
  const found = { attempts: number(names.attempts), retryAtMs: number(names.retryAtMs) };
  const areWhole = [...Object.values(origin), ...Object.values(found)].every(Number.isSafeInteger);
  if (topic === null || text(names.group) !== group || !areWhole) return null;
  return { origin: { topic, ...origin }, ...found };
}

/** Of an error that only wraps another one to say what is to be done, the other one. */
function describeError(error: unknown): { name: string; message: string; stack: string | null } {
  if (!(error instanceof Error))
    return { name: typeof error, message: cut(String(error), MESSAGE_CHARACTERS_MAX), stack: null };
  const isWrapper = error.name === 'DoNotRetry' || error.name === 'RetryAfter';
  if (isWrapper && error.cause instanceof Error) return describeError(error.cause);
  return {
    name: cut(error.name, MESSAGE_CHARACTERS_MAX),
    message: cut(error.message, MESSAGE_CHARACTERS_MAX),
    stack: error.stack === undefined ? null : cut(error.stack, STACK_CHARACTERS_MAX),
  };
}

function cut(text: string, charactersMax: number): string {
  return text.length <= charactersMax ? text : `${text.slice(0, charactersMax - 1)}…`;
}
