import { expect, test } from "vitest";
import { changedFacts } from "../../src/customers/changed-facts.js";
import type { Metric, Model } from "../../src/customers/model.js";

const metric = (more: Partial<Metric>): Metric => ({
  from: "login",
  aggregate: "count",
  window: { amount: 7, unit: "d" },
  of: "account",
  title: "M",
  ...more,
});

const model: Model = {
  account: { timezone: { type: "string" }, live_date: { type: "date" }, name: { type: "string" } },
  contact: {},
  contract: {
    id: { type: "string" },
    end_date: { type: "date" },
    notice_days: { type: "number" },
    notice_date: { type: "date", derived: { date: "end_date", sign: -1, days: "notice_days" } },
    review_date: { type: "date", derived: { date: "start_date", sign: 1, days: "review_days" } },
  },
  roles: { contact: [], staff: [], pools: [] },
  metrics: {
    logins: metric({}),
    champion_logins: metric({ role: "champion" }),
    exports: metric({ from: "export" }),
  },
  milestones: {},
  events: {},
  outcomes: {},
};

test.each<[string, string[], string[]]>([
  ["nothing", [], []],
  ["a field", ["account.name"], ["account.name"]],
  ["each fact once, in order", ["account.tier", "account.name", "account.tier"], ["account.name", "account.tier"]],
  ["samples: the metrics made of them", ["sample:login"], ["usage.champion_logins", "usage.logins"]],
  ["samples that no metric counts", ["sample:other"], []],
  [
    "tickets",
    ["tickets"],
    ["tickets.closed_90d", "tickets.open", "tickets.opened_7d", "tickets.opened_90d", "tickets.weekly_mean_8w"],
  ],
  ["an answer", ["survey"], ["survey.csat", "survey.my_nps", "survey.nps", "survey.nps_at", "survey.nps_count"]],
  ["a goal", ["goals"], ["goals.count", "goals.on_track_share"]],
  ["the CSM: their name and manager too", ["account.csm"], ["account.csm", "account.csm_name", "account.manager"]],
  ["a contact's role: metrics of a role", ["contact.role"], ["contact.role", "usage.champion_logins"]],
  [
    "what decides the current contract: all its fields",
    ["contract.status"],
    ["contract.end_date", "contract.id", "contract.notice_date", "contract.notice_days", "contract.review_date"],
  ],
  ["days of a derived date", ["contract.notice_days"], ["contract.notice_date", "contract.notice_days"]],
  ["the date of a derived date", ["contract.start_date"], ["contract.review_date", "contract.start_date"]],
  [
    "the zone: every day is another instant",
    ["account.timezone"],
    ["account.live_date", "account.timezone", "contract.end_date", "contract.notice_date", "contract.review_date"],
  ],
])("%s", (_name, changed, expected) => {
  expect(changedFacts(model, changed)).toEqual(expected);
});

test("before a model is published there are the built-in fields only", () => {
  expect(changedFacts(undefined, ["sample:login", "account.timezone", "contact.role"])).toEqual([
    "account.timezone",
    "contact.role",
  ]);
  expect(changedFacts(undefined, ["contract.end_date"])).toEqual([
    "contract.arr",
    "contract.auto_renew",
    "contract.currency",
    "contract.end_date",
    "contract.id",
    "contract.notice_date",
    "contract.notice_days",
    "contract.renewal_date",
    "contract.start_date",
    "contract.status",
  ]);
});
