import { Fault } from '../../base/faults.ts';
import type { Committer, Effect, Group } from './group.ts';

/** A group of the classic protocol, or one that only holds offsets. */
export class ClassicGroup implements Group {
  readonly kind = 'classic';
  readonly id: string;

  constructor(id: string) {
    this.id = id;
  }

  get stateName(): string {
    return 'Empty';
  }

  get protocolType(): string {
    return '';
  }

  get isEmpty(): boolean {
    return true;
  }

  get isVoid(): boolean {
    return true;
  }

  get wakeAtMs(): number {
    return Infinity;
  }

  wake(): readonly Effect[] {
    return [];
  }

  checkCommit({ generation }: Committer): void {
    if (generation >= 0) throw new Fault('unknownMember');
  }

  checkFetch(): void {}

  checkOffsetDelete(): void {}

  checkDelete(): void {}

  isSubscribedTo(): boolean {
    return false;
  }

  unusedSinceMs(committedAtMs: number): number | null {
    return committedAtMs;
  }
}
