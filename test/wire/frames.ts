import { Fault } from '../../src/base/faults.ts';
import {
  decodeRequest,
  decodeResponse,
  encodeRequest,
  encodeResponse,
  readRequestHeader,
} from '../../src/wire/codec.ts';
import type { ApiName } from '../../src/wire/messages.generated.ts';
import type { Direction } from './arbitrary-message.ts';

/** The frame of a message, without its length. */
export function frameOf(api: ApiName, version: number, direction: Direction, draft: object): Buffer {
  const pieces =
    direction === 'request' ? encodeRequest(api, version, 5, 'me', draft) : encodeResponse(api, version, 5, draft);
  return Buffer.concat(pieces).subarray(4);
}

export function messageIn(api: ApiName, version: number, direction: Direction, frame: Buffer): object {
  if (direction === 'response') return decodeResponse(api, version, frame).message;
  return decodeRequest(api, version, frame, readRequestHeader(frame).bodyStart);
}

/** The fault that a call ends in; any other end fails the test. */
export function faultOf(action: () => unknown): Fault {
  try {
    action();
  } catch (error) {
    if (error instanceof Fault) return error;
    throw error;
  }
  throw new Error('it did not fault');
}
