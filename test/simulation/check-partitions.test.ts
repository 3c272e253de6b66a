import { describe, expect, test } from 'vitest';
import { checkPartitions } from './check-partitions.ts';
import { HandMade } from './hand-made.ts';

const topic = 't';

function found(write: (history: HandMade) => void): string[] {
  const history = new HandMade({ partitions: 2 });
  write(history);
  return [...checkPartitions(history.history())].map(({ anomaly }) => anomaly);
}

describe('partitions of a topic', () => {
  test('are those with which it was made, and those that were added', () => {
    const anomalies = found((h) => {
      h.did('metadata', { topic }, { partitions: 2 });
      h.did('addPartitions', { topic, count: 3 }, {});
      h.crash('power');
      h.did('metadata', { topic }, { partitions: 3 });
    });
    expect(anomalies).toEqual([]);
  });

  test('may come before their addition is answered, also when it never is', () => {
    const anomalies = found((h) => {
      h.begin('addPartitions', { topic, count: 3 }).info('timeout');
      h.did('metadata', { topic }, { partitions: 2 });
      h.did('metadata', { topic }, { partitions: 3 });
    });
    expect(anomalies).toEqual([]);
  });

  test('are there once their addition is answered', () => {
    const anomalies = found((h) => {
      h.did('addPartitions', { topic, count: 3 }, {});
      h.crash('power');
      h.did('metadata', { topic }, { partitions: 2 });
    });
    expect(anomalies).toEqual(['partitions went away']);
  });

  test('never go away', () => {
    const anomalies = found((h) => {
      h.begin('addPartitions', { topic, count: 3 }).info('timeout');
      h.did('metadata', { topic }, { partitions: 3 });
      h.did('metadata', { topic }, { partitions: 2 });
      h.did('metadata', { topic }, { partitions: 1 });
    });
    expect(anomalies).toEqual(['partitions went away', 'partitions never asked for', 'partitions went away']);
  });

  test('do not come when they were refused, or before anybody asked', () => {
    const anomalies = found((h) => {
      h.begin('addPartitions', { topic, count: 3 }).fail('INVALID_PARTITIONS');
      h.did('metadata', { topic }, { partitions: 3 });
      h.did('metadata', { topic }, { partitions: 4 });
      h.did('addPartitions', { topic, count: 4 }, {});
    });
    expect(anomalies).toEqual(['partitions never asked for', 'partitions never asked for']);
  });
});
