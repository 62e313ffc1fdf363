import type { Model } from "../customers/model.js";
import { assigneeFor, contactForRole, contactsOfRole, localeFor } from "../customers/people.js";
import type { Command, Delivery, Outcome } from "../engine/command.js";
import { decideSend, mailCategoryOf, sendRulesOf } from "../engine/decide-send.js";
import { holdsBack } from "../engine/holds-back.js";
import type { RunEvent } from "../engine/event.js";
import type { Answer, PerformResponse } from "../engine/perform.js";
import type { PersonRule, Plan } from "../engine/plan.js";
import { eventField } from "../engine/scope.js";
import type { Policy } from "../engine/policy.js";
import type { RunStatusWord, StretchWorld, Told } from "../engine/stretch.js";
import type { TimelineEntry } from "../engine/timeline.js";
import type { FactValue } from "../expression/expression.js";
import { evaluate, isTrue } from "../expression/evaluate.js";
import { addDuration } from "../values/add-duration.js";
import { isCalendarDate } from "../values/calendar-date.js";
import { type Calendar, STANDARD_CALENDAR } from "../values/calendar.js";
import type { Duration } from "../values/duration.js";
import { type Instant, parseInstant } from "../values/instant.js";
import { resolveTimeRule } from "../values/time-rule.js";
import { instantAt, localDate } from "../values/zone.js";
import type { SimulatedCustomers, SimulatedSubject } from "./customers.js";
import type { GivenValue, Reaction, Scripted } from "./records.js";

export interface SimulatedRun {
  readonly id: string;
  readonly plan: Plan;
  readonly key: string;
  readonly ordinal: number;
  readonly accountId: string;
  readonly contactId?: string;
  readonly contractId?: string;
  readonly startedAt: Instant;
  readonly enrolledBy: string;
  readonly parent?: { readonly run: string; readonly key: string };
  readonly confirmed: Set<string>;
  readonly timeline: TimelineEntry[];
  /** As of its last stretch. */
  status?: string;
  outcome?: string;
  /** Of its stretches, in order: a driver that lost one is told again. */
  readonly answers: PerformResponse[];
  endedAt?: Instant;
  releasedAt?: Instant;
}

export interface LoggedEvent extends RunEvent {
  readonly accountId: string;
  readonly contactId?: string;
  readonly contractId?: string;
  readonly runId?: string;
}

interface Mail {
  readonly key: string;
  readonly runId: string;
  readonly effectKey: string;
  readonly contactId: string;
  readonly category: string;
  readonly priority: number;
  readonly dueAt: Instant;
  readonly locale: string;
  status: "pending" | "sent" | "skipped" | "rejected" | "withdrawn";
  until?: Instant;
  staleAt?: Instant;
  sentAt?: Instant;
  delivery?: Delivery;
}

interface SimulatedTask {
  readonly runId: string;
  readonly key: string;
  readonly step: string;
  readonly accountId: string;
  readonly assignee: string | null;
  dueAt: Instant;
}

type Enrol = (request: {
  playbook: string;
  subject: SimulatedSubject;
  at: Instant;
  cause: string;
  inputs: Readonly<Record<string, FactValue>>;
  parent?: { run: string; key: string };
}) => { run: string } | { refused: string };

/** The outside of a simulated run: the event log, the mail ledger, tasks, holds. Answers `perform` as the real one would. */
export class SimulatedWorld {
  readonly runs = new Map<string, SimulatedRun>();
  private readonly log: (LoggedEvent & { seq: number })[] = [];
  private readonly dispatched = new Set<string>();
  private readonly mails = new Map<string, Mail>();
  private readonly done = new Map<string, Outcome>();
  private readonly holds: { accountId: string; playbook: string; holderRun: string; holderPlaybook: string }[] = [];
  private readonly tasks = new Map<string, SimulatedTask>();

  constructor(
    readonly customers: SimulatedCustomers,
    private readonly policy: Policy,
    private readonly calendars: readonly Calendar[],
    private readonly model: Model,
    private readonly reactions: readonly Reaction[],
    private readonly enrol: Enrol,
  ) {}

  // ── events ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Adds an event to the log; a known id changes nothing. */
  append(event: LoggedEvent): void {
    if (this.log.some((one) => one.id === event.id)) return;
    const { kind: _kind, ...kept } = event as LoggedEvent & { kind?: string };
    this.log.push({ ...kept, seq: this.log.length });
    this.log.sort((a, b) => a.at - b.at || a.seq - b.seq);
  }

  nextPending(): Instant | undefined {
    return this.log.find((event) => !this.dispatched.has(event.id))?.at;
  }

  /** Events that nobody has been told of, in order. */
  pendingUntil(at: Instant): LoggedEvent[] {
    return this.log.filter((event) => event.at <= at && !this.dispatched.has(event.id));
  }

