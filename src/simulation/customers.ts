import { changedFacts } from "../customers/changed-facts.js";
import { currentContract, fieldFact, fieldOf, isEntity, storedValue } from "../customers/fields.js";
import { metricValue } from "../customers/metrics.js";
import { type Entity, firstValues, type Model, type Segments } from "../customers/model.js";
import type { Absence, Colleague, ContactPerson, Directory } from "../customers/people.js";
import { csat, latestScore, nps } from "../customers/surveys.js";
import { isTrue } from "../expression/evaluate.js";
import type { FactValue } from "../expression/expression.js";
import { references } from "../expression/references.js";
import { isCalendarDate } from "../values/calendar-date.js";
import { DAY_MS, type Instant, parseInstant } from "../values/instant.js";
import type { Given, GivenValue } from "./records.js";

export interface SimulatedSubject {
  readonly accountId: string;
  readonly contactId?: string;
  readonly contractId?: string;
  readonly runId?: string;
}

/** A task as facts count it. */
export interface OpenTask {
  readonly runId: string;
  readonly required: boolean;
  readonly openedAt: Instant;
  closedAt?: Instant;
}

interface Version {
  readonly at: Instant;
  readonly value: GivenValue;
}

interface Record_ {
  readonly id: string;
  readonly accountId: string;
  readonly createdAt: Instant;
  readonly fields: Map<string, Version[]>;
  roles: Readonly<Record<string, string>>;
}

/**
 * Customers in memory: every version of every field, samples, tickets, answers; facts are read as of an instant by the same
 * rules as from Postgres (`src/adapters/postgres/facts.ts`; a test holds the two against each other).
 */
export class SimulatedCustomers {
  readonly users = new Map<string, Colleague>();
  readonly absences: Absence[] = [];
  readonly milestones = new Map<string, Instant>();
  readonly tasks = new Map<string, OpenTask>();
  readonly suppressions: {
    email: string;
    category: string;
    reason: "unsubscribed" | "bounced" | "complained" | "manual";
    at: Instant;
  }[] = [];
  /** Runs as metrics frozen by a playbook need them. */
  readonly runSpans: { playbook: string; accountId: string; from: Instant; to?: Instant }[] = [];
  private readonly records: Record<Entity, Map<string, Record_>> = {
    account: new Map(),
    contact: new Map(),
    contract: new Map(),
  };
  private readonly samples: NonNullable<Given["samples"]>[number][] = [];
  private readonly tickets: NonNullable<Given["tickets"]>[number][] = [];
  private readonly answers: NonNullable<Given["surveyAnswers"]>[number][] = [];

  constructor(
    private readonly model: Model,
    private readonly segments: Segments,
  ) {}

