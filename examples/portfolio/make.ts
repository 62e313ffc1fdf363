/**
 * Writes the example portfolio: what a CRM, a product, a help desk, billing and a calendar would export of one year with 65
 * customers. Seeded: every run writes the same bytes; a test compares them with what is checked in. After `npm run build`:
 * `node dist/examples/portfolio/make.js` writes into examples/portfolio.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ACCOUNT_STORIES, type AccountStory, COMPANY_PEOPLE } from "./stories.js";

/** The year begins on a Monday. */
export const YEAR_BEGINS = Date.UTC(2026, 0, 5);
export const YEAR_DAYS = 364;
/** Usage is known for so many weeks before the year: a normal week needs eight. */
const WEEKS_BEFORE = 10;
/** And for some after it, so that nobody seems to stop on its last day. */
const WEEKS_AFTER = 12;
const DAY = 86_400_000;
const HOUR = 3_600_000;

type Cell = string | number | boolean | undefined;
type Line = Readonly<Record<string, unknown>>;

/** Every file of the portfolio: name → content. */
export function makePortfolio(): ReadonlyMap<string, string> {
  const random = seeded(20_260_105);
  const tables = new Tables(random);
  for (const story of ACCOUNT_STORIES) tables.add(story);
  return tables.files();
}

/** Rows of all files, in the order in which they are written. */
class Tables {
  readonly accounts: Record<string, Cell>[] = [];
  readonly contacts: Record<string, Cell>[] = [];
  readonly contracts: Record<string, Cell>[] = [];
  readonly goals: Record<string, Cell>[] = [];
  readonly usage: Line[] = [];
  readonly tickets: Line[] = [];
  readonly surveys: Line[] = [];
  readonly events: (Line & { at: string })[] = [];
  readonly updates: (Line & { at: string })[] = [];
  readonly personas: Record<string, Cell>[] = [];
  #eventCount = 0;

  constructor(readonly random: () => number) {}

  add(story: AccountStory): void {
    this.personas.push({ id: story.id, persona: story.persona });
    this.account(story);
    const people = this.people(story);
    this.contract(story);
    if (story.touch === "high") this.goalsOf(story);
    this.usageOf(story, people);
    this.ticketsOf(story);
    this.surveysOf(story, people);
    this.happenings(story, people);
  }

  private account(story: AccountStory): void {
    const isHigh = story.touch === "high";
    this.accounts.push({
      id: story.id,
      name: story.name,
      tier: story.tier,
      touch_model: story.touch,
      stage: story.stage,
      country: story.country,
      timezone: story.zone,
      locale: story.locale,
      industry: story.industry,
      seats: story.seats,
      arr: story.arr,
      csm: story.csm,
      "role:account_executive": story.arr >= 60_000 ? "ae-rowan" : "ae-dina",
      "role:solution_engineer": isHigh ? "se-mateo" : undefined,
      "role:support_lead": "sl-ngozi",
      "role:executive_sponsor": isHigh ? "vp-helena" : undefined,
      is_test: story.isTest === true,
      payment_status: "ok",
      csm_view: isHigh && story.stage !== undefined && story.stage !== "onboarding" ? "good" : undefined,
      success_criteria: isHigh && story.stage !== undefined ? criteriaOf(story) : undefined,
      hours_saved_per_action: isHigh ? 0.5 : undefined,
      benchmark_actions_90d: isHigh ? Math.round(story.weekly * 13 * 0.9) : undefined,
      qbr_date: story.qbr === undefined ? undefined : date(story.qbr.day),
    });
  }