  takePending(now: Instant): (LoggedEvent & { seq: number }) | undefined {
    const event = this.log.find((one) => !this.dispatched.has(one.id));
    if (event === undefined || event.at > now) return undefined;
    this.dispatched.add(event.id);
    this.settleTask(event);
    return event;
  }

  matches(run: SimulatedRun, event: LoggedEvent): boolean {
    if (run.endedAt !== undefined || event.at < run.startedAt || event.id === run.enrolledBy) return false;
    if (event.runId !== undefined) return event.runId === run.id;
    const { events, facts } = run.plan.listens;
    return (
      event.accountId === run.accountId &&
      (run.contactId === undefined || event.contactId === undefined || event.contactId === run.contactId) &&
      (run.contractId === undefined || event.contractId === undefined || event.contractId === run.contractId) &&
      (events.includes(event.name) || event.changed?.some((path) => facts.includes(path)) === true)
    );
  }

  /** Takes an event from outside in, with what it changes by itself: rows it stands for, milestones it dates. */
  take(told: Extract<Scripted, { kind: "event" }>): void {
    const event = this.understood(told);
    const changed = [...this.rowsOf(event)];
    this.append({ ...event, ...(changed.length === 0 ? {} : { changed: [...changed].sort() }) });
    for (const [name, milestone] of Object.entries(this.model.milestones)) {
      if (milestone.on !== event.name) continue;
      const { where } = milestone;
      if (where !== undefined && !isTrue(where, (path) => eventField(event, path.replace(/^event\./, "")))) continue;
      if (milestone.of === "contact" && event.contactId === undefined) continue;
      this.reach(event.accountId, milestone.of === "contact" ? (event.contactId ?? "") : "", name, event.at, event.id);
    }
  }

  /** Whom it is about by the model, and its dates as expressions read them. */
  private understood({ kind: _, ...event }: Extract<Scripted, { kind: "event" }>): LoggedEvent {
    const type = this.model.events[event.name];
    const named = (field: string): string | undefined => {
      const value = event.payload[field];
      return typeof value === "string" && value !== "" ? value : undefined;
    };
    const { contactId: givenContact, contractId: givenContract, ...rest } = event;
    const contactId = givenContact ?? (type?.subject === "contact" ? named("contact_id") : undefined);
    const contractId = type?.subject === "contract" ? (named("contract_id") ?? givenContract) : undefined;
    const zone = this.customers.zone(event.accountId, event.at);
    const payload = Object.entries(event.payload).map(([field, value]): [string, FactValue] => {
      const declared = type?.payload[field];
      if ((declared !== "date" && declared !== "datetime") || typeof value !== "string") return [field, value];
      return [field, (isCalendarDate(value) ? instantAt(value, "00:00", zone) : parseInstant(value)) ?? value];
    });
    return {
      ...rest,
      ...(contactId === undefined ? {} : { contactId }),
      ...(contractId === undefined ? {} : { contractId }),
      payload: Object.fromEntries(payload),
    };
  }

  /** Writes the rows that a well-known event stands for; fact paths that changed. */
  private rowsOf({ id, name, at, accountId, contactId, payload }: LoggedEvent): Iterable<string> {
    const text = (field: string): string | undefined => {
      const value = payload[field];
      return typeof value === "string" ? value : undefined;
    };
    const upsert = (rows: Parameters<SimulatedCustomers["upsert"]>[0]): Iterable<string> =>
      this.customers.upsert(rows, at).get(accountId) ?? [];
    switch (name) {
      case "survey.answered": {
        const survey = text("kind");
        const { score } = payload;
        if (survey === undefined || typeof score !== "number") return [];
        return upsert({
          surveyAnswers: [{ id, accountId, survey, score, at, ...(contactId === undefined ? {} : { contactId }) }],
        });
      }
      case "ticket.opened": {
        const ticket = text("ticket_id");
        return ticket === undefined ? [] : upsert({ tickets: [{ id: ticket, accountId, openedAt: at }] });
      }
      case "ticket.closed":
        return this.customers.closeTicket(text("ticket_id") ?? "", at);
      case "contact.left":
        if (contactId === undefined) return [];
        return upsert({ contacts: [{ id: contactId, accountId, fields: { is_active: false }, at }] });
      default:
        return [];
    }
  }

  private undelivered(run: SimulatedRun, asOf: Instant): RunEvent[] {
    return this.log
      .filter((event) => event.at <= asOf && !run.confirmed.has(event.id) && this.matches(run, event))
      .map((event) => {
        this.settleTask(event);
        return {
          id: event.id,
          name: event.name,
          at: event.at,
          payload: event.payload,
          ...(event.changed === undefined ? {} : { changed: event.changed }),
        };
      });
  }

