import type { CommittedOffset } from '../client/group-offsets.ts';
import { UsageError } from './usage-error.ts';

/** An offset to be set, as a file says it. */
export interface FileOffset {
  /** Null where the file does not say. */
  readonly group: string | null;
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly leaderEpoch: number;
  readonly metadata: string;
}

export interface GroupOffsets {
  readonly group: string;
  readonly offsets: readonly CommittedOffset[];
}

/**
 * The lines that kafka-consumer-groups --export writes and --from-file reads: topic, partition, offset; before them the group where
 * there are several. Epochs and metadata have no place in it.
 */
export function offsetsCsv(groups: readonly GroupOffsets[], namesGroups: boolean): string {
  const lines = groups.flatMap(({ group, offsets }) =>
    offsets.map(({ topic, partition, offset }) => {
      const cells = [topic, partition, offset];
      return (namesGroups ? [group, ...cells] : cells).map(csvCell).join(',');
    }),
  );
  return lines.map((line) => `${line}\n`).join('');
}

/** All that was committed. */
export function offsetsJson(groups: readonly GroupOffsets[]): string {
  const shown = groups.map(({ group, offsets }) => ({
    group,
    offsets: offsets.map(({ topic, partition, offset, leaderEpoch, metadata }) => ({
      topic,
      partition,
      offset,
      leaderEpoch,
      metadata,
    })),
  }));
  return `${JSON.stringify({ groups: shown })}\n`;
}

/** Reads what either of the above wrote. @throws UsageError */
export function parseOffsets(text: string, file: string): FileOffset[] {
  const offsets = text.trimStart().startsWith('{') ? parseJson(text, file) : parseCsv(text, file);
  if (offsets.length === 0) throw new UsageError(`${file} holds no offsets`);
  const seen = new Set<string>();
  for (const { group, topic, partition } of offsets) {
    const key = JSON.stringify([group, topic, partition]);
    if (seen.has(key)) throw new UsageError(`${file} names topic ${topic}, partition ${partition} twice`);
    seen.add(key);
  }
  return offsets;
}

function parseCsv(text: string, file: string): FileOffset[] {
  return text.split(/\r?\n/).flatMap((line, index) => {
    if (line.trim() === '') return [];
    const cells = csvCells(line);
    const [topic, partition, offset] = cells?.slice(-3) ?? [];
    const isRow = cells !== null && (cells.length === 3 || cells.length === 4) && topic !== '';
    if (!isRow || !isWhole(partition) || !isWhole(offset)) {
      throw new UsageError(
        `${file}, line ${index + 1}: "${line}" is not TOPIC,PARTITION,OFFSET or GROUP,TOPIC,PARTITION,OFFSET`,
      );
    }
    const group = cells.length === 4 ? cells[0]! : null;
    const place = { topic: topic!, partition: Number(partition), offset: Number(offset) };
    return [{ group, ...place, leaderEpoch: -1, metadata: '' }];
  });
}

function isWhole(text: string | undefined): boolean {
  return text !== undefined && /^\d+$/.test(text) && Number.isSafeInteger(Number(text));
}

function csvCell(value: string | number): string {
  const text = String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Null for a line that breaks the format. */
function csvCells(line: string): string[] | null {
  const cells: string[] = [];
  let rest = line.trim();
  for (;;) {
    const [whole, quoted, plain] = /^\s*(?:"((?:[^"]|"")*)"|([^",]*))\s*(?=,|$)/.exec(rest) ?? [];
    if (whole === undefined) return null;
    cells.push(quoted === undefined ? plain!.trim() : quoted.replaceAll('""', '"'));
    if (whole.length === rest.length) return cells;
    rest = rest.slice(whole.length + 1);
  }
}

function parseJson(text: string, file: string): FileOffset[] {
  const wrong = (what: string): UsageError =>
    new UsageError(`${file}: ${what}; it is to be as group export --json writes it`);
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw wrong((error as Error).message);
  }
  const { groups } = parsed as { groups?: unknown };
  if (!Array.isArray(groups)) throw wrong('no list "groups"');
  return groups.flatMap((one: { group?: unknown; offsets?: unknown } | null) => {
    const { group, offsets } = one ?? {};
    if (typeof group !== 'string' || !Array.isArray(offsets)) throw wrong('a group without a name or a list "offsets"');
    return offsets.map((row: Record<string, unknown> | null): FileOffset => {
      const { topic, partition, offset, leaderEpoch = -1, metadata = '' } = row ?? {};
      const isRow = typeof topic === 'string' && typeof metadata === 'string' && Number.isInteger(leaderEpoch);
      if (!isRow || !isWhole(String(partition)) || !isWhole(String(offset))) {
        throw wrong(`${JSON.stringify(row)} is no offset of a partition`);
      }
      return {
        group,
        topic,
        partition: Number(partition),
        offset: Number(offset),
        leaderEpoch: leaderEpoch as number,
        metadata,
      };
    });
  });
}
