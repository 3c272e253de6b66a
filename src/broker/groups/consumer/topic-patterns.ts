import { Fault } from '../../../base/faults.ts';
import { invariant } from '../../../base/invariant.ts';
import { limits } from '../../../base/limits.ts';

type Engine = typeof import('re2js').RE2JS;
type Compiled = ReturnType<Engine['compile']>;

interface Known {
  readonly compiled: Compiled;
  /** The names that it was tried on. */
  tried: ReadonlySet<string>;
  matched: ReadonlySet<string>;
}

/** All topics; `version` is another number after each that comes or goes. */
interface NamedTopics extends Iterable<{ readonly name: string }> {
  readonly version: number;
}

/**
 * Patterns of topic names in RE2's syntax (KIP-848), matched in time linear in the name. Each is tried on each name once,
 * however often topics come and go.
 */
export class TopicPatterns {
  #engine: Engine | null = null;
  readonly #topics: NamedTopics;
  #all: { readonly version: number; readonly names: ReadonlySet<string> } | null = null;
  /** The one used last is last. */
  readonly #known = new Map<string, Known>();

  constructor(topics: NamedTopics) {
    this.#topics = topics;
  }

  /** Loads the engine: before patterns that were found good earlier are matched. */
  async load(): Promise<void> {
    this.#engine ??= (await import('re2js')).RE2JS;
  }

  /** @throws Fault invalidRegularExpression */
  async check(pattern: string): Promise<void> {
    await this.load();
    this.#compile(pattern);
  }

  /** The names of topics that a pattern matches whole; none for a pattern that is not good. */
  matching(pattern: string): ReadonlySet<string> {
    let known = this.#known.get(pattern);
    if (known === undefined) {
      try {
        known = { compiled: this.#compile(pattern), tried: new Set(), matched: new Set() };
      } catch (error) {
        if (error instanceof Fault) return new Set();
        throw error;
      }
    }
    const names = this.#allNames();
    if (known.tried !== names) {
      const { compiled, tried, matched } = known;
      const matches = (name: string) => (tried.has(name) ? matched.has(name) : compiled.testExact(name));
      known.matched = new Set(Array.from(names).filter(matches));
      known.tried = names;
    }
    this.#known.delete(pattern);
    this.#known.set(pattern, known);
    if (this.#known.size > limits.topicPatternsMax) this.#known.delete(this.#known.keys().next().value!);
    return known.matched;
  }

  #allNames(): ReadonlySet<string> {
    const { version } = this.#topics;
    if (this.#all?.version !== version)
      this.#all = { version, names: new Set(Array.from(this.#topics, ({ name }) => name)) };
    return this.#all.names;
  }

  #compile(pattern: string): Compiled {
    invariant(this.#engine !== null, 'a pattern is matched before the engine is loaded');
    if (pattern.length > limits.topicPatternCharactersMax) {
      throw new Fault('invalidRegularExpression', {
        detail: `it has ${pattern.length} characters; ${limits.topicPatternCharactersMax} is the limit`,
      });
    }
    let compiled: Compiled;
    try {
      compiled = this.#engine.compile(pattern);
    } catch (cause) {
      const detail = cause instanceof Error ? cause.message : pattern;
      throw new Fault('invalidRegularExpression', { detail, cause });
    }
    if (compiled.programSize() > limits.topicPatternInstructionsMax) {
      throw new Fault('invalidRegularExpression', { detail: 'its repetitions make it too large' });
    }
    return compiled;
  }
}
