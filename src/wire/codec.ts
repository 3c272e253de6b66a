import { Fault } from '../base/faults.ts';
import { invariant } from '../base/invariant.ts';
import { kafkaErrors } from '../base/kafka-errors.ts';
import { limits } from '../base/limits.ts';
import { FrameReader } from './frame-reader.ts';
import { FrameWriter } from './frame-writer.ts';
import { compileCompletion, compileMessage, type MessageCodec } from './message-compiler.ts';
import { type ApiFacts, type ApiName, apis, type Messages } from './messages.generated.ts';
import { apiSchema, includes } from './schema.ts';

/** A message of which any field may be missing, and then takes its default. */
export type Draft<T> = T extends string | number | boolean | null | Buffer | readonly Buffer[]
  ? T
  : T extends readonly (infer Element)[]
    ? readonly Draft<Element>[]
    : { readonly [Key in keyof T]?: Draft<T[Key]> | undefined };

export interface RequestHeader {
  apiKey: number;
  apiVersion: number;
  correlationId: number;
  clientId: string | null;
  /** Where in the frame the request itself begins. */
  bodyStart: number;
}

type Direction = 'request' | 'response';

const nameByKey = new Map<number, ApiName>(Object.entries(apis).map(([name, { key }]) => [key, name as ApiName]));

/** The API with this key; null for one that we do not know. */
export function apiByKey(key: number): ApiName | null {
  return nameByKey.get(key) ?? null;
}

/** The versions that we can encode and decode, both inclusive. */
export function versionsOf(api: ApiName): readonly [first: number, last: number] {
  return apis[api].versions;
}

export function hasVersion(api: ApiName, version: number): boolean {
  const [first, last] = versionsOf(api);
  return first <= version && version <= last;
}

function isFlexible(api: ApiName, version: number): boolean {
  const { flexibleFrom }: ApiFacts = apis[api];
  return flexibleFrom !== null && version >= flexibleFrom;
}

// Compiled on first use, and then the same for every broker and client in the process.
const codecs: Record<Direction, Map<ApiName, MessageCodec[]>> = { request: new Map(), response: new Map() };
const completions: Record<Direction, Map<ApiName, (draft: object) => unknown>> = {
  request: new Map(),
  response: new Map(),
};
const writer = new FrameWriter();

function codecOf(api: ApiName, direction: Direction, version: number): MessageCodec {
  let byVersion = codecs[direction].get(api);
  if (byVersion === undefined) {
    byVersion = [];
    codecs[direction].set(api, byVersion);
  }
  return (byVersion[version] ??= compile(api, direction, version));
}

function compile(api: ApiName, direction: Direction, version: number): MessageCodec {
  invariant(hasVersion(api, version), 'no such version', { api, version });
  const schema = apiSchema(api);
  return compileMessage(schema[direction], version, includes(schema.flexible, version));
}

/**
 * A whole frame with its length, in pieces to be written one after another; record buffers are pieces of their own, not copied.
 * @throws InvariantError when a value does not fit its field, or a field that the version lacks has a value that may not be dropped;
 *   Fault `invalidArgument` when a string has more than 32,767 bytes.
 */
export function encodeRequest<A extends ApiName>(
  api: A,
  version: number,
  correlationId: number,
  clientId: string | null,
  message: Draft<Messages[A]['request']>,
): Buffer[] {
  const codec = codecOf(api, 'request', version);
  writer.begin();
  writer.int16(apis[api].key, 'requestApiKey');
  writer.int16(version, 'requestApiVersion');
  writer.int32(correlationId, 'correlationId');
  // The client id never became compact, not even in header v2.
  if (clientId === null) writer.length16(-1, 'clientId');
  else writer.string(clientId, 'clientId');
  if (isFlexible(api, version)) writer.uvarint(0);
  codec.encode(writer, message);
  return writer.finish();
}

/**
 * `frame` comes without its length. A request of an API or a version that we do not know is read as one with header v1,
 * which is enough to answer it.
 * @throws Fault `malformedRequest`
 */
