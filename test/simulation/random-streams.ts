import { SeededRandom } from '../seeded-random.ts';

/**
 * Randomness of its own for each part of a simulation (disk, network, one client …), so that another draw in one of them
 * leaves what the others do as it was.
 */
export class RandomStreams {
  readonly #seed: number;

  constructor(seed: number) {
    this.#seed = seed;
  }

  of(part: string): SeededRandom {
    let state = Math.imul(this.#seed ^ 0x9e3779b9, 0x85ebca6b);
    for (let i = 0; i < part.length; i += 1) state = Math.imul(state ^ part.charCodeAt(i), 0x01000193);
    return new SeededRandom(state ^ (state >>> 15));
  }
}

/** True once in `of` times. */
export function oneIn(random: SeededRandom, of: number): boolean {
  return random.below(of) === 0;
}

export function pick<T>(random: SeededRandom, choices: readonly T[]): T {
  return choices[random.below(choices.length)]!;
}