  // ── perform ────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** One stretch's view of this world; what it has in hand is not handed over again. */
  open(run: SimulatedRun, offered: readonly RunEvent[], hasReached: (at: Instant) => boolean): StretchWorld {
    const inHand = new Set(offered.map(({ id }) => id));
    return {
      hasReached,
      mayGoOn: () => true,
      perform: async (command, asOf, status) => this.ask(run, command, asOf, status, inHand),
      write: async (told) => this.tell(run, told, inHand),
    };
  }

  /** Does one command; or hands over events, which are `inHand` from then on. */
  ask(run: SimulatedRun, command: Command, asOf: Instant, status: RunStatusWord, inHand: Set<string>): Answer {
    const events = command.kind === "close" ? [] : this.handOver(run, asOf, inHand);
    if (events.length > 0) return { kind: "events", events };
    this.stands(run, status, asOf);
    return { kind: "outcome", outcome: this.outcomeOf(run, command, asOf) };
  }

  /** Writes what a run tells; or hands over events, and writes nothing. */
  tell(
    run: SimulatedRun,
    { asOf, entries, status, taken, response, isSure }: Told,
    inHand: Set<string>,
  ): readonly RunEvent[] {
    const events = isSure === true ? [] : this.handOver(run, asOf, inHand);
    if (events.length > 0) return events;
    // Each line once: a driver whose own record of the last stretch was lost walks it again, and what it then says holds.
    const line = entries[0];
    if (line !== undefined) run.timeline.length = Math.min(run.timeline.length, line.seq - 1);
    run.timeline.push(...entries);
    for (const id of taken) run.confirmed.add(id);
    this.stands(run, status, asOf);
    if (response !== undefined) run.answers.push(response);
    return [];
  }

  private handOver(run: SimulatedRun, asOf: Instant, inHand: Set<string>): RunEvent[] {
    const events = this.undelivered(run, asOf).filter(({ id }) => !inHand.has(id));
    for (const { id } of events) inHand.add(id);
    return events;
  }

  private stands(run: SimulatedRun, status: RunStatusWord, at: Instant): void {
    if (run.status === "held" && status === "running") run.releasedAt = at;
    run.status = status;
  }

  private outcomeOf(run: SimulatedRun, command: Command, at: Instant): Outcome {
    const effect = `${run.id}|${command.key}`;
    const known = this.done.get(effect);
    if (known !== undefined) return known;
    const outcome = this.act(run, command, at);
    if (isOnce(command)) this.done.set(effect, outcome);
    return outcome;
  }

  private act(run: SimulatedRun, command: Command, at: Instant): Outcome {
    const subject = subjectOf(run);
    switch (command.kind) {
      case "read":
        return { kind: "read", at, facts: this.customers.read(subject, command.facts, at) };
      case "resolve": {
        const { zone, calendar } = this.clockOf(run, at);
        return { kind: "resolved", at: resolveTimeRule(command.rule, command.from, zone, calendar) };
      }
      case "resolve_date": {
        const due = this.dateOf(run, command, at);
        return due === undefined ? { kind: "resolved" } : { kind: "resolved", at: due };
      }
      case "email":
        return this.email(run, command, at);
      case "email_withdraw":
        for (const mail of this.mails.values()) {
          if (mail.runId === run.id && mail.effectKey === command.email && mail.status === "pending")
            mail.status = "withdrawn";
        }
        return { kind: "done", at };
      case "task_withdraw":
        this.cancelTask(command.task, at, "no longer needed");
        return { kind: "done", at };
      case "slack":
        return { kind: "posted", at, to: this.postedTo(run, command.to, at) };
      case "task":
        return this.task(run, command, at);
      case "task_tighten":
        return this.tighten(command, at);
      case "milestone":
        return this.milestone(run, command, at);
      case "set":
        return this.set(run, command, at);
      case "health":
        // A rehearsal measures no health: `health.…` is absent in it.
        return { kind: "measured", at, score: null, status: "unknown" };
      case "play": {
        const started = this.enrol({
          playbook: command.playbook,
          subject,
          at,
          cause: `${run.id}|${command.key}`,
          inputs: command.inputs,
          parent: { run: run.id, key: command.key },
        });
        return "run" in started
          ? { kind: "played", at, run: started.run }
          : { kind: "played", at, run: null, refused: started.refused };
      }
      case "hold":
        this.hold(run, command.playbooks, at);
        return { kind: "done", at };
      case "leave":
        this.leave(run, command, at);
        return { kind: "done", at };
      case "close":
        this.close(run, command.outcome, at);
        return { kind: "done", at };
      case "risk":
      case "opportunity":
      case "park":
        return { kind: "done", at };
    }
  }