export function readRequestHeader(frame: Buffer): RequestHeader {
  const reader = new FrameReader(frame, 0, 'malformedRequest');
  const apiKey = reader.int16();
  const apiVersion = reader.int16();
  const correlationId = reader.int32();
  const clientId = reader.nullableString(reader.length16(), 'clientId');
  const api = apiByKey(apiKey);
  if (api !== null && hasVersion(api, apiVersion) && isFlexible(api, apiVersion)) reader.skipTags();
  return { apiKey, apiVersion, correlationId, clientId, bodyStart: reader.position };
}

/**
 * `frame` comes without its length; `bodyStart` is what readRequestHeader found. Bytes and records are views of the frame.
 * @throws Fault `unsupportedVersion`, `malformedRequest`
 */
export function decodeRequest<A extends ApiName>(
  api: A,
  version: number,
  frame: Buffer,
  bodyStart: number,
): Messages[A]['request'] {
  return readRequest(api, version, frame, bodyStart).message;
}

/** As decodeRequest; `elements` are the structs and strings in its arrays, which are what it costs to hold and to answer. */
export function readRequest<A extends ApiName>(
  api: A,
  version: number,
  frame: Buffer,
  bodyStart: number,
  elementsMax: number = limits.requestElementsMax,
): { message: Messages[A]['request']; elements: number } {
  if (!hasVersion(api, version)) throw new Fault('unsupportedVersion', { detail: `${api} ${version}` });
  const reader = new FrameReader(frame, bodyStart, 'malformedRequest', elementsMax);
  const message = codecOf(api, 'request', version).decode(reader) as Messages[A]['request'];
  return { message, elements: reader.elements };
}

/** As encodeRequest. */
export function encodeResponse<A extends ApiName>(
  api: A,
  version: number,
  correlationId: number,
  message: Draft<Messages[A]['response']>,
): Buffer[] {
  const codec = codecOf(api, 'response', version);
  writer.begin();
  writer.int32(correlationId, 'correlationId');
  if (hasTaggedResponseHeader(api, version)) writer.uvarint(0);
  codec.encode(writer, message);
  return writer.finish();
}

/**
 * `frame` comes without its length; `version` is that of the request. Bytes and records are views of the frame.
 * @throws Fault `malformedResponse`
 */
export function decodeResponse<A extends ApiName>(
  api: A,
  version: number,
  frame: Buffer,
): { correlationId: number; message: Messages[A]['response'] } {
  const reader = new FrameReader(frame, 0, 'malformedResponse');
  const correlationId = reader.int32();
  if (hasTaggedResponseHeader(api, version)) reader.skipTags();
  const bodyVersion = api === 'ApiVersions' && isVersionRefusal(frame) ? 0 : version;
  const message = codecOf(api, 'response', bodyVersion).decode(reader) as Messages[A]['response'];
  return { correlationId, message };
}

/**
 * The whole message that the other side would decode from the draft; for a client and a broker with no wire between.
 * @throws Fault invalidArgument for a request with a value that is not of its type
 */
export function complete<A extends ApiName, D extends Direction>(
  api: A,
  direction: D,
  draft: Draft<Messages[A][D]>,
): Messages[A][D] {
  let completion = completions[direction].get(api);
  if (completion === undefined) {
    const schema = apiSchema(api);
    // What a client asks for may come from a user's own values; what the broker answers is its own.
    completion = compileCompletion(schema[direction], schema.versions, direction === 'request');
    completions[direction].set(api, completion);
  }
  return completion(draft) as Messages[A][D];
}

/** A client that asks ApiVersions knows nothing of the broker yet, so that response keeps the oldest header. */
function hasTaggedResponseHeader(api: ApiName, version: number): boolean {
  return api !== 'ApiVersions' && isFlexible(api, version);
}

/** A broker that does not know the asked version of ApiVersions answers in version 0, with this error in its first field. */
function isVersionRefusal(frame: Buffer): boolean {
  return frame.length >= 6 && frame.readInt16BE(4) === kafkaErrors.UNSUPPORTED_VERSION.code;
}
