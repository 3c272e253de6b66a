import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type RunningServer, startServer } from '../../src/compose.ts';
import { handlers } from '../../src/server/handlers/index.ts';
import { adminScenarios } from './oracle/admin.ts';
import { consumerGroupScenarios } from './oracle/consumer-groups.ts';
import { groupMigrationScenarios } from './oracle/group-migration.ts';
import { groupScenarios } from './oracle/groups.ts';
import { type RunningKafka, runKafka, whyNoKafka } from './oracle/kafka.ts';
import { produceScenarios } from './oracle/produce.ts';
import { readScenarios } from './oracle/read.ts';
import { rebalanceScenarios } from './oracle/rebalances.ts';
import { type Scenario, Side } from './oracle/scenario.ts';

/*
 * The same requests to Apache Kafka and to us, in each version that both serve: error codes and the shape of results must be
 * the same, but where a scenario says why we differ, and then they must differ.
 */

const missing = whyNoKafka();
const scenarios = [
  ...produceScenarios,
  ...readScenarios,
  ...adminScenarios,
  ...groupScenarios,
  ...rebalanceScenarios,
  ...consumerGroupScenarios,
  ...groupMigrationScenarios,
].map((scenario, index) => [`${scenario.api}: ${scenario.says}`, scenario, index] as const);

describe.skipIf(missing !== null)(`as Apache Kafka answers${missing === null ? '' : ` (skipped: ${missing})`}`, () => {
  let kafka: RunningKafka;
  let ours: RunningServer;
  let theirSide: Side;
  let ourSide: Side;
  /** By API key, the first and last version that Kafka serves. */
  let theirVersions: Map<number, readonly [number, number]>;

  beforeAll(async () => {
    kafka = await runKafka();
    ours = await startServer({ listen: [{ host: '127.0.0.1', port: 0 }] });
    theirSide = new Side(kafka.port);
    ourSide = new Side(ours.addresses[0]!.port);
    const { apiKeys } = (await theirSide.ask('ApiVersions', 0, {}))!;
    theirVersions = new Map(apiKeys.map(({ apiKey, minVersion, maxVersion }) => [apiKey, [minVersion, maxVersion]]));
  });

  afterAll(async () => {
    await kafka?.stop();
    await ours?.close();
  });

  function versionsOf({ api, versions }: Scenario): readonly number[] {
    if (versions !== undefined) return versions;
    const handler = handlers.find((each) => each.api === api)!;
    const [theirFirst, theirLast] = theirVersions.get(handler.key)!;
    const [first, last] = [Math.max(theirFirst, handler.versions[0]), Math.min(theirLast, handler.versions[1])];
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  }

  test.each(scenarios)('%s', async (_, scenario, index) => {
    for (const version of versionsOf(scenario)) {
      const place = { topic: `s${index}-${version}`, version };
      const [expected, found] = [await scenario.run(theirSide, place), await scenario.run(ourSide, place)];
      if (scenario.differs === undefined) expect(found, `version ${version}`).toEqual(expected);
      else expect(found, `version ${version}: ${scenario.differs}`).not.toEqual(expected);
    }
  });

  test('nothing of it stopped the broker', () => expect(ours.broker.stopped).toBeNull());
});