  /** Takes rows in; fact paths that changed, by account. */
  upsert(rows: Given, at: Instant): Map<string, Set<string>> {
    const changed = new Map<string, Set<string>>();
    const note = (accountId: string, path: string): void => {
      changed.set(accountId, (changed.get(accountId) ?? new Set()).add(path));
    };
    for (const user of rows.users ?? []) {
      this.users.set(user.id, {
        id: user.id,
        name: user.name,
        email: user.email,
        title: null,
        slackUserId: user.slackUserId ?? null,
        timezone: user.timezone ?? "UTC",
        locale: user.locale ?? "en",
        calendar: user.calendar ?? "standard",
        managerId: user.managerId ?? null,
        bookingUrl: null,
        pools: user.pools ?? [],
        isActive: true,
      });
    }
    for (const absence of rows.absences ?? []) this.absences.push({ ...absence, coverId: absence.coverId ?? null });
    const entities: [Entity, Given["accounts"]][] = [
      ["account", rows.accounts],
      ["contact", rows.contacts],
      ["contract", rows.contracts],
    ];
    for (const [entity, list] of entities) {
      for (const row of list ?? []) {
        const since = row.at ?? at;
        const known = this.records[entity].get(row.id);
        const record: Record_ = known ?? {
          id: row.id,
          accountId: entity === "account" ? row.id : (row.accountId ?? ""),
          createdAt: since,
          fields: new Map(),
          roles: {},
        };
        this.records[entity].set(row.id, record);
        if (row.roles !== undefined) record.roles = { ...record.roles, ...row.roles };
        const first = firstValues(entity, row.id);
        const fields = known === undefined ? { ...first, ...row.fields } : row.fields;
        for (const [name, given] of Object.entries(fields)) {
          if (name === "id") continue;
          const value = given === null ? (first[name] ?? null) : given;
          const versions = record.fields.get(name) ?? [];
          if ((latest(versions, since) ?? null) === value) continue;
          versions.push({ at: since, value });
          versions.sort((a, b) => a.at - b.at);
          record.fields.set(name, versions);
          note(record.accountId, `${entity}.${name}`);
        }
        // Its arrival is a change even if nothing is told of it.
        if (known === undefined) note(record.accountId, `${entity}.id`);
      }
    }
    for (const sample of rows.samples ?? []) {
      if (this.samples.some(({ id }) => id === sample.id)) continue;
      this.samples.push(sample);
      note(sample.accountId, `sample:${sample.name}`);
    }
    for (const ticket of rows.tickets ?? []) {
      const known = this.tickets.findIndex(({ id }) => id === ticket.id);
      if (known < 0) this.tickets.push(ticket);
      else this.tickets[known] = { ...this.tickets[known], ...ticket };
      note(ticket.accountId, "tickets");
    }
    for (const answer of rows.surveyAnswers ?? []) {
      if (this.answers.some(({ id }) => id === answer.id)) continue;
      this.answers.push(answer);
      note(answer.accountId, "survey");
    }
    return new Map(
      [...changed].map(([accountId, paths]) => [accountId, new Set(changedFacts(this.model, [...paths]))]),
    );
  }

  /** Fact paths that changed; empty for a ticket that nobody knows. */
  closeTicket(id: string, at: Instant): string[] {
    const known = this.tickets.findIndex((ticket) => ticket.id === id);
    if (known < 0) return [];
    this.tickets[known] = { ...(this.tickets[known] as (typeof this.tickets)[number]), closedAt: at };
    return changedFacts(this.model, ["tickets"]);
  }

  directory(): Directory {
    return { colleagues: this.users, absences: this.absences };
  }

  team(accountId: string, at: Instant): { csmId: string | null; roles: Readonly<Record<string, string>> } {
    const csm = this.raw("account", accountId, "csm", at);
    return { csmId: typeof csm === "string" ? csm : null, roles: this.records.account.get(accountId)?.roles ?? {} };
  }

  contacts(
    accountId: string,
    at: Instant,
  ): (ContactPerson & { email: string | null; zone: string; locale: string | null })[] {
    const zone = this.zone(accountId, at);
    return [...this.records.contact.values()]
      .filter((record) => record.accountId === accountId)
      .map((record) => {
        const text = (name: string): string | null => {
          const value = this.raw("contact", record.id, name, at);
          return typeof value === "string" ? value : null;
        };
        return {
          id: record.id,
          role: text("role"),
          isPrimary: this.raw("contact", record.id, "is_primary", at) === true,
          isActive: this.raw("contact", record.id, "is_active", at) !== false,
          createdAt: record.createdAt,
          email: text("email"),
          zone: text("timezone") ?? zone,
          locale: text("locale"),
        };
      });
  }

  zone(accountId: string, at: Instant): string {
    const zone = this.raw("account", accountId, "timezone", at);
    return typeof zone === "string" ? zone : "UTC";
  }

  /** The calendar's name: the account's own, else its country's. Source: docs/language-files.md, calendars.yaml. */
  calendarName(accountId: string, at: Instant): string | undefined {
    const own = this.raw("account", accountId, "calendar", at);
    if (typeof own === "string" && own !== "") return own;
    const country = this.raw("account", accountId, "country", at);
    return typeof country === "string" && country !== "" ? country.toLowerCase() : undefined;
  }

