import { Fault } from '../base/faults.ts';
import { limits } from '../base/limits.ts';
import type { OpenSetBack, SetBack } from '../base/set-backs.ts';
import {
  type Check,
  dictionaryOf,
  type Fields,
  isCount,
  isIn,
  isOneOf,
  isText,
  isTime,
  isUuid,
  listOf,
  objectOf,
  orMissing,
  orNull,
} from '../base/shape.ts';
import { checkShape, type EventShapes, wrongEvent } from '../ledger/stored-event.ts';
import { checkBrokerSetting, isBrokerSetting } from './broker-settings.ts';
import type { ClockFacts, ClusterEvent, ClusterState, TopicRecord } from './cluster-state.ts';
import { groupSettingSpecs, isGroupSetting } from './group-settings.ts';
import { isTopicName } from './topic.ts';
import { checkSetting, checkTopicSetting, isTopicSetting } from './topic-settings.ts';

/** Half of what the number may be, so that what is counted on from there stays one. */
const EPOCH_MAX = 2 ** 30;
const PRODUCER_ID_MAX = 2 ** 52;

const openSetBack: Fields<OpenSetBack> = { fromMs: isTime, behindMs: isTime, lastMs: orMissing(isTime) };
const setBack: Fields<SetBack> = { fromMs: isTime, toMs: isTime, behindMs: isTime };
const clockFacts: Fields<ClockFacts> = {
  leap: orMissing(orNull(objectOf({ firstWallMs: isTime, lastWallMs: isTime }))),
  setBacks: orMissing(orNull(objectOf({ open: orNull(objectOf(openSetBack)), closed: listOf(objectOf(setBack)) }))),
};
const isMade = orMissing(isOneOf('all', 'groups'));

const shapes: EventShapes<ClusterEvent> = {
  started: { epoch: isIn(-1, EPOCH_MAX), made: isMade, ...clockFacts },
  stopped: { made: isMade, ...clockFacts },
  topic: {
    id: isUuid,
    name: (value) => typeof value === 'string' && isTopicName(value),
    partitions: isIn(1, limits.topicPartitionsMax),
    replicationFactor: isCount,
    settings: settingsOf((name, value) => !isTopicSetting(name) || isGood(() => checkTopicSetting(name, value))),
    made: orMissing(isIn(0, limits.topicPartitionsMax)),
  },
  topicDeleted: { id: isUuid },
  brokerSetting: { name: isText, value: orNull(isText) },
  groupSettings: {
    group: isText,
    settings: settingsOf(
      (name, value) => !isGroupSetting(name) || isGood(() => checkSetting(name, groupSettingSpecs[name], value)),
    ),
  },
  producerIds: { next: isIn(0, PRODUCER_ID_MAX) },
};

/**
 * Whether an event that a start reads from the cluster's ledger is one, and can come after those that made `state`.
 * @throws Fault damagedMetadata, folderTooNew
 */
export function checkClusterEvent(event: ClusterEvent, state: ClusterState): void {
  checkShape(event, shapes);
  const what = whatIsWrong(event, state);
  if (what !== null) throw wrongEvent(event.type, what);
}

function whatIsWrong(event: ClusterEvent, state: ClusterState): string | null {
  if (event.type === 'topic') return whatIsWrongWith(event, state);
  if (event.type !== 'brokerSetting' || event.value === null || !isBrokerSetting(event.name)) return null;
  return isGood(() => checkBrokerSetting(event.name, event.value)) ? null : `${event.name} cannot be ${event.value}`;
}

function whatIsWrongWith({ id, name, partitions }: TopicRecord, state: ClusterState): string | null {
  const before = state.topics.get(id);
  // Its files are about to be removed.
  if (state.deletedTopics.has(id)) return `${id} was deleted before`;
  if (before !== undefined && before.name !== name) return `${id} is ${before.name}, and cannot be ${name} too`;
  const other = state.collidingWith(name);
  if (other !== null && other.id !== id) return `there is ${other.name}, and cannot be ${name} too`;
  const total = state.partitions + partitions - (before?.partitions ?? 0);
  return total > limits.partitionsMax ? `there would be ${total} partitions` : null;
}

/** Settings of which those that are known have values that they may have. Others are of another version. */
function settingsOf(isGoodSetting: (name: string, value: string) => boolean): Check {
  const areTexts = dictionaryOf(isText);
  return (value) =>
    areTexts(value) && Object.entries(value as Record<string, string>).every((entry) => isGoodSetting(...entry));
}

function isGood(check: () => void): boolean {
  try {
    check();
    return true;
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return false;
  }
}
