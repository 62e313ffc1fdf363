import { chmodSync, existsSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { findTemporalCli } from "../../src/local/find-temporal-cli.js";
import { startTemporal } from "../../src/local/temporal.js";
import { DAY_MS } from "../../src/values/instant.js";
import { SHIPPED_SCENARIOS } from "../scenarios/shipped.js";
import { temporalSimulator } from "../support/temporal-simulation.js";
import { shippedSetting } from "../support/workspace.js";
import { keepHistory, recordedBytes, recordedHistories, RELEASE } from "./history-files.js";
import { openStage, type Stage } from "./stage.js";
import { STORIES } from "./stories.js";
import { workflowBundle } from "../support/workflow-bundle.js";

/** Three stories of each shipped playbook, by the name their histories are kept under. */
const SHIPPED = SHIPPED_SCENARIOS.filter(
  ({ playbook }, i) => SHIPPED_SCENARIOS.slice(0, i).filter((one) => one.playbook === playbook).length < 3,
).map((one) => ({ ...one, name: one.scenario.name.replace(/[^a-z0-9]+/gi, "-") }));

const known = new Set(recordedHistories().map(({ file }) => file));
const isMissing = ({ name }: { readonly name: string }): boolean => !known.has(`${RELEASE}/${name}`);

test("every story has its history, within a megabyte", () => {
  if (process.env["WAYPOST_RECORD"] === "1") return;
  expect([...SHIPPED, ...STORIES].filter(isMissing).map(({ name }) => name)).toEqual([]);
  expect(recordedBytes()).toBeLessThan(1_000_000);
});

/** Only what has no history yet: to record one anew, delete its file first, and say in the commit why. */
describe.runIf(process.env["WAYPOST_RECORD"] === "1")(`recording for ${RELEASE}`, () => {
  const address = inject("temporalAddress") ?? "";
  let stage: Stage;
  beforeAll(async () => {
    stage = await openStage(address, await workflowBundle());
  });
  afterAll(() => stage.close());

  test.each(STORIES.filter(({ isLong }) => isLong !== true).filter(isMissing))(
    "$name",
    { timeout: 120_000 },
    async (story) => {
      const run = await stage.run(story.name, story);
      await story.play(run);
      const histories = await run.histories();
      expect(histories).toHaveLength(1);
      for (const history of histories) keepHistory(story.name, history);
    },
  );

  test.each(STORIES.filter(({ isLong }) => isLong === true).filter(isMissing))(
    "$name",
    { timeout: 240_000 },
    async (story) => {
      const server = await serverThatSuggestsEarly();
      const own = await openStage(server.address, await workflowBundle());
      try {
        const run = await own.run(story.name, story);
        await story.play(run);
        const histories = await run.histories();
        expect(histories.length).toBeGreaterThan(2);
        histories
          .slice(0, 3)
          .forEach((history, i) => keepHistory(`${story.name}${i === 0 ? "" : `.${i + 1}`}`, history));
      } finally {
        await own.close();
        await server.stop();
      }
    },
  );

  test("the shipped playbooks", { timeout: 240_000 }, async () => {
    const missing = SHIPPED.filter(isMissing);
    const ids = new Map<string, string>();
    const simulator = await temporalSimulator(address);
    try {
      await Promise.all(
        missing.map(async ({ name, playbook, scenario }) => {
          const setting = shippedSetting();
          const plans = setting.plans
            .filter((plan) => plan.playbook === playbook)
            .map((plan) => ({ ...plan, enroll: { ...plan.enroll, when: [{ kind: "manual" as const }] } }));
          await simulator.simulate(
            { ...setting, plans },
            { ...scenario, until: scenario.at + 330 * DAY_MS },
            80,
            (id) => {
              if (!ids.has(name)) ids.set(name, id);
            },
          );
        }),
      );
      for (const [name, id] of ids) keepHistory(name, await stage.client.workflow.getHandle(id).fetchHistory());
    } finally {
      await simulator.close();
    }
    expect([...ids.keys()].sort()).toEqual(missing.map(({ name }) => name).sort());
  });
});

/** A Temporal server that finds a history long after forty events. */
async function serverThatSuggestsEarly() {
  const folder = mkdtempSync(join(tmpdir(), "waypost-record-"));
  const cli = join(folder, "temporal-early");
  const { path } = await findTemporalCli({ log: (line) => console.error(line) });
  if (!existsSync(path)) throw new Error(`no Temporal CLI at ${path}`);
  writeFileSync(
    cli,
    `#!/bin/sh\nexec "${path}" "$@" --dynamic-config-value limit.historyCount.suggestContinueAsNew=40\n`,
  );
  chmodSync(cli, 0o755);
  return startTemporal({
    folder,
    findCli: async () => ({ path: cli }),
    uiPort: "none",
    environment: {},
    log: (line) => console.error(line),
  });
}