  isTest(accountId: string, at: Instant): boolean {
    return this.raw("account", accountId, "is_test", at) === true;
  }

  locale(accountId: string, at: Instant): string | null {
    const locale = this.raw("account", accountId, "locale", at);
    return typeof locale === "string" ? locale : null;
  }

  accountIds(): string[] {
    return [...this.records.account.keys()].sort();
  }

  contactIdsOf(accountId: string): string[] {
    return [...this.records.contact.values()]
      .filter((record) => record.accountId === accountId)
      .map((record) => record.id)
      .sort();
  }

  activeContactIdsOf(accountId: string, at: Instant): string[] {
    return this.contactIdsOf(accountId).filter((id) => this.raw("contact", id, "is_active", at) !== false);
  }

  /** Since when everything that is named has been known. */
  knownSince(subject: SimulatedSubject): Instant {
    return Math.max(
      this.records.account.get(subject.accountId)?.createdAt ?? Number.MIN_SAFE_INTEGER,
      this.records.contact.get(subject.contactId ?? "")?.createdAt ?? Number.MIN_SAFE_INTEGER,
      this.records.contract.get(subject.contractId ?? "")?.createdAt ?? Number.MIN_SAFE_INTEGER,
    );
  }

  contractIdsOf(accountId: string): string[] {
    return [...this.records.contract.values()]
      .filter((record) => record.accountId === accountId)
      .map((record) => record.id)
      .sort();
  }

  /** A date as it was given, `YYYY-MM-DD` or an instant; undefined if absent. */
  date(subject: SimulatedSubject, path: string, asOf: Instant): string | Instant | undefined {
    const [entity, name] = path.split(".") as [string, string];
    if (!isEntity(entity)) {
      const value = this.read(subject, [path], asOf)[path];
      return typeof value === "number" ? value : undefined;
    }
    const id = this.idOf(entity, subject, asOf);
    const value = id === undefined ? undefined : this.raw(entity, id, name, asOf);
    if (typeof value !== "string") return undefined;
    return isCalendarDate(value) ? value : parseInstant(value);
  }

  read(subject: SimulatedSubject, paths: readonly string[], asOf: Instant): Record<string, FactValue> {
    const facts: Record<string, FactValue> = {};
    for (const path of paths) {
      const value = this.fact(subject, path, asOf);
      if (value !== undefined) facts[path] = value;
    }
    return facts;
  }

  private fact(subject: SimulatedSubject, path: string, asOf: Instant): FactValue | undefined {
    if (path === "now") return asOf;
    const dot = path.indexOf(".");
    const area = path.slice(0, dot);
    const name = path.slice(dot + 1);
    switch (area) {
      case "account":
      case "contact":
      case "contract":
        return this.field(area, name, subject, asOf);
      case "usage":
        return this.usage(name, subject, asOf);
      case "tickets":
        return this.ticketFact(name, subject.accountId, asOf);
      case "survey":
        return this.surveyFact(name, subject, asOf);
      case "milestone": {
        const isPersonal = this.model.milestones[name]?.of === "contact";
        const at = this.milestones.get(
          `${subject.accountId}\n${isPersonal ? (subject.contactId ?? "?") : ""}\n${name}`,
        );
        return at !== undefined && at <= asOf ? at : undefined;
      }
      case "tasks": {
        if (subject.runId === undefined) return undefined;
        const open = [...this.tasks.values()].filter(
          (task) =>
            task.runId === subject.runId &&
            task.openedAt <= asOf &&
            (task.closedAt === undefined || task.closedAt > asOf),
        );
        return name === "required_open"
          ? open.filter((task) => task.required).length
          : name === "open"
            ? open.length
            : undefined;
      }
      case "goals":
        return name === "count" ? 0 : undefined;
      case "segment": {
        const segment = this.segments[name];
        if (segment === undefined) return undefined;
        const facts = this.read({ accountId: subject.accountId }, references(segment.if), asOf);
        return isTrue(segment.if, (one) => facts[one]);
      }
      default:
        return undefined;
    }
  }

