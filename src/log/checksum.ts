import xxhash from 'xxhash-wasm';

/** XXH64 of some bytes, under the seed 0 unless another is given. */
export type Checksum = (bytes: Uint8Array, seed?: bigint) => bigint;

let loading: Promise<Checksum> | null = null;

/** It is compiled on first use, and then the same for every broker in the process: one without a journal has no need of it. */
export function loadChecksum(): Promise<Checksum> {
  loading ??= xxhash().then(({ h64Raw }) => h64Raw);
  return loading;
}
