import xxhash from 'xxhash-wasm';

/** XXH64 of some bytes. */
export type Checksum = (bytes: Uint8Array) => bigint;

/** It is loaded on first use: a broker without a journal has no need of it. */
export async function loadChecksum(): Promise<Checksum> {
  const { h64Raw } = await xxhash();
  return (bytes) => h64Raw(bytes);
}
