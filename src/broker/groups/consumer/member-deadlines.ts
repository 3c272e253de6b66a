/**
 * Until when each member must do what:
 * - `session`: send a sign of life;
 * - `revocation`: say that it gave up what it was told to;
 * - `join`, `sync`: send that request, for a member that speaks the classic protocol.
 */
export type DeadlineName = 'session' | 'revocation' | 'join' | 'sync';

type Deadlines = Partial<Record<DeadlineName, number>>;

/** The deadlines of a group's members. They are not stored: after a start they begin anew. */
export class MemberDeadlines {
  readonly #byMember = new Map<string, Deadlines>();
  /** No deadline is before it; those that were put off are found out when it is reached. */
  #earliestMs = Infinity;

  get earliestMs(): number {
    return this.#earliestMs;
  }

  set(memberId: string, name: DeadlineName, atMs: number): void {
    const deadlines = this.#byMember.get(memberId);
    if (deadlines === undefined) this.#byMember.set(memberId, { [name]: atMs });
    else deadlines[name] = atMs;
    this.#earliestMs = Math.min(this.#earliestMs, atMs);
  }

  has(memberId: string, name: DeadlineName): boolean {
    return this.#byMember.get(memberId)?.[name] !== undefined;
  }

  clear(memberId: string, name: DeadlineName): void {
    const deadlines = this.#byMember.get(memberId);
    if (deadlines !== undefined) delete deadlines[name];
  }

  forget(memberId: string): void {
    this.#byMember.delete(memberId);
  }

  /** The members that missed a deadline, each with the first that it missed; they keep it until they are forgotten. */
  missed(nowMs: number): Map<string, DeadlineName> {
    const missed = new Map<string, DeadlineName>();
    let earliestMs = Infinity;
    for (const [memberId, deadlines] of this.#byMember) {
      for (const [name, atMs] of Object.entries(deadlines) as [DeadlineName, number][]) {
        if (atMs <= nowMs) missed.set(memberId, missed.get(memberId) ?? name);
        else earliestMs = Math.min(earliestMs, atMs);
      }
    }
    this.#earliestMs = earliestMs;
    return missed;
  }
}
