import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { Millrace } from '../../../src/millrace.ts';
import { millraceProgram } from '../../../tools/millrace.ts';
import { Broker, type BrokerKind } from '../../foreign/broker.ts';
import { targets } from '../targets.ts';
import { contentOf, fill, KEPT } from './replayed-topics.ts';

/*
 * Replays in a process of their own, from broker to broker, which are killed again and again, as is the broker that they write to.
 * MILLRACE_REPLAY_RECORDS=1000000 proves it of as many, at full speed.
 */
const ASKED = process.env['MILLRACE_REPLAY_RECORDS'];
const RECORDS = Number(ASKED ?? 40_000);
/** So slow that there is time to kill it. */
const RATE = ASKED === undefined ? ['--rate', '5000'] : [];
/** Of each kind one. */
const KILLS_MIN = 3;
const TIMEOUT_MS = 600_000;
const noKafka = targets.find(({ name }) => name === 'Apache Kafka')!.unavailable;

const routes: readonly [BrokerKind, BrokerKind][] = [
  ['millrace', 'millrace'],
  ['millrace', 'kafka'],
  ['kafka', 'millrace'],
];

for (const [from, to] of routes) {
  test.skipIf(noKafka !== null && (from === 'kafka' || to === 'kafka'))(
    `from ${from} to ${to}, replay and target killed again and again: every record is there once, as it was`,
    { timeout: TIMEOUT_MS },
    async () => {
      const folder = await mkdtemp(path.join(tmpdir(), 'replay-kills-'));
      const source = await Broker.start(from, path.join(folder, 'source'));
      const target = await Broker.start(to, path.join(folder, 'target'));
      const here = await Millrace.connect(source.bootstrap);
      const there = await Millrace.connect(target.bootstrap);
      try {
        const topic = await fill(here, 'killed', { records: RECORDS, partitions: 4, batchBytesMax: 16 * 1024 });
        await there.admin.createTopic({ name: topic, partitions: 4, settings: KEPT });
        const checkpoint = path.join(folder, 'checkpoint.json');
        const args = [
          'replay',
          topic,
          '--to-broker',
          target.bootstrap,
          '--checkpoint',
          checkpoint,
          '--timeout',
          '60s',
          ...RATE,
        ];
        const kills = await killUntilDone(() => startReplay(source, args), target);
        expect(kills).toBeGreaterThanOrEqual(KILLS_MIN);
        expect(await contentOf(there, topic)).toEqual(await contentOf(here, topic));
      } finally {
        await Promise.all([here.close(), there.close()]);
        await Promise.all([source.stop(), target.stop()]);
        await rm(folder, { recursive: true });
      }
    },
  );
}

interface Running {
  child: ChildProcess;
  ended: Promise<{ code: number | null; errors: string }>;
}

function startReplay(source: Broker, args: readonly string[]): Running {
  const { file, args: all } = millraceProgram(...args);
  const child = spawn(file, all, {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, MILLRACE_BROKER: source.bootstrap },
  });
  let errors = '';
  child.stderr!.on('data', (chunk: Buffer) => {
    errors += chunk.toString();
  });
  return { child, ended: once(child, 'close').then(([code]) => ({ code: code as number | null, errors })) };
}

/** Kills in turn the replay, the replay by Ctrl-C, and the target; what was not killed goes on. Returns how often. */
async function killUntilDone(start: () => Running, target: Broker): Promise<number> {
  let kills = 0;
  for (;;) {
    const running = start();
    for (let done = false; !done; ) {
      // Longer each time: however slow the machine, something is done in between.
      const outcome = await Promise.race([running.ended, sleep(600 + kills * 150).then(() => null)]);
      if (outcome?.code === 0) return kills;
      if (outcome !== null) throw new Error(`the replay ended with ${outcome.code}: ${outcome.errors}`);
      kills++;
      if (kills % 3 === 0) {
        await target.kill();
        await target.restart();
        continue;
      }
      running.child.kill(kills % 3 === 1 ? 'SIGKILL' : 'SIGINT');
      const { code, errors } = await running.ended;
      if (code === 0) return kills;
      if (code !== null && code !== 130) throw new Error(`the replay ended with ${code}: ${errors}`);
      done = true;
    }
  }
}
