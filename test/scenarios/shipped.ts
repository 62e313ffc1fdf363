import type { Given, GivenEntity, Reaction, Scenario, Scripted } from "../../src/simulation/records.js";
import { parseDuration } from "../../src/values/duration.js";
import { parseInstant } from "../../src/values/instant.js";

/** A story for one of the shipped playbooks, and how its first run must end (undefined: it still waits or needs a person). */
export interface ShippedScenario {
  readonly playbook: string;
  readonly scenario: Scenario;
  readonly outcome: string | undefined;
}

const at = (text: string): number => {
  const instant = parseInstant(text.length === 10 ? `${text}T08:00:00Z` : text);
  if (instant === undefined) throw new Error(`no instant: ${text}`);
  return instant;
};
const span = (text: string) => {
  const duration = parseDuration(text);
  if (duration === undefined) throw new Error(`no duration: ${text}`);
  return duration;
};

type Fields = Readonly<Record<string, string | number | boolean | null>>;

const given = (account: Fields, contract: Fields = {}, more: Partial<Given> = {}): Given => ({
  users: [
    { id: "u1", name: "Ann", email: "ann@waypost.example", timezone: "Europe/Warsaw", managerId: "u2" },
    { id: "u2", name: "Bob", email: "bob@waypost.example", timezone: "Europe/London" },
  ],
  accounts: [
    {
      id: "a1",
      fields: { name: "Acme", timezone: "Europe/Warsaw", csm: "u1", is_test: false, ...account },
      roles: { account_executive: "u2", executive_sponsor: "u2" },
    },
  ],
  contacts: ["champion", "economic_buyer", "admin", "end_user", "executive_sponsor"].map((role, i) => ({
    id: `c${i + 1}`,
    accountId: "a1",
    fields: {
      role,
      name: `Person ${i + 1}`,
      email: `${role}@acme.example`,
      is_active: true,
      ...(i % 2 === 0 ? { locale: "pl" } : { timezone: "America/New_York" }),
    },
  })),
  contracts: [{ id: "k1", accountId: "a1", fields: { status: "active", currency: "EUR", arr: 60_000, ...contract } }],
  ...more,
});

let count = 0;
const event = (
  name: string,
  when: string,
  payload: Readonly<Record<string, string | number | boolean>> = {},
  more: { contactId?: string; contractId?: string } = {},
): Scripted => ({
  kind: "event",
  id: `${name}/${++count}`,
  at: at(when),
  name,
  accountId: "a1",
  payload,
  ...more,
});
const change = (when: string, fields: Fields): Scripted => ({
  kind: "upsert",
  id: `change/${++count}`,
  at: at(when),
  rows: { accounts: [{ id: "a1", fields }] },
});
const contractChange = (when: string, fields: Fields): Scripted => ({
  kind: "upsert",
  id: `change/${++count}`,
  at: at(when),
  rows: { contracts: [{ id: "k1", accountId: "a1", fields }] },
});
const closes = (step: string, after: string, outcome?: string): Reaction => ({
  step,
  to: "task",
  after: span(after),
  do: { kind: "complete", note: "n", ...(outcome === undefined ? {} : { outcome }) },
});
const answers = (step: string, after: string, what: Reaction["do"]): Reaction => ({
  step,
  to: "email",
  after: span(after),
  do: what,
});

const story = (
  playbook: string,
  name: string,
  from: string,
  until: string,
  world: Given,
  outcome: string | undefined,
  what: {
    script?: readonly Scripted[];
    reactions?: readonly Reaction[];
    contactId?: string;
    inputs?: Readonly<Record<string, string>>;
  } = {},
): ShippedScenario => ({
  playbook,
  outcome,
  scenario: {
    name: `${playbook}: ${name}`,
    at: at(from),
    until: at(until),
    given: world,
    script: what.script ?? [],
    reactions: what.reactions ?? [],
    enrolments: [
      {
        at: at(from),
        playbook,
        accountId: "a1",
        ...(what.contactId === undefined ? {} : { contactId: what.contactId }),
        ...(what.inputs === undefined ? {} : { inputs: what.inputs }),
      },
    ],
  },
});

const high = given({ touch_model: "high", tier: "enterprise" });
const onboarding = (name: string, outcome: string | undefined, what: Parameters<typeof story>[6] = {}, world = high) =>
  story("onboarding-high-touch", name, "2026-03-02", "2026-08-01", world, outcome, what);
const diligent = [
  closes("handoff", "5h"),
  closes("kickoff_meeting", "30h"),
  closes("notes", "6h"),
  closes("integrate", "80h"),
  closes("training_session", "50h", "trained"),
];

const low = given({ touch_model: "low", tier: "starter", arr: 12_000 });
const lowTouch = (name: string, outcome: string | undefined, what: Parameters<typeof story>[6] = {}) =>
  story("onboarding-low-touch", name, "2026-03-02", "2026-08-01", low, outcome, { contactId: "c4", ...what });

const grown = given({ touch_model: "high", tier: "enterprise", stage: "adoption" });
const rescue = (name: string, outcome: string | undefined, what: Parameters<typeof story>[6] = {}) =>
  story("churn-rescue", name, "2026-03-02", "2026-09-01", grown, outcome, what);

