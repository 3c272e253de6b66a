import { systemClock } from '../base/clock.ts';
import type { ReplayFrom, ReplayTo } from '../client/replay/replay-options.ts';
import { parseDurationMs, parseMomentMs } from './duration.ts';
import { UsageError } from './usage-error.ts';

const AGO = /^-\d+(?:\.\d+)?(?:ms|s|m|h|d|w)$/;
const FORMS = 'earliest, end, an offset, -2h, 2026-05-01T12:00:00Z or @MILLISECONDS';

/** Where to begin, for all partitions or as PARTITION=PLACE for one; null when nothing is said. @throws UsageError */
export function parseFroms(texts: readonly string[], partitions: readonly number[]): Map<number, ReplayFrom> {
  return byPartition(texts, partitions, '--from', (text) => {
    if (text === 'latest' || text === 'end') return 'latest';
    if (/^-\d+$/.test(text)) return { last: Number(text.slice(1)) };
    return placeOf(text, '--from', `${FORMS}, or -10 for the last ten`);
  });
}

/** Where to stop, likewise. @throws UsageError */
export function parseTos(texts: readonly string[], partitions: readonly number[]): Map<number, ReplayTo> {
  return byPartition(texts, partitions, '--to', (text) => {
    if (text === 'latest' || text === 'end') return 'end';
    const place = placeOf(text, '--to', FORMS);
    return place === 'earliest' ? { offset: 0 } : place;
  });
}

function byPartition<P>(
  texts: readonly string[],
  partitions: readonly number[],
  flag: string,
  parse: (text: string) => P,
): Map<number, P> {
  const places = new Map<number, P>();
  let forAll: P | null = null;
  for (const text of texts) {
    const match = /^(\d+)=(.*)$/.exec(text);
    if (match === null) {
      if (forAll !== null)
        throw new UsageError(`${flag} is given more than once; write PARTITION=PLACE for a single partition`);
      forAll = parse(text);
      continue;
    }
    const partition = Number(match[1]);
    if (places.has(partition)) throw new UsageError(`${flag} is given more than once for partition ${partition}`);
    if (!partitions.includes(partition))
      throw new UsageError(`${flag}: partition ${partition} is not among those to replay`);
    places.set(partition, parse(match[2]!));
  }
  if (forAll !== null) for (const partition of partitions) if (!places.has(partition)) places.set(partition, forAll);
  return places;
}

function placeOf(
  text: string,
  flag: string,
  forms: string,
): 'earliest' | { offset: number } | { time: number } | { ago: number } {
  if (text === 'earliest' || text === 'beginning') return 'earliest';
  if (/^\d+$/.test(text) && Number.isSafeInteger(Number(text))) return { offset: Number(text) };
  if (/^@\d+$/.test(text)) return { time: Number(text.slice(1)) };
  if (AGO.test(text)) return { ago: parseDurationMs(text.slice(1), flag) };
  if (/^\d{4}-/.test(text)) return { time: parseMomentMs(text, systemClock.wallMs(), flag) };
  throw new UsageError(`${flag}: "${text}" is no place; write ${forms}`);
}
