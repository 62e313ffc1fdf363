import type { Home, HomeTask } from "../../../src/ports/desk-home.js";
import type { TaskCard } from "../../../src/ports/composer.js";

export const CARD: TaskCard = {
  id: "8f14e45f-ceea-567a-9a36-dedd4bea2543",
  revision: 3,
  title: "Call the champion",
  text: "**Why now**: nobody signed in for 14 days.",
  status: "open",
  required: true,
  due: Date.parse("2026-03-06T16:00:00Z"),
  timezone: "Europe/Warsaw",
  locale: "en",
  assignee: { id: "csm-1", name: "Alice Kowalska", slackUserId: "UALICE" },
  snoozesLeft: 2,
  snoozeOptions: ["1 bd", "2 bd", "5 bd"],
  outcomes: [],
  escalated: 0,
  account: {
    id: "acme",
    name: "Acme",
    arr: 120_000,
    healthStatus: "red",
    healthScore: 38.2,
    healthChange7d: -12.4,
  },
  playbook: "churn-rescue",
  run: "run/churn-rescue/acme/k/1",
  step: "verify",
};

export const LONG = "long & <b> ".repeat(2_000);

export function homeTask(index: number, more: Partial<HomeTask> = {}): HomeTask {
  return {
    id: `task-${index}`,
    revision: 1,
    title: `Task ${index}`,
    account: "Acme",
    due: Date.parse("2026-03-06T16:00:00Z"),
    ...more,
  };
}

export const HOME: Home = {
  person: { name: "Alice Kowalska", timezone: "Europe/Warsaw", locale: "en" },
  at: Date.parse("2026-03-06T08:00:00Z"),
  overdue: [homeTask(1)],
  today: [homeTask(2)],
  snoozed: [homeTask(3, { snoozedUntil: Date.parse("2026-03-09T08:00:00Z") })],
  later: 4,
  accounts: [
    { name: "Acme", arr: 120_000, healthStatus: "red", healthScore: 38, healthChange7d: -12, openTasks: 2 },
    { name: "Globex", healthStatus: "green", openTasks: 0 },
  ],
};