  private email(run: SimulatedRun, command: Extract<Command, { kind: "email" }>, at: Instant): Outcome {
    const contacts = this.customers.contacts(run.accountId, at);
    const pinned = [...this.mails.values()].filter((mail) => mail.runId === run.id && mail.effectKey === command.key);
    if (pinned.length === 0) {
      const to = command.to;
      const chosen =
        to.kind === "subject"
          ? contacts.filter((contact) => contact.id === run.contactId)
          : to.kind === "each"
            ? contactsOfRole(to.role, contacts)
            : [contactForRole(to.role, contacts)].filter((contact) => contact !== undefined);
      for (const contact of chosen) {
        const key = `${run.id}|${command.key}|${contact.id}|email`;
        const mail: Mail = {
          key,
          runId: run.id,
          effectKey: command.key,
          contactId: contact.id,
          category: command.category,
          priority: command.priority,
          dueAt: at,
          locale: localeFor(
            [contact.locale, this.customers.locale(run.accountId, at), this.policy.company.defaultLocale, "en"],
            command.locales,
          ),
          status: "pending",
        };
        this.mails.set(key, mail);
        pinned.push(mail);
      }
      if (chosen.length === 0) {
        this.askForContact(run, command, at);
        return { kind: "emailed", at, deliveries: [] };
      }
    }
    for (const mail of pinned) if (mail.status === "pending") this.decide(run, command, mail, contacts, at);
    const deliveries = pinned.flatMap((mail) => mail.delivery ?? []);
    const waiting = pinned.filter((mail) => mail.status === "pending");
    const next = waiting.reduce<Mail | undefined>(
      (a, b) => (a === undefined || (b.until ?? 0) < (a.until ?? 0) ? b : a),
      undefined,
    );
    if (next?.until === undefined || next.staleAt === undefined) return { kind: "emailed", at, deliveries };
    return {
      kind: "deferred",
      at,
      until: next.until,
      staleAt: Math.max(...waiting.map((mail) => mail.staleAt ?? at)),
      reason: (next.delivery?.reason ?? "outside_window") as Extract<Outcome, { kind: "deferred" }>["reason"],
      deliveries,
    };
  }

  /** Nobody to write to: the CSM is asked to find somebody. */
  private askForContact(run: SimulatedRun, command: Extract<Command, { kind: "email" }>, at: Instant): void {
    const id = `${run.id}|${command.key}|no_contact`;
    if (this.tasks.has(id)) return;
    const team = this.customers.team(run.accountId, at);
    const found = assigneeFor({ kind: "csm" }, team, this.customers.directory(), at, this.policy.tasks.fallback);
    const assignee = found.kind === "person" ? found.person.id : null;
    this.openTask(id, run, command, { required: false, assignee, due: { amount: 2, unit: "bd" } }, at);
    if (this.hears(run, ["tasks.open"])) this.tellOfTask(id, run, at);
    this.react(run, "task", command, undefined, at, id);
  }

  private decide(
    run: SimulatedRun,
    command: Extract<Command, { kind: "email" }>,
    mail: Mail,
    contacts: ReturnType<SimulatedCustomers["contacts"]>,
    at: Instant,
  ): void {
    const contact = contacts.find((one) => one.id === mail.contactId);
    const exempt = (name: string): boolean => this.policy.categories[name]?.isCapped === false;
    const others = [...this.mails.values()].filter((one) => one.contactId === mail.contactId && one.key !== mail.key);
    const released = run.releasedAt;
    const sentSince = others.flatMap((one) =>
      released !== undefined && one.sentAt !== undefined && one.sentAt >= released ? [one.sentAt] : [],
    );
    const decision = decideSend({
      now: at,
      since: command.since,
      send: command.send,
      sendWithin: command.sendWithin ?? this.policy.email.sendWithin,
      // `deferred_email: keep`: what waited when the run ended may still go.
      isExiting: command.exiting && mail.until === undefined,
      category: mailCategoryOf(command.category, this.policy),
      recipient: {
        isActive: contact?.isActive === true,
        hasAddress: contact?.email !== null && contact?.email !== undefined,
        zone: contact?.zone ?? "UTC",
        calendar: this.calendarOf(run.accountId, "customer", at),
      },
      isTestAccount: this.customers.isTest(run.accountId, at),
      isAddressAllowed: true,
      suppressions: this.customers.suppressions.filter((one) => one.email === contact?.email && one.at <= at),
      isKillSwitchOn: false,
      isHeld: command.exiting ? false : this.isHeld(run),
      counted: others.flatMap((one) => (one.sentAt !== undefined && !exempt(one.category) ? [one.sentAt] : [])),
      unsettled: 0,
      waiting: others
        .filter(
          (one) => one.status === "pending" && !exempt(one.category) && (one.staleAt === undefined || one.staleAt > at),
        )
        .map((one) => ({
          key: one.key,
          priority: one.priority,
          ...(one.until === undefined ? {} : { until: one.until }),
        })),
      priority: command.priority,
      key: mail.key,
      ...(released === undefined ? {} : { releasedAt: released }),
      ...(sentSince.length === 0 ? {} : { lastSentAt: Math.max(...sentSince) }),
      rules: sendRulesOf(this.policy, at),
    });
    const base = { contact: mail.contactId, at, locale: mail.locale };
    switch (decision.kind) {
      case "defer":
        mail.until = decision.until;
        mail.staleAt = decision.staleAt;
        mail.delivery = { ...base, result: "deferred", reason: decision.reason, until: decision.until };
        return;
      case "skip":
        mail.status = "skipped";
        mail.delivery = { ...base, result: "skipped", reason: decision.reason };
        return;
      case "send": {
        mail.status = "sent";
        mail.sentAt = at;
        mail.delivery = { ...base, result: "sent" };
        this.react(run, "email", command, mail.contactId, at);
      }
    }
  }