  /** Contacts with their numbers: 1 is the champion, or for a small customer whoever signed up. */
  private people(story: AccountStory): Person[] {
    return story.people.map((person, index) => {
      const id = `c-${story.id.slice(2)}-${index + 1}`;
      const [first = "", ...rest] = person.name.split(" ");
      const domain = `${slug(story.name)}.example`;
      const row = {
        id,
        account: story.id,
        name: person.name,
        first_name: first,
        email: person.email === null ? undefined : `${slug(first)}.${slug(rest.join(" "))}@${domain}`,
        role: person.role,
        locale: person.locale === undefined ? story.locale : (person.locale ?? undefined),
        timezone: person.zone,
        title: person.title,
        is_primary: index === 0,
      };
      if (person.persona !== undefined) this.personas.push({ id, persona: person.persona });
      // Some people only become known in the course of the year: the CRM tells the event a little before the row.
      if (person.arrives !== undefined) {
        this.updates.push({ at: at(person.arrives), kind: "contacts", ...defined(row) });
      } else {
        this.contacts.push(row);
      }
      return { ...person, id };
    });
  }

  private contract(story: AccountStory): void {
    const { contract } = story;
    this.contracts.push({
      id: `k-${story.id.slice(2)}`,
      account: story.id,
      status: "active",
      start_date: date(contract.starts),
      end_date: date(contract.ends),
      notice_days: contract.notice,
      arr: story.arr,
      currency: story.currency,
      auto_renew: contract.renewsItself === true,
    });
  }

  private goalsOf(story: AccountStory): void {
    if (story.stage === undefined) return;
    for (const [index, title] of ["Fewer late hand-overs", "Reports without spreadsheets"].entries()) {
      const status = story.goals?.[index] ?? "on_track";
      this.goals.push({ id: `g-${story.id.slice(2)}-${index + 1}`, account: story.id, title, status, at: at(-20) });
    }
  }

  /** One sample a week and person, on Mondays at noon: every window of 7 days holds exactly one. */
  private usageOf(story: AccountStory, people: readonly Person[]): void {
    for (let week = -WEEKS_BEFORE; week < YEAR_DAYS / 7 + WEEKS_AFTER; week++) {
      const day = week * 7 + 0.5;
      const factor = usageFactor(story, day);
      const active = people.filter((person) => day >= (person.uses?.from ?? -1e9) && day < (person.uses?.until ?? 1e9));
      const users = active.filter((person) => person.uses !== null);
      // Before anybody works with it there is nothing to measure, not a zero.
      if (story.signed !== undefined && factor === 0) continue;
      for (const person of users) {
        const share = story.weekly / Math.max(1, people.filter((one) => one.uses !== null).length);
        const noise = 0.92 + 0.16 * this.random();
        const suffix = `${person.id.slice(2)}-${week + WEEKS_BEFORE}`;
        const actions = Math.round(share * noise * factor);
        this.usage.push(sample(`u-${suffix}`, story.id, person.id, "key_actions", actions, day));
        if (factor > 0.05)
          this.usage.push(sample(`l-${suffix}`, story.id, person.id, "logins", 3 + Math.floor(3 * this.random()), day));
      }
      if (story.touch === "high" && week % 2 === 0 && (story.signed === undefined || day > story.signed))
        this.usage.push(
          sample(`t-${story.id.slice(2)}-${week + WEEKS_BEFORE}`, story.id, undefined, "touches", 1, day),
        );
    }
  }

  /** What the help desk had before the year; the year's own tickets come as events. */
  private ticketsOf(story: AccountStory): void {
    if (story.stage === undefined || story.isTest) return;
    const every = story.touch === "high" ? 14 : 37;
    for (let day = -68 + Math.floor(every * this.random()); day < -1; day += every) {
      const number = `t-${story.id.slice(2)}-${day + 100}`;
      const closed = day + 1 + Math.round(3 * this.random());
      this.tickets.push({
        id: number,
        account: story.id,
        opened_at: at(day + 0.4),
        ...(closed < 0 ? { closed_at: at(closed + 0.5) } : {}),
        priority: this.random() < 0.2 ? "high" : "normal",
        ...(this.random() < 0.4 ? { satisfaction: this.random() < 0.8 ? 5 : 3 } : {}),
      });
    }
    for (let day = Math.floor(every * this.random()); day < YEAR_DAYS - 6; day += every) {
      const ticket = `t-${story.id.slice(2)}-y${day}`;
      const priority = this.random() < 0.2 ? "high" : "normal";
      this.event(day + 0.4, "ticket.opened", { account: story.id }, { ticket_id: ticket, priority, topic: "how-to" });
      this.event(day + 2.5, "ticket.closed", { account: story.id }, { ticket_id: ticket, priority });
    }
  }

