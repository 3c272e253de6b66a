import { describe, expect, test } from 'vitest';
import {
  complete,
  type Draft,
  decodeRequest,
  decodeResponse,
  encodeRequest,
  encodeResponse,
  readRequestHeader,
  versionsOf,
} from '../../src/wire/codec.ts';
import { type ApiName, apis, type Messages } from '../../src/wire/messages.generated.ts';
import { OWN_KEY_FIRST } from '../../src/wire/own-apis.ts';
import { apiSchema, type FieldType } from '../../src/wire/schema.ts';
import { type Golden, goldens } from './goldens.ts';

/** Kafka's JSON says of records only that they are there. */
const RECORDS = Buffer.from('the records of a partition');

const kafkaApis = (Object.keys(apis) as ApiName[]).filter((api) => apis[api].key < OWN_KEY_FIRST);

/** Versions of Kafka 4.4, which 4.3.1 does not know; round trips alone cover them. */
const withoutGolden = ['TxnOffsetCommit 6', 'DeleteGroups 3'];

/** Fields that 4.4 calls otherwise. */
const renamed = new Map([['generationId', 'generationIdOrMemberEpoch']]);

function fromJson(type: FieldType, json: unknown): unknown {
  if (json === null) return null;
  if (type.kind === 'array') return (json as unknown[]).map((element) => fromJson(type.of, element));
  if (type.kind === 'bytes') return Buffer.from(json as string, 'base64');
  if (type.kind === 'records') return [RECORDS];
  if (type.kind !== 'struct') return json;
  const fields = Object.entries(json as object).map(([jsonName, value]) => {
    const field =
      type.fields.find(({ name }) => name === jsonName) ??
      type.fields.find(({ name }) => name === renamed.get(jsonName));
    return [field!.name, fromJson(field!.type, value)];
  });
  return Object.fromEntries(fields);
}

function messageOf<A extends ApiName>({ api, direction, message }: Golden & { api: A }) {
  return complete(
    api,
    direction,
    fromJson(apiSchema(api)[direction], message) as Draft<Messages[A]['request' | 'response']>,
  );
}

describe.each(kafkaApis)('%s', (api) => {
  const ofApi = goldens.filter((golden) => golden.api === api);

  test.each(ofApi)('$direction $version $variant: read as Kafka meant it', (golden) => {
    const frame = Buffer.from(golden.frame, 'base64');
    if (golden.direction === 'request') {
      const header = readRequestHeader(frame);
      expect(header).toMatchObject({
        apiKey: apis[api].key,
        apiVersion: golden.version,
        correlationId: 77,
        clientId: 'golden',
      });
      expect(decodeRequest(api, golden.version, frame, header.bodyStart)).toEqual(messageOf(golden));
    } else {
      expect(decodeResponse(api, golden.version, frame)).toEqual({ correlationId: 77, message: messageOf(golden) });
    }
  });

  test.each(ofApi)('$direction $version $variant: written as Kafka writes it', (golden) => {
    const draft = fromJson(apiSchema(api)[golden.direction], golden.message) as Draft<object>;
    const pieces =
      golden.direction === 'request'
        ? encodeRequest(api, golden.version, 77, 'golden', draft)
        : encodeResponse(api, golden.version, 77, draft);
    const [length, frame] = [Buffer.concat(pieces).subarray(0, 4), Buffer.concat(pieces).subarray(4)];
    expect(frame.toString('base64')).toBe(golden.frame);
    expect(length.readInt32BE()).toBe(frame.length);
  });
});

test('every version has its golden bytes, but those that the compared Kafka does not know', () => {
  const covered = new Set(
    goldens.map(({ api, direction, version, variant }) => `${api} ${version} ${direction} ${variant}`),
  );
  const missing = kafkaApis.flatMap((api) => {
    const [first, last] = versionsOf(api);
    const versions = Array.from({ length: last - first + 1 }, (_, i) => first + i);
    const isCovered = (version: number) =>
      ['request', 'response'].every((direction) =>
        ['full', 'empty', 'nulls'].every((variant) => covered.has(`${api} ${version} ${direction} ${variant}`)),
      );
    return versions.filter((version) => !isCovered(version)).map((version) => `${api} ${version}`);
  });
  expect(missing).toEqual(withoutGolden);
});
