import { describe, expect, test } from 'vitest';
import { joinOf } from './oracle/groups.ts';
import { makeTopic, startBroker, until } from './support.ts';

/* What a group's requests do that wait: on a server that stops, and for a client that goes. */

const PATIENT = { 'group.initial.rebalance.delay.ms': '600000' };

test('a fetch of stable offsets finds those that are on their way', async () => {
  const target = await startBroker();
  const client = await target.client();
  await makeTopic(client, 't');
  for (let offset = 1; offset <= 20; offset += 1) {
    const partitions = [{ partitionIndex: 0, committedOffset: offset, committedMetadata: '' }];
    client.post('OffsetCommit', 7, { groupId: 'g', topics: [{ name: 't', partitions }] });
    const { topics } = await client.request('OffsetFetch', 7, { groupId: 'g', topics: null, requireStable: true });
    expect(topics[0]?.partitions[0]?.committedOffset).toBe(offset);
  }
});

describe('a join that waits for others', () => {
  test('is told to look for its coordinator again when the server stops, which waits for nobody', async () => {
    const target = await startBroker({ settings: PATIENT });
    const client = await target.client();
    const correlationId = client.post('JoinGroup', 3, joinOf('g', 3));
    await until(() => target.broker.groups.find('g')?.stateName === 'PreparingRebalance');
    const stopped = target.stop();
    const frame = await client.answerTo(correlationId);
    expect(client.decode('JoinGroup', 3, frame).errorCode).toBe(15);
    await stopped;
  });

  test('lets the answers to what came before it out, and holds up those that come after it', async () => {
    const target = await startBroker({ settings: PATIENT });
    const client = await target.client();
    const before = client.post('ListGroups', 4, {});
    client.post('JoinGroup', 3, joinOf('g', 3));
    const after = client.post('ListGroups', 4, {});
    await client.answerTo(before);
    const other = await target.client();
    expect((await other.request('ListGroups', 4, {})).groups).toMatchObject([{ groupState: 'PreparingRebalance' }]);
    expect(client.answers.map(({ correlationId }) => correlationId)).not.toContain(after);
  });

  test('stays a member when its client is gone, until its time is up', async () => {
    const target = await startBroker();
    const client = await target.client();
    client.post('JoinGroup', 3, { ...joinOf('g', 3), sessionTimeoutMs: 6000, rebalanceTimeoutMs: 1000 });
    await until(() => target.broker.groups.find('g') !== null);
    await client.end();
    // Nobody asks for the work of the generation, so its time for that ends.
    await until(() => target.broker.groups.find('g')?.stateName === 'Empty');
    expect(target.broker.stopped).toBeNull();
  });
});