  private field(entity: Entity, name: string, subject: SimulatedSubject, asOf: Instant): FactValue | undefined {
    const id = this.idOf(entity, subject, asOf);
    if (id === undefined) return undefined;
    if (name === "id") return id;
    if (entity === "account" && (name === "csm_name" || name === "manager")) {
      const csm = this.raw("account", id, "csm", asOf);
      const colleague = typeof csm === "string" ? this.users.get(csm) : undefined;
      return (name === "csm_name" ? colleague?.name : colleague?.managerId) ?? undefined;
    }
    return fieldFact(
      this.raw(entity, id, name, asOf),
      fieldOf(this.model, entity, name),
      this.zone(subject.accountId, asOf),
    );
  }

  private idOf(entity: Entity, subject: SimulatedSubject, asOf: Instant): string | undefined {
    if (entity === "account") return subject.accountId;
    if (entity === "contact") return subject.contactId;
    return (
      subject.contractId ??
      currentContract(this.contractIdsOf(subject.accountId), (id, name) => this.raw("contract", id, name, asOf))
    );
  }

  private raw(entity: Entity, id: string, name: string, asOf: Instant): unknown {
    const fields = this.records[entity].get(id)?.fields;
    return storedValue(name, fieldOf(this.model, entity, name), (each) => latest(fields?.get(each) ?? [], asOf));
  }

  private usage(name: string, { accountId, contactId }: SimulatedSubject, asOf: Instant): number | undefined {
    const metric = this.model.metrics[name];
    if (metric === undefined) return undefined;
    const frozen = this.runSpans
      .filter(
        (span) =>
          span.playbook === metric.frozenWhile &&
          span.accountId === accountId &&
          span.from <= asOf &&
          (span.to === undefined || span.to > asOf),
      )
      .map((span) => span.from);
    const readAt = Math.min(asOf, ...frozen);
    const samples = this.samples.filter((sample) => sample.accountId === accountId && sample.name === metric.from);
    return metricValue(metric, samples, readAt, {
      ...(contactId === undefined ? {} : { contactId }),
      roleOf: (user) => {
        const role = this.raw("contact", user, "role", readAt);
        return typeof role === "string" ? role : undefined;
      },
    });
  }

  private ticketFact(name: string, accountId: string, now: Instant): number | undefined {
    const all = this.tickets.filter((ticket) => ticket.accountId === accountId && ticket.openedAt <= now);
    const count = (holds: (ticket: (typeof all)[number]) => boolean): number => all.filter(holds).length;
    switch (name) {
      case "open":
        return count((t) => t.closedAt === undefined || t.closedAt > now);
      case "opened_7d":
        return count((t) => t.openedAt > now - 7 * DAY_MS);
      case "opened_90d":
        return count((t) => t.openedAt > now - 90 * DAY_MS);
      case "closed_90d":
        return count((t) => t.closedAt !== undefined && t.closedAt <= now && t.closedAt > now - 90 * DAY_MS);
      case "weekly_mean_8w":
        return count((t) => t.openedAt > now - 63 * DAY_MS && t.openedAt <= now - 7 * DAY_MS) / 8;
      default:
        return undefined;
    }
  }

  private surveyFact(name: string, { accountId, contactId }: SimulatedSubject, now: Instant): number | undefined {
    const answers = (survey: string) =>
      this.answers.filter((answer) => answer.accountId === accountId && answer.survey === survey);
    switch (name) {
      case "my_nps":
        return contactId === undefined ? undefined : latestScore(answers("nps"), contactId, now);
      case "csat":
        return csat(answers("csat"), now);
      case "nps":
        return nps(answers("nps"), now)?.nps;
      case "nps_count":
        return nps(answers("nps"), now)?.count;
      case "nps_at":
        return nps(answers("nps"), now)?.at;
      default:
        return undefined;
    }
  }
}

function latest(versions: readonly Version[], asOf: Instant): GivenValue | undefined {
  let value: GivenValue | undefined;
  for (const version of versions) if (version.at <= asOf) value = version.value;
  return value;
}
