import { type Call, HistoryRecorder, type Kind, type Moment, type Pending } from './history.ts';
import type { Trace } from './trace.ts';

/** What is no work that a client gives the broker, or hardly any. */
const NOTED = new Set<Kind>([
  ...['crash', 'flip', 'owns', 'heartbeat', 'quiet', 'mayExpireOffsets', 'mayForget', 'metadata', 'cleaned'],
] as const);

/** A history of which the trace tells each beginning and end. */
export class TracedHistory extends HistoryRecorder {
  readonly #trace: Trace;
  /** Operations begun, but for those that are only noted. */
  begun = 0;
  /** Operations that succeeded. */
  succeeded = 0;

  constructor(now: () => Moment, trace: Trace) {
    super(now);
    this.#trace = trace;
  }

  override invoke<K extends Kind>(process: number, kind: K, call: Call<K>): Pending<K> {
    const number = this.begun;
    if (!NOTED.has(kind)) this.begun += 1;
    this.#trace.add(`begin ${number} ${process} ${kind} ${JSON.stringify(call)}`);
    const pending = super.invoke(process, kind, call);
    return {
      ok: (result) => {
        if (!NOTED.has(kind)) this.succeeded += 1;
        this.#trace.add(`ok ${number} ${JSON.stringify(result)}`);
        pending.ok(result);
      },
      fail: (error) => {
        this.#trace.add(`fail ${number} ${error}`);
        pending.fail(error);
      },
      info: (error) => {
        this.#trace.add(`info ${number} ${error}`);
        pending.info(error);
      },
    };
  }
}
