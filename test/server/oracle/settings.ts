import { create } from './create-topics.ts';
import { CLOSED, type Scenario, type Side } from './scenario.ts';

/** Values of settings, good and bad; null: none is given. */
const values: readonly [name: string, value: string | null][] = [
  ['retention.ms', '1000'],
  ['retention.ms', '-1'],
  ['retention.ms', '-2'],
  ['retention.ms', '+5'],
  ['retention.ms', ' 5 '],
  ['retention.ms', '1e3'],
  ['retention.ms', '0x10'],
  ['retention.ms', ''],
  ['retention.ms', '9223372036854775807'],
  ['retention.ms', '9223372036854775808'],
  ['retention.ms', null],
  ['retention.bytes', '-1'],
  ['retention.bytes', '-2'],
  ['segment.bytes', '2147483647'],
  ['segment.bytes', '2147483648'],
  ['segment.bytes', 'many'],
  ['segment.ms', '0'],
  ['segment.ms', '1'],
  ['cleanup.policy', 'compact'],
  ['cleanup.policy', 'compact,delete'],
  ['cleanup.policy', 'delete, compact'],
  ['cleanup.policy', 'none'],
  ['cleanup.policy', 'Delete'],
  ['compression.type', 'zstd'],
  ['compression.type', 'bzip2'],
  ['message.timestamp.type', 'LogAppendTime'],
  ['message.timestamp.type', 'logappendtime'],
  ['max.message.bytes', '0'],
  ['max.message.bytes', '-1'],
  ['min.cleanable.dirty.ratio', '0.5'],
  ['min.cleanable.dirty.ratio', '1.5'],
  ['min.cleanable.dirty.ratio', '1e-1'],
  ['min.cleanable.dirty.ratio', 'NaN'],
  ['preallocate', 'true'],
  ['preallocate', 'TRUE'],
  ['preallocate', 'yes'],
  ['min.insync.replicas', '0'],
  ['flush.messages', '0'],
  ['flush.messages', '5'],
  ['flush.ms', '0'],
  ['index.interval.bytes', '-1'],
  ['message.timestamp.before.max.ms', '-1'],
  ['message.timestamp.after.max.ms', '0'],
  ['no.such.setting', '1'],
  ['', '1'],
];

/** Where Kafka takes what it cannot mean. */
const refusedHere = ['retention.bytes=-2', 'min.cleanable.dirty.ratio=NaN'];

export const settingScenarios: Scenario[] = values.map(([name, value]) => ({
  api: 'CreateTopics',
  says: `${name}=${value}`,
  ...(refusedHere.includes(`${name}=${value}`) ? { differs: 'it is out of range' } : {}),
  versions: [7],
  run: async (side, { topic, version }) => {
    const wish = { name: topic, numPartitions: 1, replicationFactor: 1, configs: [{ name, value }] };
    return create(side, version, [wish]);
  },
}));

type Change = readonly [name: string, value: string | null, op?: number];
export type Resource = readonly [type: number, name: string, changes: readonly Change[]];

export async function alter(side: Side, version: number, resources: readonly Resource[], validateOnly = false) {
  const answer = await side.ask('IncrementalAlterConfigs', version, {
    resources: resources.map(([resourceType, resourceName, changes]) => ({
      resourceType,
      resourceName,
      configs: changes.map(([name, value, configOperation = 0]) => ({ name, value, configOperation })),
    })),
    validateOnly,
  });
  return answer?.responses.map(({ errorCode }) => errorCode).sort() ?? CLOSED;
}

export async function replace(side: Side, version: number, resources: readonly Resource[], validateOnly = false) {
  const answer = await side.ask('AlterConfigs', version, {
    resources: resources.map(([resourceType, resourceName, changes]) => ({
      resourceType,
      resourceName,
      configs: changes.map(([name, value]) => ({ name, value })),
    })),
    validateOnly,
  });
  return answer?.responses.map(({ errorCode }) => errorCode).sort() ?? CLOSED;
}

export const OF_TOPIC = 2;

/** The settings of a topic that are its own, as they are told. */
async function ownSettings(side: Side, topic: string): Promise<unknown> {
  const answer = await side.ask('DescribeConfigs', 4, {
    resources: [{ resourceType: OF_TOPIC, resourceName: topic, configurationKeys: null }],
  });
  const own = answer!.results[0]!.configs.filter(({ configSource }) => configSource === 1);
  return own.map(({ name, value }) => [name, value]).sort();
}

let changesTold = 0;

/** Kafka's brokers learn of changes a moment after the controller answered, in order: once of a later topic, of all before it. */
export async function ownSettingsOnceTold(side: Side, topic: string): Promise<unknown> {
  changesTold += 1;
  await side.topic(`${topic}-changed-${changesTold}`);
  return ownSettings(side, topic);
}

const changes: Record<string, readonly Change[]> = {
  'set, and set again': [
    ['retention.ms', '5'],
    ['retention.ms', '6'],
  ],
  'set and unset': [
    ['retention.ms', '5'],
    ['retention.ms', null, 1],
  ],
  'unset what was not set': [['retention.ms', null, 1]],
  'unset with a value': [
    ['retention.ms', '5'],
    ['retention.ms', '7', 1],
  ],
  'unset an unknown one': [['no.such', null, 1]],
  'set an unknown one': [['no.such', '1']],
  'set to nothing': [['retention.ms', null]],
  'set to a wrong value': [['retention.ms', 'x']],
  'append to a list': [['cleanup.policy', 'compact', 2]],
  'append what is there': [['cleanup.policy', 'delete', 2]],
  'append a wrong word': [['cleanup.policy', 'none', 2]],
  'append to a number': [['retention.ms', '5', 2]],
  'append nothing': [['cleanup.policy', null, 2]],
  'subtract from a list': [
    ['cleanup.policy', 'delete,compact'],
    ['cleanup.policy', 'delete', 3],
  ],
  'subtract what is not there': [['cleanup.policy', 'compact', 3]],
  'subtract all': [['cleanup.policy', 'delete', 3]],
  'operation 9': [['retention.ms', '5', 9]],
};

export const changeScenarios: Scenario[] = Object.entries(changes).map(([says, steps]) => ({
  api: 'IncrementalAlterConfigs',
  says,
  ...(says === 'operation 9' ? { differs: 'Kafka fails with an unknown error' } : {}),
  versions: [1],
  run: async (side, { topic, version }) => {
    await side.topic(topic);
    const answers: unknown[] = [];
    for (const step of steps) answers.push(await alter(side, version, [[OF_TOPIC, topic, [step]]]));
    return [answers, await ownSettingsOnceTold(side, topic)];
  },
}));
