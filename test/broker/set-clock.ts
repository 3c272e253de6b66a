import { ManualClock } from '../log/support.ts';

/** A clock whose wall time can be set, while what really passes goes on as it did. */
export class SetClock extends ManualClock {
  offMs = 0;

  override wallMs(): number {
    return super.wallMs() + this.offMs;
  }
}