  private surveysOf(story: AccountStory, people: readonly Person[]): void {
    const champion = people[0];
    if (story.stage === undefined || story.isTest || champion === undefined) return;
    this.surveys.push({
      id: `s-${story.id.slice(2)}-0`,
      account: story.id,
      contact: champion.id,
      survey: "nps",
      score: story.nps ?? 9,
      comment: (story.nps ?? 9) >= 9 ? "Does what it should, and somebody answers." : "It is fine.",
      at: at(-30 + Math.round(10 * this.random())),
    });
    // Twice a year; who is unhappy says so where the story has it.
    for (const day of [121, 301]) {
      if (story.touch !== "high" || story.isQuiet) continue;
      const score = story.nps ?? 9;
      this.event(
        day + this.random(),
        "survey.answered",
        { account: story.id, contact: champion.id },
        { kind: "nps", score },
      );
    }
  }

  private happenings(story: AccountStory, people: readonly Person[]): void {
    const account = story.id;
    const contract_id = `k-${story.id.slice(2)}`;
    const { currency } = story;
    if (story.signed !== undefined) {
      const signed = () =>
        this.event(story.signed as number, "contract.signed", { account }, { contract_id, arr: story.arr, currency });
      const paid = (day: number) =>
        this.event(
          day,
          "payment.received",
          { account },
          { contract_id, invoice_id: `i-${account.slice(2)}-1`, amount: story.arr / 4, currency, is_first: true },
        );
      // Some customers pay before the paper is back.
      if (story.paysFirst) paid(story.signed - 1.2);
      signed();
      if (!story.paysFirst) paid(story.signed + 12.3);
    }
    if (story.qbr !== undefined) {
      let day = story.qbr.day;
      for (const meeting of story.qbr.meetings) {
        if (day > YEAR_DAYS - 2) break;
        this.review(story, people[0], day, meeting, day === story.qbr.day);
        day += 91;
      }
    }
    for (const person of people) {
      if (person.joins === undefined) continue;
      const contact = { contact: person.id };
      this.event(person.joins, "contact.added", contact, { role: person.role ?? "end_user" });
      for (const [hours, name, payload] of person.does ?? [])
        this.event(person.joins + hours / 24, name, contact, payload);
    }
    if (story.renewal !== undefined) this.renewal(story, contract_id);
    for (const { day, name, by, payload } of story.events ?? []) {
      const person = by === undefined ? undefined : people[by - 1];
      const more =
        name === "contact.left" && person
          ? { contact_id: person.id, role: person.role, contact_name: person.name }
          : {};
      const contract = name.startsWith("contract.") ? { contract_id } : {};
      this.event(day, name, person ? { account, contact: person.id } : { account }, {
        ...contract,
        ...more,
        ...payload,
      });
    }
    for (const { day, kind, ...fields } of story.updates ?? []) {
      const number = account.slice(2);
      const id = kind === "accounts" ? account : kind === "contracts" ? contract_id : `c-${number}-${fields["person"]}`;
      const { person: _person, ...rest } = fields;
      const dated = Object.fromEntries(
        Object.entries(rest).map(([name, value]) => [
          name,
          name.endsWith("_date") && typeof value === "number" ? date(value) : value,
        ]),
      );
      this.updates.push({ at: at(day), kind, id, ...dated });
    }
  }

