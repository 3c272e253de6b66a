import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { text } from '../../src/client/codecs.ts';
import { Millrace } from '../../src/millrace.ts';
import { ServeProcess } from '../cli/serve-process.ts';
import { tempFolder, until } from '../server/support.ts';

/** A file system of its own, in memory, which can really be full; root alone may make one. */
const MOUNT_MIB = 64;
let mount = '';

beforeAll(() => {
  const folder = tempFolder();
  mkdirSync(path.join(folder, 'm'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${MOUNT_MIB}m`, 'tmpfs', path.join(folder, 'm')], {
      stdio: 'ignore',
    });
    mount = path.join(folder, 'm');
  } catch {
    console.log('skipped: a file system can be mounted by root alone');
  }
});
afterAll(() => {
  if (mount !== '') execFileSync('umount', ['-l', mount]);
});

test('a real disk that fills: refused for now, killed, started while it is full; all that was acknowledged is there', async ({
  skip,
}) => {
  if (mount === '') skip();
  const ballast = path.join(mount, 'ballast');
  writeFileSync(ballast, Buffer.alloc(8 << 20));
  const args = ['--data', path.join(mount, 'data'), '--listen', '127.0.0.1:0', '--log-format', 'json'];
  let serve = await ServeProcess.start(args);
  let client = await Millrace.connect(serve.broker);
  await client.admin.createTopic({ name: 'orders', settings: { 'segment.bytes': 4 << 20 } });
  const stored: string[] = [];
  const send = async (value: string): Promise<boolean> => {
    const producer = client.producer({ value: text, deliveryTimeoutMs: 5_000 });
    try {
      await producer.send({ topic: 'orders', value });
      stored.push(value.slice(0, 20));
      return true;
    } catch (error) {
      expect(String(error)).toMatch(/the disk is full|delivered in time/);
      return false;
    } finally {
      await producer.close();
    }
  };
  const textOf = (i: number): string => `${i}`.padEnd(700_000, '.');
  for (let i = 0; i < 200 && (await send(textOf(i))); i += 1);
  expect(stored.length).toBeGreaterThan(10);
  expect(stored.length).toBeLessThan(100);
  const read = async (): Promise<string[]> => {
    const values: string[] = [];
    for await (const { value } of client.reader({ topic: 'orders', value: text, to: 'end' }))
      values.push(String(value).slice(0, 20));
    return values;
  };
  // What was not acknowledged may be stored all the same: its producer gave up waiting.
  const expectStored = async (): Promise<void> => {
    const found = await read();
    expect(found.filter((value) => stored.includes(value))).toEqual(stored);
  };
  await expectStored();
  await client.close();
  await serve.stop('SIGKILL');

  // Not a byte is free when it is started.
  const rest = path.join(mount, 'rest');
  for (let size = 1 << 20; size >= 4096; size /= 2) {
    try {
      for (let i = 0; i < 100; i += 1) writeFileSync(rest, Buffer.alloc(size), { flag: 'a' });
    } catch (error) {
      expect(error).toMatchObject({ code: 'ENOSPC' });
    }
  }
  serve = await ServeProcess.start(args);
  client = await Millrace.connect(serve.broker);
  await expectStored();
  rmSync(ballast);
  rmSync(rest);
  let more = 1000;
  await until(async () => send(textOf(more++)));
  await expectStored();
  await client.close();
  expect(await serve.stop()).toBe(0);
}, 120_000);