  private task(run: SimulatedRun, command: Extract<Command, { kind: "task" }>, at: Instant): Outcome {
    const team = this.customers.team(run.accountId, at);
    const found = assigneeFor(command.for, team, this.customers.directory(), at, this.policy.tasks.fallback);
    const assignee = found.kind === "person" ? found.person.id : null;
    const id = `${run.id}|${command.key}`;
    const task = this.openTask(id, run, command, { required: command.required, assignee, due: command.due }, at);
    if (this.hears(run, ["tasks.open", "tasks.required_open"])) this.tellOfTask(id, run, at);
    this.react(run, "task", command, undefined, at, id);
    return { kind: "task_opened", at, task: id, assignee, due: task.dueAt };
  }

  private openTask(
    id: string,
    run: SimulatedRun,
    command: Command,
    { required, assignee, due }: { required: boolean; assignee: string | null; due: Duration },
    at: Instant,
  ): SimulatedTask {
    const task: SimulatedTask = {
      runId: run.id,
      key: command.key,
      step: command.step ?? command.path,
      accountId: run.accountId,
      assignee,
      dueAt: this.dueFor(assignee, run.accountId, due, at),
    };
    this.tasks.set(id, task);
    this.customers.tasks.set(id, { runId: run.id, required, openedAt: at });
    return task;
  }

  /** In the working time of who has it; a queue's is the account's. */
  private dueFor(assignee: string | null, accountId: string, due: Duration, at: Instant): Instant {
    const person = this.customers.users.get(assignee ?? "");
    return person === undefined
      ? addDuration(at, due, this.customers.zone(accountId, at), this.calendarOf(accountId, "customer", at))
      : addDuration(at, due, person.timezone, this.named(person.calendar));
  }

  private tellOfTask(id: string, run: SimulatedRun, at: Instant): void {
    this.append({
      id: `${id}|opened`,
      name: "facts.changed",
      at,
      accountId: run.accountId,
      runId: run.id,
      payload: {},
      changed: ["tasks.open", "tasks.required_open"],
    });
  }

  private hears(run: SimulatedRun, paths: readonly string[]): boolean {
    return run.plan.listens.facts.some((fact) => paths.includes(fact));
  }

  private tighten(command: Extract<Command, { kind: "task_tighten" }>, at: Instant): Outcome {
    const task = this.tasks.get(command.task);
    if (task === undefined || this.isClosed(command.task, at)) return { kind: "done", at };
    const dueAt = this.dueFor(task.assignee, task.accountId, command.due, at);
    if (task.dueAt <= dueAt) return { kind: "done", at };
    task.dueAt = dueAt;
    return { kind: "task_opened", at, task: command.task, assignee: task.assignee, due: dueAt };
  }

  private isClosed(id: string, at: Instant): boolean {
    const closedAt = this.customers.tasks.get(id)?.closedAt;
    return closedAt !== undefined && closedAt <= at;
  }

  /** The run takes an open task back: it is told as of any other closing. */
  private cancelTask(id: string, at: Instant, note: string): void {
    const open = this.customers.tasks.get(id);
    const task = this.tasks.get(id);
    if (open === undefined || task === undefined || (open.closedAt !== undefined && open.closedAt <= at)) return;
    open.closedAt = at;
    this.append({
      id: `task.closed/${id}`,
      name: "task.closed",
      at,
      accountId: task.accountId,
      runId: task.runId,
      payload: { task: id, run: task.runId, key: task.key, step: task.step, status: "cancelled", note },
      changed: ["tasks.open", "tasks.required_open"],
    });
  }

