import type { History, Moment, Operation, Place } from './history.ts';
import { placeName } from './history.ts';

/** What a history must not show. */
export type Anomaly =
  /** Acknowledged, or read where that promises as much, and gone. */
  | 'lost'
  /** Read, never acknowledged, and gone. */
  | 'dirty read'
  /** Read, though its send had failed, was never made, was made later, or went elsewhere. */
  | 'phantom'
  /** There more than once, though nothing may have sent it twice. */
  | 'duplicate'
  /** Two values for one offset. */
  | 'inconsistent offset'
  /** A later send lies before an earlier one. */
  | 'order'
  /** Of one request's records some are there and some are not, or others lie between. */
  | 'torn send'
  /** A reader was led past records that are there. */
  | 'silent gap'
  /** A reader was told that records are damaged that are not, or that it was to be led past. */
  | 'damage never done'
  /** An answer that contradicts itself. */
  | 'impossible answer'
  /** A record's leader epoch is another than before, or lower than that of a record before it. */
  | 'epoch changed'
  /** By leader epochs the log parts from what was read of it, though nothing of that may be gone. */
  | 'divergence'
  | 'high watermark went back'
  | 'log start went back'
  /** Removed before a trim or retention could ask for it. */
  | 'trimmed too early'
  /** Its tombstone is gone, and an older value is there. */
  | 'deleted key came back'
  /** A key is there more than once in what is held for compacted. */
  | 'not compacted'
  | 'deleted topic came back'
  /** A topic has fewer partitions than it had. */
  | 'partitions went away'
  /** It has a number of them that nobody asked for. */
  | 'partitions never asked for'
  /** Not read to its end when all was over, so that nothing can be said of it. */
  | 'unseen'
  | 'commit lost'
  | 'commit went back'
  | 'commit never made'
  | 'commit beyond the end'
  | 'zombie commit'
  | 'two owners'
  | 'generation went back'
  | 'unstable group'
  /** A member was taken for dead that had just been heard. */
  | 'session cut short'
  | 'wrong start';

/** One thing that is wrong, with what shows it: enough to tell the shortest story of it. */
export interface Violation {
  readonly anomaly: Anomaly;
  readonly place: Place | null;
  readonly group: string | null;
  readonly offsets: readonly number[];
  readonly operations: readonly Operation[];
  readonly says: string;
}

/** One that is about a partition's records. */
export function violation(
  anomaly: Anomaly,
  place: Place,
  offsets: readonly number[],
  operations: readonly Operation[],
  says: string,
): Violation {
  return { anomaly, place, group: null, offsets, operations, says };
}

/** One that is about a group, and perhaps a partition that it reads. */
export function groupViolation(
  anomaly: Anomaly,
  group: string,
  place: Place | null,
  offsets: readonly number[],
  operations: readonly Operation[],
  says: string,
): Violation {
  return { anomaly, place, group, offsets, operations, says };
}

/** Steps at which the broker's power went. */
export class PowerCuts {
  readonly #steps: readonly number[];

  constructor({ operations }: History) {
    const cuts = operations.filter((op) => op.kind === 'crash' && op.call.how === 'power');
    this.#steps = cuts.map(({ invoked }) => invoked.step).sort((a, b) => a - b);
  }

  /** The first cut after a moment; Infinity for none. */
  after({ step }: Moment): number {
    return this.#steps.find((cut) => cut > step) ?? Infinity;
  }

  between(from: Moment, to: Moment): boolean {
    return this.after(from) < to.step;
  }
}

/** The story of a violation, a line each: what is wrong, then the operations that show it in the order in which they were asked. */
export function storyOf({ anomaly, place, group, offsets, operations, says }: Violation): string[] {
  const where = [
    place === null ? '' : placeName(place),
    group ?? '',
    offsets.length > 0 ? `@${offsetsOf(offsets)}` : '',
  ];
  const title = [anomaly.toUpperCase(), ...where].filter((part) => part !== '').join(' ');
  const inOrder = [...new Set(operations)].sort((a, b) => a.index - b.index);
  return [`${title}: ${says}`, ...inOrder.map((op) => `  ${lineOf(op)}`)];
}

/** One operation in a line: `#12 [31 to 40] client 2 send {…} ok {…}`. */
export function lineOf(op: Operation): string {
  const until = op.completed === null ? '' : ` to ${op.completed.step}`;
  const told = op.outcome === 'ok' ? `ok ${JSON.stringify(op.result)}` : `${op.outcome} ${op.error}`;
  return `#${op.index} [${op.invoked.step}${until}] client ${op.process} ${op.kind} ${JSON.stringify(op.call)} ${told}`;
}

function offsetsOf(offsets: readonly number[]): string {
  const [first, last] = [offsets[0]!, offsets.at(-1)!];
  if (offsets.length === 1) return `${first}`;
  return last - first === offsets.length - 1 ? `${first}-${last}` : offsets.join(',');
}
