import type { Pending, Place } from './history.ts';
import { placeName } from './history.ts';

/** A flipped bit of a batch in a segment file, which lies there until it is flipped back. */
export interface Damage {
  readonly place: Place;
  /** The offsets that no other batch has: those that it may take from readers. */
  readonly from: number;
  readonly to: number;
  readonly path: string;
  /** Of the byte. */
  readonly position: number;
  readonly mask: number;
  /** Where the batch lies, and its bytes as they are with the flipped bit. */
  readonly batchPosition: number;
  readonly bytes: Buffer;
  readonly pending: Pending<'flip'>;
}

/** The damage that lies in the segment files. */
export class Damages {
  /** Of places that have, or had, some. */
  readonly #places = new Set<string>();
  #all: Damage[] = [];

  get all(): readonly Damage[] {
    return this.#all;
  }

  add(damage: Damage): void {
    this.#places.add(placeName(damage.place));
    this.#all.push(damage);
  }

  /** It is as it was written again. */
  mended(damage: Damage): void {
    damage.pending.ok({});
    this.#all = this.#all.filter((other) => other !== damage);
  }

  /** What has the record of an offset; null when nothing does. */
  at(place: Place, offset: number): Damage | null {
    const name = placeName(place);
    return this.#all.find((one) => placeName(one.place) === name && one.from <= offset && offset < one.to) ?? null;
  }

  /** Whether records of a place were damaged at any time. */
  hit(place: Place): boolean {
    return this.#places.has(placeName(place));
  }
}