const reviewed = given({ touch_model: "high", tier: "enterprise", stage: "adoption", qbr_date: "2026-04-20" });
const qbr = (name: string, outcome: string | undefined, what: Parameters<typeof story>[6] = {}, world = reviewed) =>
  story("qbr", name, "2026-03-10", "2026-09-01", world, outcome, what);

const ending = given(
  { touch_model: "high", tier: "enterprise", stage: "retention" },
  { end_date: "2026-12-31", notice_days: 90 },
);
const renewal = (name: string, outcome: string | undefined, what: Parameters<typeof story>[6] = {}, world = ending) =>
  story("renewal", name, "2026-06-01", "2027-06-01", world, outcome, what);

/** Five stories and more for each shipped playbook; account `a1`, contract `k1`, contacts `c1`…`c5` by role, colleagues `u1`, `u2`. */
export const SHIPPED_SCENARIOS: readonly ShippedScenario[] = [
  onboarding("everything as planned", "onboarded", {
    script: [
      event("meeting.booked", "2026-03-03", { kind: "kickoff" }),
      event("meeting.held", "2026-03-05", { kind: "kickoff" }),
    ],
    reactions: [...diligent, closes("touch", "20h", "first_value_confirmed")],
  }),
  onboarding("nobody ever answers", undefined),
  onboarding("contract void after three weeks", "void", {
    script: [event("contract.voided", "2026-03-23", { contract_id: "k1", reason: "r" }, { contractId: "k1" })],
    reactions: [closes("handoff", "5h")],
  }),
  onboarding("churned in the middle", "churned", {
    script: [event("meeting.booked", "2026-03-04", { kind: "kickoff" }), change("2026-03-20", { stage: "churned" })],
    reactions: diligent,
  }),
  onboarding("late kickoff, blocked, zone moves", "onboarded", {
    script: [
      event("meeting.booked", "2026-03-12", { kind: "kickoff" }),
      change("2026-03-13", { timezone: "America/New_York" }),
      event("meeting.held", "2026-03-27", { kind: "kickoff" }),
      event("user.activated", "2026-04-10", { action: "x" }, { contactId: "c4" }),
    ],
    reactions: [...diligent, closes("touch", "60h", "first_value_confirmed")],
  }),
  onboarding("a kickoff that no calendar knows of", "onboarded", {
    script: [event("meeting.booked", "2026-03-03", { kind: "kickoff" })],
    reactions: [...diligent, closes("touch", "20h", "first_value_confirmed")],
  }),
  lowTouch("never shows up", "not_activated"),
  lowTouch("activates on the third day", "activated", {
    script: [
      event("user.logged_in", "2026-03-03", { device: "d" }, { contactId: "c4" }),
      event("user.activated", "2026-03-05", { action: "x" }, { contactId: "c4" }),
    ],
  }),
  lowTouch("logs in, then stalls", "not_activated", {
    script: [
      event("user.logged_in", "2026-03-02T12:00:00Z", { device: "d" }, { contactId: "c4" }),
      event("user.step_completed", "2026-03-03", { step: "profile" }, { contactId: "c4" }),
    ],
  }),
  lowTouch("replies", "replied", { reactions: [answers("welcome", "7h", { kind: "reply" })] }),
  lowTouch("unsubscribes", "unsubscribed", { reactions: [answers("come_back", "2h", { kind: "unsubscribe" })] }),
  lowTouch("the address is dead", "bounced", { reactions: [answers("welcome", "1h", { kind: "bounce" })] }),
  lowTouch("leaves the company", "left", {
    script: [
      event(
        "contact.left",
        "2026-03-11",
        { contact_id: "c4", role: "end_user", contact_name: "P" },
        { contactId: "c4" },
      ),
    ],
  }),
  rescue("a false alarm", "false_alarm", {
    inputs: { reason: "usage", severity: "high" },
    reactions: [closes("verify", "3h", "false_alarm")],
  }),
  rescue("recovered by the plan", "recovered", {
    inputs: { reason: "other" },
    reactions: [
      closes("verify", "3h", "real"),
      closes("contact_them", "20h"),
      closes("root_cause", "10h", "usage"),
      closes("save_plan", "30h"),
      closes("review", "20h", "recovered"),
      closes("executive_review", "9h", "stay_the_course"),
    ],
  }),
  rescue("nobody does anything", "not_recovered", { inputs: { reason: "other" } }),
  rescue("lost after a month", "lost", {
    inputs: { reason: "other", severity: "critical" },
    script: [
      event("contract.lost", "2026-04-01", { contract_id: "k1", reason: "r", competitor: "c" }, { contractId: "k1" }),
    ],
    reactions: [closes("verify", "3h", "real"), closes("churn_reason", "9h", "price"), closes("win_loss", "40h")],
  }),
  rescue("a failed card, paid in time", "recovered", {
    inputs: { reason: "payment", severity: "low" },
    script: [event("payment.paid", "2026-03-06", { invoice_id: "i1", amount: 10, currency: "EUR" })],
  }),
  rescue("void", "void", {
    inputs: { reason: "nps" },
    script: [event("contract.voided", "2026-03-09", { contract_id: "k1", reason: "r" }, { contractId: "k1" })],
  }),
  qbr("held, recapped, next one agreed", "qbr_done", {
    script: [
      event("meeting.accepted", "2026-03-30", { kind: "qbr" }),
      event("meeting.held", "2026-04-20T10:00:00Z", { kind: "qbr" }),
      change("2026-04-21", { next_qbr_date: "2026-07-20" }),
    ],
    reactions: [
      closes("data_pack", "20h"),
      closes("brief", "20h"),
      closes("share_deck", "2h"),
      closes("recap_task", "5h"),
      closes("actions_closed", "30h", "all_done"),
    ],
  }),
  qbr("held, but no next date", "qbr_open_ended", {
    script: [event("meeting.held", "2026-04-20T10:00:00Z", { kind: "qbr" })],
    reactions: [closes("recap_task", "5h")],
  }),
  qbr("declined twice", "qbr_not_held", {
    script: [
      event("meeting.declined", "2026-03-25", { kind: "qbr" }),
      event("meeting.declined", "2026-04-02", { kind: "qbr" }),
    ],
  }),
  qbr("moved twice, then nobody came", "qbr_not_held", {
    script: [
      change("2026-03-20", { qbr_date: "2026-05-11" }),
      change("2026-04-25", { qbr_date: "2026-05-06" }),
      event("meeting.no_show", "2026-05-06T12:00:00Z", { kind: "qbr" }),
    ],
    reactions: [closes("hold_it_yet", "70h", "given_up")],
  }),
  qbr("no date to be had", "qbr_not_held", {}, given({ touch_model: "high", tier: "growth", stage: "adoption" })),
  qbr("churned before", "churned", { script: [change("2026-04-01", { stage: "churned" })] }),
  renewal("renewed early", "won", {
    script: [
      event(
        "contract.renewed",
        "2026-07-15",
        { contract_id: "k1", arr: 60_000, previous_arr: 60_000 },
        { contractId: "k1" },
      ),
    ],
    reactions: [closes("terms", "20h"), closes("audit", "20h", "good")],
  }),
  renewal("renewed and grown", "won_with_expansion", {
    script: [
      event(
        "contract.renewed",
        "2026-09-20",
        { contract_id: "k1", arr: 80_000, previous_arr: 60_000 },
        { contractId: "k1" },
      ),
    ],
    reactions: [closes("audit", "20h", "at_risk")],
  }),
  renewal("renewed smaller", "downsell", {
    script: [
      event(
        "contract.downsold",
        "2026-09-25",
        { contract_id: "k1", arr: 40_000, previous_arr: 60_000 },
        { contractId: "k1" },
      ),
    ],
    reactions: [closes("why_smaller", "20h", "budget")],
  }),
  renewal("lost", "lost", {
    script: [
      event("contract.lost", "2026-09-28", { contract_id: "k1", reason: "r", competitor: "c" }, { contractId: "k1" }),
    ],
  }),
  renewal("void", "void", {
    script: [event("contract.voided", "2026-07-01", { contract_id: "k1", reason: "r" }, { contractId: "k1" })],
  }),
  renewal("the end moves out and back, nobody decides", "undecided", {
    script: [
      contractChange("2026-08-01", { end_date: "2027-03-31" }),
      contractChange("2026-09-01", { end_date: "2027-01-31" }),
    ],
  }),
  renewal("the proposal is a week late", "undecided", { reactions: [closes("proposal_task", "150h")] }),
  renewal(
    "renews by itself, and nobody records it",
    "undecided",
    {},
    given({ touch_model: "high", stage: "retention" }, { end_date: "2026-12-31", notice_days: 90, auto_renew: true }),
  ),
  renewal(
    "low touch: three notices",
    "won",
    {
      script: [
        event(
          "contract.renewed",
          "2026-10-20",
          { contract_id: "k1", arr: 60_000, previous_arr: 60_000 },
          { contractId: "k1" },
        ),
      ],
    },
    given({ touch_model: "low", tier: "starter", stage: "retention" }, { end_date: "2026-12-31", notice_days: 90 }),
  ),
];

/**
 * Where a date of the story's begins the playbook, nobody does so by hand as well: the poller brings what fell due in real time, and by then the
 * run begun by hand may be over.
 */
export function begun(scenario: Scenario): Scenario {
  const has = (rows: readonly GivenEntity[] | undefined, field: string) => rows?.some(({ fields }) => field in fields);
  // Where the date moves as well, it may have moved by the time that the poller is there.
  const moves = scenario.script.some((item) => item.kind === "upsert" && has(item.rows.accounts, "qbr_date"));
  if (moves) return scenario;
  const byDate = { qbr: has(scenario.given.accounts, "qbr_date"), renewal: has(scenario.given.contracts, "end_date") };
  const enrolments = (scenario.enrolments ?? []).filter(
    ({ playbook }) => byDate[playbook as "qbr" | "renewal"] !== true,
  );
  return { ...scenario, enrolments };
}