  /** A closing that the log brings: the task is closed from then on. */
  private settleTask(event: LoggedEvent): void {
    if (event.name !== "task.closed") return;
    const task = this.customers.tasks.get(String(event.payload["task"]));
    if (task !== undefined && task.closedAt === undefined) task.closedAt = event.at;
  }

  /** What people do about a mail or a task: an event of later. */
  private react(
    run: SimulatedRun,
    to: Reaction["to"],
    command: Command,
    contactId: string | undefined,
    at: Instant,
    task?: string,
  ): void {
    const acts = (reaction: Reaction): boolean =>
      reaction.to === to && (reaction.step === "*" || reaction.step === command.step);
    this.reactions.forEach((reaction, i) => {
      // A task is closed once: by the first reaction that is meant for it.
      if (!acts(reaction) || (to === "task" && this.reactions.findIndex(acts) !== i)) return;
      const when = addDuration(at, reaction.after, "UTC", STANDARD_CALENDAR);
      const id = `reaction/${i}/${run.id}|${command.key}|${contactId ?? ""}`;
      const own = { id, at: when, accountId: run.accountId, runId: run.id };
      const step = command.step ?? command.path;
      switch (reaction.do.kind) {
        case "reply":
          this.append({ ...own, name: "email.replied", payload: { run: run.id, key: command.key, step } });
          return;
        case "bounce":
          this.append({
            ...own,
            name: "email.bounced",
            payload: { run: run.id, key: command.key, step, permanent: true },
          });
          this.suppress(run, contactId, "*", "bounced", when);
          return;
        case "unsubscribe": {
          const category = command.kind === "email" ? command.category : "*";
          this.suppress(run, contactId, category, "unsubscribed", when);
          this.append({
            id,
            at: when,
            accountId: run.accountId,
            ...(contactId === undefined ? {} : { contactId }),
            name: "email.unsubscribed",
            payload: { contact: contactId ?? "", category },
          });
          return;
        }
        case "event":
          this.take({
            kind: "event",
            id,
            at: when,
            accountId: run.accountId,
            ...(contactId === undefined ? {} : { contactId }),
            ...(run.contractId === undefined ? {} : { contractId: run.contractId }),
            name: reaction.do.name,
            payload: {
              ...(run.contractId === undefined ? {} : { contract_id: run.contractId }),
              ...reaction.do.payload,
            },
          });
          return;
        case "complete":
        case "skip":
          if (isRefused(reaction.do, command)) return;
          this.append({
            ...own,
            name: "task.closed",
            payload: {
              task: task ?? "",
              run: run.id,
              key: command.key,
              step,
              status: reaction.do.kind === "complete" ? "done" : "skipped",
              completed_by: this.tasks.get(task ?? "")?.assignee ?? "",
              ...(reaction.do.kind === "complete" && reaction.do.outcome !== undefined
                ? { outcome: reaction.do.outcome }
                : {}),
              ...(reaction.do.kind === "complete" && reaction.do.note !== undefined ? { note: reaction.do.note } : {}),
            },
            changed: ["tasks.open", "tasks.required_open"],
          });
      }
    });
  }

  private suppress(
    run: SimulatedRun,
    contactId: string | undefined,
    category: string,
    reason: "unsubscribed" | "bounced",
    at: Instant,
  ): void {
    const email = this.customers.contacts(run.accountId, at).find(({ id }) => id === contactId)?.email;
    if (typeof email === "string") this.customers.suppressions.push({ email, category, reason, at });
  }

  private reach(accountId: string, contactId: string, milestone: string, at: Instant, cause: string): void {
    const key = `${accountId}\n${contactId}\n${milestone}`;
    if (this.customers.milestones.has(key)) return;
    this.customers.milestones.set(key, at);
    this.append({
      id: `${cause}/milestone/${milestone}`,
      name: "milestone.reached",
      at,
      accountId,
      ...(contactId === "" ? {} : { contactId }),
      payload: { milestone },
      changed: [`milestone.${milestone}`],
    });
  }

  private milestone(run: SimulatedRun, command: Extract<Command, { kind: "milestone" }>, at: Instant): Outcome {
    const isPersonal = this.model.milestones[command.milestone]?.of === "contact";
    if (isPersonal && run.contactId === undefined) {
      const reason = `milestone ${command.milestone} is a contact's, and the run is about an account`;
      return { kind: "failed", at, reason };
    }
    const contactId = isPersonal ? (run.contactId ?? "") : "";
    this.reach(run.accountId, contactId, command.milestone, at, `${run.id}|${command.key}`);
    return { kind: "done", at };
  }

