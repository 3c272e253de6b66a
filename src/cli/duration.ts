import { UsageError } from './usage-error.ts';

const unitMs: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

/**
 * Milliseconds of `250ms`, `1.5s`, `10m`, `2h`, `7d`, `1w` or `0`. Any other number needs its unit: some would mean seconds, some
 * milliseconds. `flag` is for the message. @throws UsageError
 */
export function parseDurationMs(text: string, flag: string): number {
  if (text === '0') return 0;
  const [, number, unit] = /^(\d+(?:\.\d+)?)(ms|s|m|h|d|w)?$/.exec(text) ?? [];
  if (number !== undefined && unit === undefined) {
    throw new UsageError(`${flag}: "${text}" has no unit; write ${text}s or ${text}ms`);
  }
  const ms = Math.round(Number(number) * (unitMs[unit ?? ''] ?? Number.NaN));
  if (Number.isSafeInteger(ms)) return ms;
  throw new UsageError(`${flag}: "${text}" is no duration; write for example 500ms, 10s, 5m, 2h or 7d`);
}

/** A moment: milliseconds since 1970, `-2h` (that long before now), or ISO 8601, in local time unless it says otherwise. @throws UsageError */
export function parseMomentMs(text: string, nowMs: number, flag: string): number {
  if (/^\d+$/.test(text)) return Number(text);
  if (text.startsWith('-')) return nowMs - parseDurationMs(text.slice(1), flag);
  // Only ISO: the engine's guesses at other formats differ from what people mean.
  const ms = /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isSafeInteger(ms) && ms >= 0) return ms;
  throw new UsageError(`${flag}: "${text}" is no moment; write 2026-05-01T12:00:00Z, milliseconds since 1970, or -2h`);
}

/** `850 ms`, `12.3 s`, `4m 03s`, `2h 05m`, `3d 04h`. */
export function durationText(ms: number): string {
  const seconds = ms / 1000;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (seconds < 60) return `${(Math.floor(seconds * 10) / 10).toFixed(1)} s`;
  const pair = (large: string, small: string, unitSeconds: number, parts: number): string => {
    const rest = Math.floor((seconds % unitSeconds) / (unitSeconds / parts));
    return `${Math.floor(seconds / unitSeconds)}${large} ${String(rest).padStart(2, '0')}${small}`;
  };
  if (seconds < 3600) return pair('m', 's', 60, 60);
  return seconds < 86_400 ? pair('h', 'm', 3600, 60) : pair('d', 'h', 86_400, 24);
}
