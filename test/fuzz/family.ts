import fc from 'fast-check';
import { Fault } from '../../src/base/faults.ts';
import { allocatedBytes } from './allocation-meter.ts';
import { type Mutation, mutated, mutations } from './mutations.ts';

/** A valid input, and how inputs like it are read. */
export interface Seed {
  readonly name: string;
  readonly bytes: Buffer;
  /**
   * Reads any bytes. What it returns is counted: each element of an array and each object. Throws a Fault, and nothing else;
   * an Error where a rule of its own is broken.
   */
  read(bytes: Buffer): unknown;
}

/** Decoders of one kind. */
export interface Family {
  readonly name: string;
  readonly seeds: readonly Seed[];
  /** Bytes that reading may take in any case, beside what follows from the size of the input. */
  readonly allocatedBytesMax: number;
  /** How inputs are made of a seed, where it is not the bytes that are changed. `other`: another seed. */
  mutate?(seed: Buffer, changes: readonly Mutation[], other: Buffer): Buffer;
}

/** Bytes that may be allocated for each byte of an input. */
const ALLOCATED_PER_BYTE = 4;
/** Objects and elements that may be made for each byte of an input, and in any case. */
const NODES_PER_BYTE = 8;
const NODES_MAX = 200;
/** Inputs of one seed of fast-check; more take the next one. */
export const RUN_INPUTS = 20_000;

export interface Reading {
  /** What is wrong with how the input was read; null when every rule is kept. */
  readonly offence: string | null;
  readonly faulted: boolean;
}

export function readInput(family: Family, seed: Seed, bytes: Buffer): Reading {
  let faulted = false;
  const offence = offenceOf(family, seed, bytes, () => {
    faulted = true;
  });
  return { offence, faulted };
}

function offenceOf({ allocatedBytesMax }: Family, seed: Seed, bytes: Buffer, onFault: () => void): string | null {
  let result: unknown = null;
  let offence: string | null = null;
  const allocated = allocatedBytes(() => {
    try {
      result = seed.read(bytes);
    } catch (error) {
      if (error instanceof Fault) onFault();
      else offence = String((error as Error).stack ?? error);
    }
  });
  if (offence !== null) return offence;
  const allowed = allocatedBytesMax + bytes.length * ALLOCATED_PER_BYTE;
  if (allocated > allowed) return `${allocated} bytes were allocated for ${bytes.length}; ${allowed} are allowed`;
  const nodes = nodesIn(result);
  const nodesMax = NODES_MAX + bytes.length * NODES_PER_BYTE;
  if (nodes > nodesMax) return `${nodes} objects were made of ${bytes.length} bytes; ${nodesMax} are allowed`;
  if (({} as { polluted?: unknown }).polluted !== undefined) return 'the prototype of all objects was changed';
  return null;
}

function nodesIn(value: unknown): number {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return 1;
  if (value instanceof Map || value instanceof Set) return 1 + value.size;
  let nodes = 1;
  if (Array.isArray(value)) for (const element of value) nodes += nodesIn(element);
  // Scalar fields of an object come with it.
  else for (const field of Object.values(value)) if (typeof field === 'object') nodes += nodesIn(field);
  return nodes;
}

/** How many inputs were read, and how many of them without a fault. */
export interface FuzzCounts {
  inputs: number;
  read: number;
}

/** Reads mutations of a family's valid inputs. @throws Error that names the failing input: its seed, and the bytes as hex */
export function fuzz(family: Family, inputs: number, from: number): FuzzCounts {
  const counts = { inputs: 0, read: 0 };
  for (let seed = from; counts.inputs < inputs; seed += 1) {
    fuzzRun(family, Math.min(RUN_INPUTS, inputs - counts.inputs), seed, counts);
  }
  return counts;
}

function fuzzRun(family: Family, numRuns: number, fuzzSeed: number, counts: FuzzCounts): void {
  const last = family.seeds.length - 1;
  const mutate = family.mutate ?? mutated;
  const property = fc.property(fc.nat(last), fc.nat(last), mutations, (place, otherPlace, changes) => {
    const seed = family.seeds[place]!;
    const bytes = mutate(seed.bytes, changes, family.seeds[otherPlace]!.bytes);
    counts.inputs += 1;
    const { offence, faulted } = readInput(family, seed, bytes);
    if (!faulted) counts.read += 1;
    if (offence !== null) throw new Error(offence);
  });
  const checked = withoutStacks(() => fc.check(property, { numRuns, seed: fuzzSeed }));
  if (!checked.failed) return;
  const [place, otherPlace, changes] = checked.counterexample!;
  const seed = family.seeds[place]!;
  const bytes = mutate(seed.bytes, changes, family.seeds[otherPlace]!.bytes);
  const line = JSON.stringify({ family: family.name, seed: seed.name, hex: bytes.toString('hex') });
  throw new Error(`--family ${family.name} --from ${fuzzSeed}\n${line}\n${readInput(family, seed, bytes).offence}`);
}

/** Most inputs are refused, by an error whose stack nobody reads: a fifth of all the time. */
function withoutStacks<T>(action: () => T): T {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 0;
  try {
    return action();
  } finally {
    Error.stackTraceLimit = limit;
  }
}