  private set(run: SimulatedRun, command: Extract<Command, { kind: "set" }>, at: Instant): Outcome {
    const [entity = "", field = ""] = command.field.split(".");
    const contractId = this.customers.read(subjectOf(run), ["contract.id"], at)["contract.id"];
    const id = { account: run.accountId, contact: run.contactId, contract: contractId }[entity];
    if (typeof id !== "string") return { kind: "failed", at, reason: `${command.field}: the run has no ${entity}` };
    const rows = [{ id, accountId: run.accountId, fields: { [field]: this.fieldValue(run, command, at) } }];
    const changed = this.customers.upsert({ [`${entity}s`]: rows }, at);
    for (const [accountId, paths] of changed) {
      this.append({
        id: `facts.changed/${run.id}|${command.key}`,
        name: "facts.changed",
        at,
        accountId,
        ...(entity === "contact" ? { contactId: id } : {}),
        ...(entity === "contract" ? { contractId: id } : {}),
        payload: {},
        changed: [...paths].sort(),
      });
    }
    return { kind: "done", at };
  }

  /** As an import would bring it: a date as its day in the account's zone, an instant as ISO text. */
  private fieldValue(run: SimulatedRun, { field, value }: Extract<Command, { kind: "set" }>, at: Instant): GivenValue {
    if (value === null) return null;
    const [entity, name] = field.split(".") as [string, string];
    const type =
      entity === "account" || entity === "contact" || entity === "contract"
        ? this.model[entity][name]?.type
        : undefined;
    if (typeof value === "number" && type === "date") return localDate(value, this.customers.zone(run.accountId, at));
    if (typeof value === "number" && type === "datetime") return new Date(value).toISOString();
    if (typeof value === "object") throw new Error("a list can't be a field's value");
    return value;
  }

  // ── holds and endings ──────────────────────────────────────────────────────────────────────────────────────────────

  /** Names of the holds that a run begins under. */
  holdsOn(run: SimulatedRun): string[] {
    const names = this.holds.flatMap((hold) => {
      const holder = this.runs.get(hold.holderRun);
      if (hold.accountId !== run.accountId || hold.playbook !== run.plan.playbook || holder === undefined) return [];
      return this.holdsBack(holder, run) ? [`playbook:${hold.holderPlaybook}`] : [];
    });
    return [...new Set(names)];
  }

  private holdsBack(holder: SimulatedRun, held: SimulatedRun): boolean {
    const ranked = (run: SimulatedRun) => ({ id: run.id, priority: run.plan.priority, startedAt: run.startedAt });
    return holdsBack(holder.plan, ranked(holder), held.plan, ranked(held));
  }

  private isHeld(run: SimulatedRun): boolean {
    return this.holds.some((hold) => {
      const holder = this.runs.get(hold.holderRun);
      return (
        hold.accountId === run.accountId &&
        hold.playbook === run.plan.playbook &&
        holder !== undefined &&
        holder.endedAt === undefined &&
        this.holdsBack(holder, run)
      );
    });
  }

  private hold(run: SimulatedRun, playbooks: readonly string[], at: Instant): void {
    for (const playbook of playbooks) {
      if (this.holds.some((hold) => hold.playbook === playbook && hold.holderRun === run.id)) continue;
      const isFirst = !this.holds.some(
        (hold) =>
          hold.accountId === run.accountId && hold.playbook === playbook && hold.holderPlaybook === run.plan.playbook,
      );
      this.holds.push({ accountId: run.accountId, playbook, holderRun: run.id, holderPlaybook: run.plan.playbook });
      if (!isFirst) continue;
      for (const other of this.runs.values()) {
        if (
          other.accountId !== run.accountId ||
          other.plan.playbook !== playbook ||
          other.endedAt !== undefined ||
          other.id === run.id
        )
          continue;
        if (!this.holdsBack(run, other)) continue;
        this.append({
          id: `${run.id}/held/${other.id}`,
          name: "run.held",
          at: Math.max(at, other.startedAt),
          accountId: run.accountId,
          runId: other.id,
          payload: { hold: `playbook:${run.plan.playbook}` },
        });
      }
    }
  }

  private leave(run: SimulatedRun, command: Extract<Command, { kind: "leave" }>, at: Instant): void {
    if (command.deferredEmail === "cancel") {
      for (const mail of this.mails.values())
        if (mail.runId === run.id && mail.status === "pending") mail.status = "withdrawn";
    }
    if (command.openTasks === "cancel") {
      for (const [id, task] of this.customers.tasks)
        if (task.runId === run.id) this.cancelTask(id, at, `the run ended: ${command.outcome}`);
    }
  }

