import { expect, test } from "vitest";
import { workspaceOf } from "../../src/operations/publish-files.js";
import type { Scenario } from "../../src/simulation/records.js";
import { DAY_MS } from "../../src/values/instant.js";
import { shippedFiles, shippedSetting, shippedWorkspace } from "../support/workspace.js";
import { isolated } from "./isolate.js";
import { walkBoth } from "./walk-both.js";

const at = Date.parse("2026-03-02T09:00:00Z");
const scenario: Scenario = {
  name: "never books",
  at,
  until: at + 60 * DAY_MS,
  given: {
    users: [
      { id: "csm-1", name: "Ola Nowak", email: "ola@waypost.example", timezone: "Europe/Warsaw", managerId: "boss" },
      { id: "boss", name: "Jan Boss", email: "jan@waypost.example", timezone: "Europe/Warsaw" },
    ],
    accounts: [
      {
        id: "a1",
        fields: { name: "Acme", touch_model: "high", is_test: false, timezone: "Europe/Warsaw", csm: "csm-1" },
      },
    ],
    contacts: [
      {
        id: "p1",
        accountId: "a1",
        fields: { first_name: "Ewa", name: "Ewa Lis", role: "champion", email: "ewa@acme.example", locale: "pl" },
      },
    ],
    contracts: [
      {
        id: "c1",
        accountId: "a1",
        fields: { status: "active", end_date: "2027-03-01", notice_days: 60, arr: 60000, currency: "EUR" },
      },
    ],
  },
  script: [
    {
      kind: "event",
      id: "e1",
      name: "contract.signed",
      at,
      accountId: "a1",
      contractId: "c1",
      payload: { contract_id: "c1" },
    },
    {
      kind: "event",
      id: "e2",
      name: "contract.voided",
      at: at + 28 * DAY_MS,
      accountId: "a1",
      contractId: "c1",
      payload: { contract_id: "c1" },
    },
  ],
  reactions: [
    { step: "*", to: "task", after: { amount: 3, unit: "h" }, do: { kind: "complete", outcome: "real", note: "done" } },
  ],
};

test("one", async () => {
  const { configurations, ...rest } = workspaceOf(shippedWorkspace(), shippedFiles());
  const { health: _, ...others } = configurations as Record<string, unknown>;
  const walked = await walkBoth({
    workspace: { ...rest, configurations: others as typeof configurations },
    setting: shippedSetting(),
    scenarios: [isolated(scenario, "one")],
    daysPerSecond: 5,
  });
  for (const one of walked) {
    console.log([...one.simulated].map(([run, lines]) => `${run}\n${lines.join("\n")}`).join("\n\n"));
    if (one.difference) console.log(`DIFF\n${one.difference}`);
  }
  expect(walked.map((one) => one.difference)).toEqual([undefined]);
}, 120_000);
