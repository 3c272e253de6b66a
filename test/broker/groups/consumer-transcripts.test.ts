import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { playedConsumer } from './consumer-script.ts';

/*
 * A group of the new protocol by readable scripts, each with what comes of it. After a change that is meant, `vitest -u`
 * writes the scripts anew; read what has become of them.
 */

const folder = path.join(import.meta.dirname, 'consumer-transcripts');

test.each(readdirSync(folder))('%s', async (file) => {
  const script = path.join(folder, file);
  await expect(playedConsumer(readFileSync(script, 'utf8'))).toMatchFileSnapshot(script);
});
