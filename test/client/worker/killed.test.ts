import { type ChildProcess, spawn } from 'node:child_process';
import { type FileHandle, mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { json } from '../../../src/client/codecs.ts';
import type { Millrace } from '../../../src/millrace.ts';
import { newTopic, targets } from '../targets.ts';
import { LifeLog } from './life-log.ts';

/** The full one is 100,000: MILLRACE_KILLED_RECORDS=100000. */
const RECORDS = Number(process.env['MILLRACE_KILLED_RECORDS'] ?? 10_000);
const KEYS = 1000;
const PARTITIONS = 8;
const KILLS = 10;
const TIMEOUT_MS = 180_000 + RECORDS * 5;

const program = path.join(import.meta.dirname, 'killed-worker.ts');

for (const target of targets) {
  if (target.unavailable !== null) {
    test.skip(`a worker that is killed, with ${target.name}: ${target.unavailable}`, () => {});
    continue;
  }
  if (!target.servesProcesses) continue;
  test(`killed ${KILLS} times, a worker keeps the order of every key, loses nothing, and repeats only what no commit told of: ${target.name}`, {
    timeout: TIMEOUT_MS,
  }, async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'killed-worker-'));
    const { client, address, close } = await target.start();
    try {
      const topic = newTopic('killed');
      await fill(client, topic);
      const lives = await killAgainAndAgain([address!, topic, `${topic}-g`, path.join(folder, 'log')]);
      expect(lives.offences).toEqual([]);
      expect(lives.ended.size).toBe(RECORDS);
      expect(lives.lives).toBe(KILLS + 1);
      expect(lives.inWorkAtKills).toBeGreaterThan(KILLS);
      expect(lives.repeats).toBeLessThanOrEqual(lives.inWorkAtKills + lives.uncommittedAtKills);
      const { repeats, workedAgain, inWorkAtKills, uncommittedAtKills } = lives;
      console.info(target.name, { records: RECORDS, repeats, workedAgain, inWorkAtKills, uncommittedAtKills });
    } finally {
      await close();
      await rm(folder, { recursive: true });
    }
  });
}

async function fill(client: Millrace, topic: string): Promise<void> {
  await client.admin.createTopic({ name: topic, partitions: PARTITIONS });
  await using producer = client.producer({ value: json<number>() });
  await producer.sendMany(
    Array.from({ length: RECORDS }, (_, index) => ({
      topic,
      key: `key-${index % KEYS}`,
      value: Math.floor(index / KEYS),
    })),
  );
}

/** Kills it each time when it has worked some more, and lets it work the rest. */
async function killAgainAndAgain(args: readonly string[]): Promise<LifeLog> {
  const lives = new LifeLog();
  const file = await open(args.at(-1)!, 'a+');
  try {
    for (let kills = 0; kills < KILLS; kills++) {
      const child = start(args);
      await reached(file, child, lives, () => lives.lives > kills);
      const enough = Math.min(RECORDS, lives.ended.size + RECORDS / (KILLS + 4));
      await reached(file, child, lives, () => lives.ended.size >= enough);
      await ended(child, 'SIGKILL');
    }
    const last = start(args);
    await reached(file, last, lives, () => lives.lives > KILLS && lives.ended.size === RECORDS);
    await ended(last, 'SIGTERM');
    expect(last.exitCode).toBe(0);
    return lives;
  } finally {
    await file.close();
  }
}

function start(args: readonly string[]): ChildProcess {
  return spawn(process.execPath, [program, ...args], { stdio: 'inherit' });
}

async function ended(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  const exit = new Promise((resolve) => child.once('exit', resolve));
  child.kill(signal);
  await exit;
}

/** Waits until what the worker has written says so. */
async function reached(file: FileHandle, child: ChildProcess, lives: LifeLog, isReached: () => boolean): Promise<void> {
  while (!isReached()) {
    expect(child.exitCode, 'the worker ended by itself').toBeNull();
    lives.take(await readOn(file));
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
}

/** What was added since it was called last. */
async function readOn(file: FileHandle): Promise<string> {
  const chunks: Buffer[] = [];
  for (;;) {
    const { bytesRead, buffer } = await file.read({ buffer: Buffer.alloc(65_536) });
    if (bytesRead === 0) return Buffer.concat(chunks).toString();
    chunks.push(buffer.subarray(0, bytesRead));
  }
}