  /** One business review: held, missed or declined, and the next date agreed where it was held. */
  private review(story: AccountStory, champion: Person | undefined, day: number, how: string, isFirst: boolean): void {
    const account = { account: story.id };
    const starts_at = at(day + 0.6);
    const about = { kind: "qbr", starts_at, ...(champion ? { contact_id: champion.id } : {}) };
    if (how === "declined") {
      this.event(day - 24, "meeting.declined", account, about);
      this.event(day - 10, "meeting.declined", account, about);
      return;
    }
    if (how === "unsaid") return;
    this.event(day + 0.65, how === "no_show" ? "meeting.no_show" : "meeting.held", account, about);
    if (how === "held" || how === "no_show")
      this.updates.push({ at: at(day + 4), kind: "accounts", id: story.id, next_qbr_date: date(day + 91) });
    if (isFirst && how === "held")
      this.updates.push({ at: at(day + 1), kind: "accounts", id: story.id, csm_view: "good" });
  }

  private renewal(story: AccountStory, contract_id: string): void {
    const { renewal } = story;
    if (renewal === undefined) return;
    const account = { account: story.id };
    const previous_arr = story.arr;
    const after = renewal.day + 0.2;
    const longer = { kind: "contracts", id: contract_id, end_date: date(story.contract.ends + 365), previous_arr };
    switch (renewal.how) {
      case "won":
      case "expanded":
      case "downsell": {
        const arr = Math.round(story.arr * (renewal.how === "won" ? 1 : renewal.how === "expanded" ? 1.3 : 0.6));
        const name = renewal.how === "downsell" ? "contract.downsold" : "contract.renewed";
        const until = renewal.how === "downsell" ? {} : { new_end_date: date(story.contract.ends + 365) };
        this.event(renewal.day, name, account, { contract_id, arr, previous_arr, ...until });
        this.updates.push({ at: at(after), ...longer, arr });
        this.updates.push({ at: at(after), kind: "accounts", id: story.id, arr, stage: "retention" });
        return;
      }
      case "lost":
        this.event(renewal.day, "contract.lost", account, { contract_id, reason: "price", competitor: "Spreadsheets" });
        this.updates.push({ at: at(after), kind: "contracts", id: contract_id, status: "lost" });
        this.updates.push({ at: at(after), kind: "accounts", id: story.id, stage: "churned" });
    }
  }

  private event(day: number, name: string, about: Line, payload: Line): void {
    this.#eventCount += 1;
    this.events.push({ id: `e-${String(this.#eventCount).padStart(5, "0")}`, name, at: at(day), ...about, payload });
  }

  files(): ReadonlyMap<string, string> {
    const byTime = (a: { at: string }, b: { at: string }) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0);
    const accounts = csv(this.accounts, ",", "\n");
    const contacts = csv(this.contacts, ";", "\r\n");
    const contracts = csv(this.contracts, ",", "\n");
    return new Map([
      ["users.csv", csv(COMPANY_PEOPLE.users, ",", "\n")],
      ["absences.csv", csv(COMPANY_PEOPLE.absences, ",", "\n")],
      // Bad rows as exports have them: each is reported with its place, the others go in.
      ["accounts.csv", `${accounts}${badAccounts(this.accounts)}`],
      [
        "contacts.csv",
        `\ufeff${contacts}c-404-1;a-404;Nobody Known;Nobody;nobody@unknown.example;champion;en;;Head of Nothing;true\r\n`,
      ],
      ["contracts.csv", `${contracts}k-902,a-101,active,2026-02-30,2027-02-28,60,12000,EUR,false\n`],
      ["goals.csv", csv(this.goals, ",", "\n")],
      [
        "usage.jsonl",
        jsonl([
          ...this.usage.slice(0, 40),
          { ...sample("u-bad-1", "a-201", undefined, "key_actions", 0, -69.5), value: "a lot" },
          ...this.usage.slice(40),
        ]),
      ],
      [
        "tickets.jsonl",
        `${jsonl(this.tickets)}{"id":"t-bad-1","account":"a-201","opened_at":"2026-01-02T10:00:00Z",}\n`,
      ],
      ["surveys.jsonl", jsonl(this.surveys)],
      ["events.jsonl", jsonl([...this.events].sort(byTime))],
      ["updates.jsonl", jsonl([...this.updates].sort(byTime))],
      ["personas.csv", csv(this.personas, ",", "\n")],
    ]);
  }
}

