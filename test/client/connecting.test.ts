import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { kafkaErrors } from '../../src/base/kafka-errors.ts';
import { Millrace } from '../../src/client/millrace.ts';
import { packageVersion } from '../../src/client/version.ts';
import { encodeResponse } from '../../src/wire/codec.ts';
import { allVersions, FakeBroker } from './fake-broker.ts';

const soon = { connectTimeoutMs: 1_000, requestTimeoutMs: 1_000 } as const;

test('the client names itself to the broker', async () => {
  const named: unknown[] = [];
  await using broker = await FakeBroker.start({
    ApiVersions: (request) => {
      named.push([request.clientSoftwareName, request.clientSoftwareVersion]);
      return { apiKeys: allVersions };
    },
  });
  await using _client = await Millrace.connect(broker.address);
  expect(named[0]).toEqual(['millrace', packageVersion]);
});

test('a broker that knows only older versions is spoken to in those', async () => {
  const versions: Record<string, number> = {};
  await using broker = await FakeBroker.start({
    ApiVersions: (_request, version) => {
      versions['ApiVersions'] = version;
      if (version === 0) return { apiKeys: [{ apiKey: 3, minVersion: 0, maxVersion: 5 }] };
      // In the layout of version 0, whatever was asked, as brokers do.
      return Buffer.concat(encodeResponse('ApiVersions', 0, 0, { errorCode: kafkaErrors.UNSUPPORTED_VERSION.code }));
    },
    Metadata: (_request, version) => {
      versions['Metadata'] = version;
      return broker.metadata();
    },
  });
  await using client = await Millrace.connect(broker.address);
  expect(versions).toEqual({ ApiVersions: 0, Metadata: 5 });
  await expect(client.admin.createTopic({ name: 'x' })).rejects.toMatchObject({ fault: 'notSupportedByBroker' });
});

test('nobody listens: the fault names every address and what went wrong there', async () => {
  const broker = await FakeBroker.start();
  const { address } = broker;
  await broker.close();
  const error = await Millrace.connect([address, 'localhost:1'], soon).catch((one: Error) => one);
  expect(error).toMatchObject({ fault: 'connectionFailed' });
  expect((error as Error).message).toContain(address);
  expect((error as Error).message).toContain('localhost:1');
});

test('one of several addresses is enough', async () => {
  await using broker = await FakeBroker.start();
  await using client = await Millrace.connect(`127.0.0.1:1,${broker.address}`);
  expect((await client.admin.describeCluster()).clusterId).toBe('fake');
});

test('what is no address is refused', async () => {
  await expect(Millrace.connect('http://x:1/')).rejects.toMatchObject({ fault: 'invalidArgument' });
  await expect(Millrace.connect('x:99999')).rejects.toMatchObject({ fault: 'invalidArgument' });
  await expect(Millrace.connect([])).rejects.toMatchObject({ fault: 'invalidArgument' });
});

test('what listens is no Kafka broker: that is said, and nothing hangs', async () => {
  await using broker = await FakeBroker.start({ ApiVersions: () => Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n') });
  await expect(Millrace.connect(broker.address, soon)).rejects.toThrow(/check that a Kafka broker listens there/);
});

test('a broker that never answers: the call times out', async () => {
  await using broker = await FakeBroker.start({ ApiVersions: () => 'silence' });
  await expect(Millrace.connect(broker.address, soon)).rejects.toMatchObject({ kafka: 'REQUEST_TIMED_OUT' });
});

test('a broker that advertises an address that cannot be reached: the fault says so', async () => {
  await using broker = await FakeBroker.start({
    Metadata: () => ({ ...broker.metadata(), brokers: [{ nodeId: 0, host: '127.0.0.1', port: 1 }] }),
  });
  await using client = await Millrace.connect(broker.address, { callTimeoutMs: 2_000 });
  await expect(client.admin.createTopic({ name: 'x' })).rejects.toThrow(/broker 0 advertises 127\.0\.0\.1:1/);
});

test('a connection that breaks is made anew, and what was asked is asked again', async () => {
  let times = 0;
  await using broker = await FakeBroker.start({
    CreateTopics: ({ topics }) => {
      times++;
      return times < 3 ? 'hang up' : { topics: topics.map(({ name }) => ({ name })) };
    },
  });
  await using client = await Millrace.connect(broker.address);
  await client.admin.createTopic({ name: 'topic' });
  expect(times).toBe(3);
});

test('an answer that does not come in time is asked for again, over a new connection', async () => {
  let times = 0;
  await using broker = await FakeBroker.start({
    CreateTopics: ({ topics }) => {
      times++;
      return times === 1 ? 'silence' : { topics: topics.map(({ name }) => ({ name })) };
    },
  });
  await using client = await Millrace.connect(broker.address, { requestTimeoutMs: 2_000 });
  await client.admin.createTopic({ name: 'topic' });
  expect(times).toBe(2);
});

test('a process with nothing but a record to deliver stays until that has its outcome', () => {
  const script = `
    import { Millrace } from './src/client/millrace.ts';
    import { FakeBroker, TOPIC } from './test/client/fake-broker.ts';
    const broker = await FakeBroker.start();
    const client = await Millrace.connect(broker.address);
    await broker.close();
    const producer = client.producer({ deliveryTimeoutMs: 300 });
    await producer.send({ topic: TOPIC, value: 1 }).catch((error) => console.log(error.name));
    await client.close();`;
  const child = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
  expect([child.stdout.trim(), child.status]).toEqual(['Fault', 0]);
});

test('a closed client refuses, and closing it twice does nothing more', async () => {
  await using broker = await FakeBroker.start();
  const client = await Millrace.connect(broker.address);
  await client.close();
  await client.close();
  expect(() => client.producer()).toThrow(/closed/);
  expect(() => client.reader({ topic: 'x' })).toThrow(/closed/);
  await expect(client.admin.listTopics()).rejects.toMatchObject({ fault: 'clientClosed' });
});
