import type { RecordHeader } from '../../record/records.ts';

/** W3C Trace Context, level 1, as a record's headers `traceparent` and `tracestate` carry it. */
export interface TraceContext {
  /** 32 hexadecimal digits. */
  readonly traceId: string;
  /** The span in which the record was sent: 16 hexadecimal digits. */
  readonly parentId: string;
  readonly sampled: boolean;
  /** The headers as they came. */
  readonly traceparent: string;
  readonly tracestate: string | null;
}

const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

/** The trace that a record belongs to; null where it names none, or none that the specification allows. */
export function traceOf(headers: readonly RecordHeader[]): TraceContext | null {
  const text = (name: string): string | null => headers.findLast(({ key }) => key === name)?.value?.toString() ?? null;
  const traceparent = text('traceparent');
  const [, version, traceId, parentId, flags, more] = TRACEPARENT.exec(traceparent ?? '') ?? [];
  if (traceparent === null || version === undefined || version === 'ff') return null;
  // Version 00 ends with the flags; later ones may add to it.
  if (version === '00' && more !== undefined) return null;
  if (/^0+$/.test(traceId!) || /^0+$/.test(parentId!)) return null;
  return {
    traceId: traceId!,
    parentId: parentId!,
    sampled: (Number.parseInt(flags!, 16) & 1) === 1,
    traceparent,
    tracestate: text('tracestate'),
  };
}

/**
 * The headers that carry a trace on in a record that is sent on behalf of another one: `headers: traceHeaders(context.trace)`,
 * with other headers beside them if there are. A tracer that makes a span of the handler's own puts that span's headers instead.
 */
export function traceHeaders(
  trace: TraceContext | null,
  others: Readonly<Record<string, string>> = {},
): Record<string, string> {
  if (trace === null) return { ...others };
  const { traceparent, tracestate } = trace;
  return { ...others, traceparent, ...(tracestate === null ? {} : { tracestate }) };
}