  private close(run: SimulatedRun, outcome: string, at: Instant): void {
    run.endedAt = at;
    run.outcome = outcome;
    for (const span of this.customers.runSpans) {
      if (span.playbook === run.plan.playbook && span.accountId === run.accountId && span.to === undefined)
        span.to = at;
    }
    const mine = this.holds.filter((hold) => hold.holderRun === run.id);
    for (const hold of mine) {
      this.holds.splice(this.holds.indexOf(hold), 1);
      const isLast = !this.holds.some(
        (one) =>
          one.accountId === hold.accountId &&
          one.playbook === hold.playbook &&
          one.holderPlaybook === hold.holderPlaybook,
      );
      if (!isLast) continue;
      for (const other of this.runs.values()) {
        if (other.accountId !== run.accountId || other.plan.playbook !== hold.playbook || other.endedAt !== undefined)
          continue;
        if (!this.holdsBack(run, other)) continue;
        other.releasedAt = at;
        this.append({
          id: `${run.id}/released/${other.id}`,
          name: "run.released",
          at: Math.max(at, other.startedAt),
          accountId: run.accountId,
          runId: other.id,
          payload: { hold: `playbook:${hold.holderPlaybook}` },
        });
      }
    }
    const ended = {
      at,
      accountId: run.accountId,
      name: "run.ended",
      payload: { run: run.id, playbook: run.plan.playbook, outcome },
    };
    this.append({
      ...ended,
      id: `${run.id}/ended`,
      ...(run.contactId === undefined ? {} : { contactId: run.contactId }),
    });
    if (run.parent !== undefined) this.append({ ...ended, id: `${run.id}/ended/parent`, runId: run.parent.run });
  }

  // ── people, zones, calendars ───────────────────────────────────────────────────────────────────────────────────────

  private postedTo(run: SimulatedRun, rule: PersonRule, at: Instant): string {
    if (rule.kind === "channel") return rule.channel;
    const found = assigneeFor(rule, this.customers.team(run.accountId, at), this.customers.directory(), at);
    return found.kind === "person" ? found.person.id : this.policy.slack.unassignedChannel;
  }

  private clockOf(run: SimulatedRun, at: Instant): { zone: string; calendar: Calendar } {
    if (run.plan.calendar === "csm") {
      const csm = this.customers.users.get(this.customers.team(run.accountId, at).csmId ?? "");
      if (csm !== undefined) return { zone: csm.timezone, calendar: this.named(csm.calendar) };
    }
    return {
      zone: this.customers.zone(run.accountId, at),
      calendar: this.calendarOf(run.accountId, run.plan.calendar, at),
    };
  }

  /** `customer`, `csm` (here the customer's) or a name; unknown names mean `standard`. */
  calendarOf(accountId: string | undefined, which: string, at: Instant): Calendar {
    if (which !== "customer" && which !== "csm" && which !== "") return this.named(which);
    return this.named((accountId === undefined ? undefined : this.customers.calendarName(accountId, at)) ?? "standard");
  }

  private named(name: string): Calendar {
    return (
      this.calendars.find((calendar) => calendar.name === name) ??
      this.calendars.find((calendar) => calendar.name === "standard") ??
      STANDARD_CALENDAR
    );
  }

  private dateOf(
    run: SimulatedRun,
    command: Extract<Command, { kind: "resolve_date" }>,
    at: Instant,
  ): Instant | undefined {
    const { zone, calendar } = this.clockOf(run, at);
    const subject = subjectOf(run);
    let base: Instant | undefined;
    if (command.date.op === "fact") {
      const date = this.customers.date(subject, command.date.path, at);
      base =
        typeof date === "string" ? instantAt(date, this.policy.datesAt, this.customers.zone(run.accountId, at)) : date;
    } else {
      const value = evaluate(command.date, (path) => this.customers.read(subject, [path], at)[path]);
      base = typeof value === "number" ? value : undefined;
    }
    return base === undefined || command.offset === undefined
      ? base
      : addDuration(base, command.offset, zone, calendar);
  }
}

function subjectOf(run: SimulatedRun): SimulatedSubject {
  return {
    accountId: run.accountId,
    runId: run.id,
    ...(run.contactId === undefined ? {} : { contactId: run.contactId }),
    ...(run.contractId === undefined ? {} : { contractId: run.contractId }),
  };
}

/** Effects that a repeated command must not do twice; reads are as of now, mail has its own ledger. */
function isOnce(command: Command): boolean {
  switch (command.kind) {
    case "read":
    case "resolve":
    case "resolve_date":
    case "email":
    case "email_withdraw":
      return false;
    default:
      return true;
  }
}

/** Whether the task doesn't take what somebody says of it: then it stays open. */
function isRefused(deed: Reaction["do"], command: Command): boolean {
  if (command.kind !== "task") return false;
  if (deed.kind === "skip") return deed.reason.trim() === "";
  if (deed.kind !== "complete") return false;
  const { outcome, note } = deed;
  if (command.ask === "outcome" && outcome === undefined) return true;
  if (outcome !== undefined && command.outcomes.length > 0 && !command.outcomes.includes(outcome)) return true;
  return command.ask === "note" && !note?.trim();
}
