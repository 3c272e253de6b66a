import { Fault, faultFromKafka } from '../base/faults.ts';
import type { Messages } from '../wire/messages.generated.ts';
import type { Connection } from './connection.ts';

type Described = Messages['DescribeSegments']['response']['topics'][number]['partitions'][number];

/** A segment's file and its indexes. */
export type SegmentDescription = Readonly<Described['segments'][number]>;

/** Bytes of a segment that are not what was written; the offsets from `firstOffset` to before `nextOffset` cannot be read. */
export type DamagedPlace = Readonly<Described['damaged'][number]>;

/** How a reader finds an offset in the files: each null where there is none. */
export type PlaceOfOffset = Readonly<NonNullable<Described['place']>>;

export interface SegmentsOfPartition {
  readonly topic: string;
  readonly partition: number;
  /** Below the broker's data folder. */
  readonly folder: string;
  /** Oldest first. */
  readonly segments: readonly SegmentDescription[];
  /** Stored records that are damaged, as far as somebody has come upon them. */
  readonly damaged: readonly DamagedPlace[];
  /** Of the offset that was asked for; else null. */
  readonly place: PlaceOfOffset | null;
}

/** Refuses by name, before anything is sent, a broker that is no Millrace. @throws Fault notSupportedByBroker and what the broker says */
export async function askSegments(
  connection: Connection,
  topic: string,
  partition: number,
  offset: number,
): Promise<SegmentsOfPartition> {
  if (!connection.offers('DescribeSegments')) {
    throw new Fault('notSupportedByBroker', { detail: 'segments are told by Millrace alone, not by Apache Kafka' });
  }
  const asked = { topics: [{ name: topic, partitions: [{ partitionIndex: partition, offset }] }] };
  const answer = (await connection.request('DescribeSegments', asked)).topics[0]?.partitions[0];
  if (answer === undefined) throw new Fault('malformedResponse', { detail: 'DescribeSegments says nothing' });
  // The broker's text names its fault again.
  const fault = faultFromKafka(
    answer.errorCode,
    `topic ${topic}, partition ${partition}: ${answer.errorMessage ?? ''}`,
  );
  if (fault !== null) throw fault;
  const { folder, segments, damaged, place } = answer;
  return { topic, partition, folder, segments, damaged, place };
}
