import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { type HistorySize, historySize } from "../../bench/history-size.js";
import { benchWorkspace, type FlowName, playbookOf } from "../../bench/playbooks.js";
import { enrol } from "../../src/operations/enrol.js";
import { publishFiles } from "../../src/operations/publish-files.js";
import { upsertCustomers } from "../../src/operations/upsert-customers.js";
import { startWholeSystem, type WholeSystem } from "../support/whole-system.js";

/** What `npm run bench -- history` measures, without its references: a run that costs more than this has to be meant. */
const FLOWS = ["reference", "ten", "ten_effects", "forty_effects"] as const satisfies readonly FlowName[];

const sizes = {} as Record<(typeof FLOWS)[number], HistorySize>;
let system: WholeSystem;

beforeAll(async () => {
  system = await startWholeSystem({
    scale: 1,
    domainOrigin: Date.now(),
    prepare: async ({ wired }) => {
      const { kind } = await publishFiles(wired, benchWorkspace(), "test");
      expect(kind).toBe("published");
      const { refused } = await upsertCustomers(
        wired,
        {
          users: [{ id: "ann", name: "Ann Ames", email: "ann@waypost.example" }],
          accounts: [{ id: "a-1", fields: { name: "Acme", timezone: "UTC", locale: "en", arr: 1_000, csm: "ann" } }],
          contacts: [
            { id: "c-1", accountId: "a-1", fields: { name: "Pat", email: "pat@acme.example", role: "champion" } },
          ],
        },
        { source: "test" },
      );
      expect(refused).toEqual([]);
    },
  });
  const { store, clock, temporal } = system.wired;
  for (const flow of FLOWS) {
    const now = clock.now();
    const request = { playbook: playbookOf(flow), accountId: "a-1", at: now, cause: flow, source: "test" };
    const outcome = await store.transaction((tx) => enrol(store, tx, request, now));
    if (outcome.kind !== "enrolled") throw new Error(JSON.stringify(outcome));
    const { run } = outcome;
    const isOver = async () => (await store.read((tx) => store.runs.get(tx, run)))?.status === "ended";
    await vi.waitUntil(isOver, { timeout: 60_000, interval: 50 });
    await temporal.workflow.getHandle(run).result();
    sizes[flow] = await historySize(temporal, run);
  }
}, 180_000);
afterAll(() => system?.stop());

test("4 e-mails, 2 waits and a branch are 18 events: at most 22 were promised", () => {
  expect(sizes.reference.events).toBe(18);
});

test("ten steps (4 effects, 3 waits, 3 pure) are 24 events and at most 5,500 bytes beyond the plan", () => {
  expect(sizes.ten.events).toBe(24);
  expect(sizes.ten.planBytes).toBeGreaterThan(300);
  expect(sizes.ten.bytes - sizes.ten.planBytes).toBeLessThanOrEqual(5_500);
});

test("40 effects take at most 4.2 times the bytes of 10", () => {
  expect(sizes.forty_effects.bytes / sizes.ten_effects.bytes).toBeLessThanOrEqual(4.2);
  expect(system.mailbox.stats()).toMatchObject({ messages: 58, duplicated: 0 });
});