type Person = AccountStory["people"][number] & { readonly id: string };

/** A number that is none, a zone that is none, and one that comes twice. */
function badAccounts(rows: readonly Record<string, Cell>[]): string {
  const columns = columnsOf(rows);
  const base = {
    tier: "starter",
    touch_model: "low",
    country: "GB",
    timezone: "Europe/London",
    csm: "csm-bea",
    is_test: false,
  };
  return [
    { ...base, id: "a-901", name: "Twelve K Ltd", arr: "12k" },
    { ...base, id: "a-902", name: "Nowhere Ltd", timezone: "Europe/Londn", arr: 9000 },
    { ...base, id: "a-301", name: "Came Twice Ltd", arr: 9000 },
  ]
    .map((row: Record<string, Cell>) => `${columns.map((name) => quoted(row[name], ",")).join(",")}\n`)
    .join("");
}

function usageFactor(story: AccountStory, day: number): number {
  if (story.signed !== undefined && day < story.signed + 18) return 0;
  for (const dip of story.dips ?? []) if (day >= dip.from && day < dip.to) return dip.factor;
  return 1;
}

function sample(
  id: string,
  account: string,
  contact: string | undefined,
  name: string,
  value: number,
  day: number,
): Line {
  return { id, account, ...(contact === undefined ? {} : { contact }), sample: name, value, at: at(day) };
}

function criteriaOf(story: AccountStory): string {
  return `1. Weekly report without manual work by ${date(Math.max(30, story.contract.starts + 60))}, owner: champion; 2. ${story.seats} people trained`;
}

/** The instant so many days into the year, to the minute. */
function at(day: number): string {
  return `${new Date(YEAR_BEGINS + Math.round((day * DAY) / 60_000) * 60_000).toISOString().slice(0, 16)}:00Z`;
}

function date(day: number): string {
  return new Date(YEAR_BEGINS + Math.floor(day) * DAY + 12 * HOUR).toISOString().slice(0, 10);
}

/** Lower-case Latin letters, digits and hyphens; Cyrillic as passports write it. */
function slug(text: string): string {
  return text
    .toLowerCase()
    .replaceAll("ł", "l")
    .replace(/[а-яё]/g, (letter) => CYRILLIC[letter] ?? "")
    .normalize("NFD")
    .replace(/[\u0300-\u036f]/g, "")
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-|-$/g, "");
}

const CYRILLIC: Readonly<Record<string, string>> = Object.fromEntries(
  "а-a б-b в-v г-g д-d е-e ё-e ж-zh з-z и-i й-i к-k л-l м-m н-n о-o п-p р-r с-s т-t у-u ф-f х-kh ц-ts ч-ch ш-sh щ-shch ъ- ы-y ь- э-e ю-iu я-ia"
    .split(" ")
    .map((pair) => pair.split("-") as [string, string]),
);

function csv(rows: readonly Record<string, Cell>[], delimiter: string, newline: string): string {
  const columns = columnsOf(rows);
  const lines = rows.map((row) => columns.map((name) => quoted(row[name], delimiter)).join(delimiter));
  return [columns.join(delimiter), ...lines].map((line) => `${line}${newline}`).join("");
}

function columnsOf(rows: readonly Record<string, Cell>[]): string[] {
  return [...new Set(rows.flatMap((row) => Object.keys(row)))];
}

function quoted(value: Cell, delimiter: string): string {
  const text = value === undefined ? "" : String(value);
  return text.includes(delimiter) || /["\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function jsonl(rows: readonly Line[]): string {
  return rows.map((row) => `${JSON.stringify(row)}\n`).join("");
}

function defined(row: Readonly<Record<string, Cell>>): Line {
  return Object.fromEntries(Object.entries(row).filter(([, value]) => value !== undefined));
}

/** mulberry32: the same numbers for the same seed, everywhere. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const folder = process.argv[2] ?? "examples/portfolio";
  for (const [name, content] of makePortfolio()) writeFileSync(join(folder, name), content);
}
