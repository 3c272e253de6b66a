import { expect, test } from 'vitest';
import { batch, fetchOf, makeTopic, produceOf, startBroker } from '../server/support.ts';

const PARTITIONS = 1000;
const TOPICS = 4;

test('1,000 partitions in one broker: made, written to at once, and all there after a restart', async () => {
  const first = await startBroker();
  const client = await first.client();
  const each = PARTITIONS / TOPICS;
  const places = Array.from({ length: PARTITIONS }, (_, i) => ({ topic: `t${i % TOPICS}`, index: (i / TOPICS) | 0 }));
  for (let i = 0; i < TOPICS; i += 1) await makeTopic(client, `t${i}`, each);
  for (const round of [0, 1]) {
    const posted = places.map(({ topic, index }) =>
      client.post('Produce', 9, produceOf(topic, batch([`${topic}-${index}-${round}`]), -1, index)),
    );
    for (const id of posted) {
      const { responses } = client.decode('Produce', 9, await client.answerTo(id));
      expect(responses[0]!.partitionResponses[0]).toMatchObject({ errorCode: 0, baseOffset: round });
    }
  }
  await first.stop();

  const second = await startBroker({ folder: first.folder });
  const reader = await second.client();
  const posted = places.map(({ topic, index }) => reader.post('Fetch', 12, fetchOf(topic, { partition: index })));
  for (const [i, id] of posted.entries()) {
    const { topic, index } = places[i]!;
    const part = reader.decode('Fetch', 12, await reader.answerTo(id)).responses[0]!.partitions[0]!;
    expect(part).toMatchObject({ errorCode: 0, highWatermark: 2, partitionIndex: index });
    const bytes = Buffer.concat(part.records ?? []).toString('latin1');
    expect([bytes.includes(`${topic}-${index}-0`), bytes.includes(`${topic}-${index}-1`)]).toEqual([true, true]);
  }
}, 180_000);
