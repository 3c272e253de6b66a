import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import type { ApiName } from '../../src/wire/messages.generated.ts';

/** A frame as Apache Kafka 4.3.1's own classes write it, with the same message as JSON; made by tools/golden/Messages.java. */
export interface Golden {
  api: ApiName;
  direction: 'request' | 'response';
  version: number;
  variant: 'full' | 'empty' | 'nulls';
  /** Base64, without its length. */
  frame: string;
  message: object;
}

export const goldens: Golden[] = gunzipSync(readFileSync(new URL('./fixtures/messages.jsonl.gz', import.meta.url)))
  .toString()
  .trimEnd()
  .split('\n')
  .map((line) => JSON.parse(line));
