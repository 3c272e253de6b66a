import { isUtf8 } from 'node:buffer';
import { spawnSync } from 'node:child_process';
import { appendFileSync, closeSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { partitionOf } from './murmur2.ts';
import { type TopicDigest, TopicHash } from './partition-digest.ts';

/** A text as `key TAB value NL` lines in a file, and what a topic with Kafka's default partitioner must hold of it. */
export interface Corpus {
  file: string;
  lines: number;
  bytes: number;
  expected: TopicDigest;
}

/**
 * Real text: the source tree of the Go toolchain (3 million lines; tabs, blank lines, lines of 18 KB, all scripts) or, where there is none, of the packages this repository is developed with, over again until it is enough.
 */
function roots(): string[] {
  const go = spawnSync('go', ['env', 'GOROOT'], { encoding: 'utf8' });
  const goSources = go.status === 0 ? [join(go.stdout.trim(), 'src')] : [];
  return [...goSources, join(import.meta.dirname, '../../node_modules')];
}

function filesOf(root: string): string[] {
  return readdirSync(root, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

/** The lines of all texts, each with its key: where it comes from, so that keys are many and not plain ASCII. */
function* keyedLines(): Generator<string> {
  for (let pass = 0; ; pass += 1) {
    for (const root of roots()) {
      for (const file of filesOf(root)) {
        const bytes = readFileSync(file);
        if (!isUtf8(bytes) || bytes.includes(0)) continue;
        const name = pass === 0 ? relative(root, file) : `${relative(root, file)}×${pass}`;
        // A carriage return ends a line for some of the clients and not for others.
        const lines = bytes.toString('utf8').replaceAll('\r', '').split('\n');
        for (const [index, line] of lines.entries()) yield `${name}§${index + 1}\t${line}\n`;
      }
    }
  }
}

/** Writes the first `lines` lines to `file`. */
export function writeCorpus(file: string, lines: number, partitions: number): Corpus {
  const hash = new TopicHash(partitions);
  const output = openSync(file, 'w');
  let bytes = 0;
  let count = 0;
  let piece: Buffer[] = [];
  for (const text of keyedLines()) {
    const line = Buffer.from(text);
    hash.add(partitionOf(line.subarray(0, line.indexOf(9)), partitions), line);
    piece.push(line);
    bytes += line.length;
    count += 1;
    if (piece.length === 10_000 || count === lines) {
      appendFileSync(output, Buffer.concat(piece));
      piece = [];
    }
    if (count === lines) break;
  }
  closeSync(output);
  return { file, lines: count, bytes, expected: hash.end() };
}
