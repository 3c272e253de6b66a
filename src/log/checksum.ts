import xxhash from 'xxhash-wasm';

/** XXH64 of some bytes. */
export type Checksum = (bytes: Uint8Array) => bigint;

let loading: Promise<Checksum> | null = null;

/** It is compiled on first use, and then the same for every broker in the process: one without a journal has no need of it. */
export function loadChecksum(): Promise<Checksum> {
  loading ??= xxhash().then(({ h64Raw }) => h64Raw);
  return loading;
}
