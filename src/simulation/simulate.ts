/**
 * Rehearsal: the real machine on a virtual clock. `simulate` walks a scenario through published plans, in memory, and gives
 * every run's timeline. The drivers share `engine/walk.ts`; what differs is only where a stretch is walked.
 */
import type { Model, Segments } from "../customers/model.js";
import { newRun } from "../engine/advance.js";
import { applicantOf, decideEnrol, type EnrolRefusal, namesEvent } from "../engine/decide-enrol.js";
import { type RunEvent, SYSTEM_EVENTS } from "../engine/event.js";
import type { Plan, Trigger } from "../engine/plan.js";
import type { Policy } from "../engine/policy.js";
import type { RunState } from "../engine/state.js";
import type { TimelineEntry } from "../engine/timeline.js";
import { eventField } from "../engine/scope.js";
import { stretch, type StretchWorld } from "../engine/stretch.js";
import { walk } from "../engine/walk.js";
import { evaluate, isTrue } from "../expression/evaluate.js";
import type { Expression, FactValue } from "../expression/expression.js";
import { references } from "../expression/references.js";
import { addDuration } from "../values/add-duration.js";
import type { Calendar } from "../values/calendar.js";
import type { Instant } from "../values/instant.js";
import { instantAt } from "../values/zone.js";
import { SimulatedCustomers, type SimulatedSubject } from "./customers.js";
import { type LoggedEvent, type SimulatedRun, SimulatedWorld } from "./world.js";
import type { Scenario, Scripted } from "./records.js";

export interface SimulationSetting {
  readonly plans: readonly Plan[];
  readonly model: Model;
  readonly segments: Segments;
  readonly calendars: readonly Calendar[];
  readonly policy: Policy;
}

export interface SimulatedTimeline {
  readonly run: string;
  readonly playbook: string;
  readonly outcome?: string;
  readonly state: RunState;
  readonly entries: readonly TimelineEntry[];
}

/** Walks the scenario from its beginning to its end. Deterministic: the same input gives the same timelines. */
export async function simulate(
  setting: SimulationSetting,
  scenario: Scenario,
  host?: RunHost,
): Promise<readonly SimulatedTimeline[]> {
  return new Simulation(setting, scenario, host).walkAll();
}

/**
 * Where the runs of a simulation walk, and by whose clock: by default here, one after the other, on the virtual clock. The
 * tests of equivalence put a real Temporal server in its place.
 */
export interface RunHost {
  readonly walk: typeof walk;
  /** Stands between a run's stretch and the world; default: nothing does. */
  readonly between?: (world: StretchWorld, state: RunState) => StretchWorld;
  /** Waits until the next thing is due by the host's clock, and gives that instant; undefined: enough. It asks again and again, since runs bring new things up. */
  reach(next: () => Instant | undefined): Promise<Instant | undefined>;
}

/** A bound against a scenario that never comes to rest. */
const INSTANTS_MAX = 200_000;

interface ActiveRun {
  readonly world: SimulatedRun;
  readonly plan: Plan;
  readonly arrived: RunEvent[];
  wakeAt: Instant | undefined;
  state: RunState;
  /** Lets a run that is idle go on; undefined while it is busy or over. */
  resume: (() => void) | undefined;
  /** Told when the run is idle again, or over. */
  rested: (() => void) | undefined;
  isOver: boolean;
}

interface DueStart {
  at: Instant;
  readonly plan: Plan;
  readonly subject: SimulatedSubject;
  readonly trigger: number;
}

class Simulation {
  private readonly world: SimulatedWorld;
  private readonly runs: ActiveRun[] = [];
  private readonly script: Scripted[];
  private readonly plans: ReadonlyMap<string, Plan>;
  private readonly due = new Map<string, DueStart>();
  private readonly started = new Set<string>();
  private now: Instant;

  constructor(
    private readonly setting: SimulationSetting,
    private readonly scenario: Scenario,
    private readonly host?: RunHost,
  ) {
    this.now = scenario.at;
    this.plans = new Map(setting.plans.map((plan) => [plan.playbook, plan]));
    const customers = new SimulatedCustomers(setting.model, setting.segments);
    this.world = new SimulatedWorld(
      customers,
      setting.policy,
      setting.calendars,
      setting.model,
      scenario.reactions,
      (request) =>
        this.enrol(request.playbook, request.subject, request.at, {
          cause: request.cause,
          inputs: request.inputs,
          ...(request.parent === undefined ? {} : { parent: request.parent }),
        }),
    );
    customers.upsert(scenario.given, Number.MIN_SAFE_INTEGER);
    this.script = [...scenario.script].sort((a, b) => a.at - b.at);
  }

  async walkAll(): Promise<readonly SimulatedTimeline[]> {
    this.rearm();
    for (const accountId of this.world.customers.accountIds()) this.updateSegments(accountId, undefined, this.now);
    for (let i = 0; i < INSTANTS_MAX; i++) {
      const next = this.host === undefined ? this.nextInstant() : await this.host.reach(() => this.nextInstant());
      if (next === undefined || next > this.scenario.until) break;
      this.now = Math.max(this.now, next);
      await this.happen();
    }
    return this.runs.map((run) => ({
      run: run.world.id,
      playbook: run.plan.playbook,
      ...(run.state.outcome === undefined || run.state.phase !== "ended" ? {} : { outcome: run.state.outcome }),
      state: run.state,
      entries: run.world.timeline,
    }));
  }

  private nextInstant(): Instant | undefined {
    const instants: Instant[] = [];
    const scripted = this.script[0];
    if (scripted !== undefined) instants.push(scripted.at);
    const pending = this.world.nextPending();
    if (pending !== undefined) instants.push(pending);
    for (const run of this.runs) if (!run.isOver && run.wakeAt !== undefined) instants.push(run.wakeAt);
    for (const start of this.due.values()) instants.push(start.at);
    const enrolment = this.pendingEnrolments()[0];
    if (enrolment !== undefined) instants.push(enrolment.at);
    return instants.length === 0 ? undefined : Math.min(...instants);
  }

  private pendingEnrolments() {
    return (this.scenario.enrolments ?? [])
      .map((one, i) => ({ ...one, id: `enrol/${i}` }))
      .filter((one) => !this.started.has(one.id))
      .sort((a, b) => a.at - b.at);
  }

  /** Everything of one instant: what the script says, then events to runs, then runs whose time has come. */
  private async happen(): Promise<void> {
    while (this.script[0] !== undefined && this.script[0].at <= this.now) this.play(this.script.shift() as Scripted);
    for (const one of this.pendingEnrolments()) {
      if (one.at > this.now) break;
      this.started.add(one.id);
      this.enrol(
        one.playbook,
        { accountId: one.accountId, ...(one.contactId === undefined ? {} : { contactId: one.contactId }) },
        one.at,
        { cause: one.id, inputs: one.inputs ?? {} },
      );
      await this.startNew();
    }
    for (const [id, start] of [...this.due].sort((a, b) => a[1].at - b[1].at)) {
      if (start.at > this.now) continue;
      this.due.delete(id);
      this.world.append({
        id: `enrol.due/${id}/${this.armed.get(id)}`,
        name: SYSTEM_EVENTS.triggerDue,
        at: start.at,
        ...start.subject,
        payload: { playbook: start.plan.playbook, trigger: start.trigger },
      });
    }
    for (let event = this.world.takePending(this.now); event !== undefined; event = this.world.takePending(this.now)) {
      if (event.runId === undefined) {
        if ((event.changed ?? []).length > 0) {
          this.updateSegments(event.accountId, event.changed ?? [], event.at, event.id);
          this.rearm();
        }
        for (const plan of this.setting.plans) this.enrolBy(plan, event);
        await this.startNew();
      }
      for (const run of this.runs) {
        if (run.isOver || !this.world.matches(run.world, event)) continue;
        run.arrived.push({
          id: event.id,
          name: event.name,
          at: event.at,
          payload: event.payload,
          ...(event.changed === undefined ? {} : { changed: event.changed }),
        });
        await this.resume(run);
      }
    }
    for (const run of this.runs) {
      if (!run.isOver && run.wakeAt !== undefined && run.wakeAt <= this.now) await this.resume(run);
    }
  }

  private play(scripted: Scripted): void {
    if (scripted.kind === "event") {
      this.world.take(scripted);
      return;
    }
    const changed = this.world.customers.upsert(scripted.rows, scripted.at);
    for (const [accountId, paths] of changed) {
      this.world.append({
        id: `${scripted.id}/${accountId}`,
        name: "facts.changed",
        at: scripted.at,
        accountId,
        payload: {},
        changed: [...paths].sort(),
      });
    }
  }

  // ── enrolment ──────────────────────────────────────────────────────────────────────────────────────────────────────

  private enrolBy(plan: Plan, event: LoggedEvent): void {
    const candidates = plan.enroll.when.filter((trigger, i) => namesEvent(trigger, i, plan, event));
    if (candidates.length === 0) return;
    const contactIds =
      plan.subject === "account"
        ? [undefined]
        : event.contactId !== undefined
          ? [event.contactId]
          : this.world.customers.activeContactIdsOf(event.accountId, event.at);
    for (const contactId of contactIds) {
      const subject: SimulatedSubject = {
        accountId: event.accountId,
        ...(event.contractId === undefined ? {} : { contractId: event.contractId }),
        ...(contactId === undefined ? {} : { contactId }),
      };
      // An event that waited for its account is older than every fact of it: the run begins with the facts.
      const at = Math.max(event.at, this.world.customers.knownSince(subject));
      const isMeant = candidates.some(
        (trigger) =>
          trigger.kind !== "event" ||
          trigger.where === undefined ||
          isTrue(trigger.where, this.lookup(subject, [trigger.where], at, event)),
      );
      if (isMeant) this.enrol(plan.playbook, subject, at, { cause: event.id, event });
    }
  }

  private lookup(
    subject: SimulatedSubject,
    expressions: readonly Parameters<typeof references>[0][],
    at: Instant,
    event?: RunEvent,
  ) {
    const paths = [...new Set(expressions.flatMap(references))];
    const facts = this.world.customers.read(subject, paths, at);
    return (path: string): FactValue | undefined => {
      if (path.startsWith("event.")) return event === undefined ? undefined : eventField(event, path.slice(6));
      return path === "now" ? at : facts[path];
    };
  }

  private readonly fresh: ActiveRun[] = [];

  private enrol(
    playbook: string,
    subject: SimulatedSubject,
    at: Instant,
    how: {
      /** The same cause enrols the same key once. */
      cause: string;
      /** Given by a person or by `play`; absent: from `enroll.with`. */
      inputs?: Readonly<Record<string, FactValue>>;
      event?: RunEvent;
      parent?: { run: string; key: string };
    },
  ): { run: string } | { refused: EnrolRefusal } {
    const plan = this.plans.get(playbook);
    if (plan === undefined) return { refused: "unknown_playbook" };
    const { accountId, contactId, contractId } = subject;
    const whom: SimulatedSubject = {
      accountId,
      ...(plan.subject === "contact" && contactId !== undefined ? { contactId } : {}),
      ...(contractId === undefined ? {} : { contractId }),
    };
    const { enroll } = plan;
    const expressions = [enroll.if, enroll.key, ...Object.values(enroll.with)].filter((one) => one !== undefined);
    const applicant = applicantOf(plan, whom, at, this.lookup(whom, expressions, at, how.event), how.inputs);
    if (applicant.kind === "refused") return { refused: applicant.reason };
    const { subjectId, key, inputs } = applicant;
    const earlier = [...this.runs, ...this.fresh].filter(
      (run) => run.plan.playbook === playbook && run.state.run.subjectId === subjectId,
    );
    const decision = decideEnrol(
      plan,
      applicant,
      {
        at,
        cause: how.cause,
        isByItself: how.event !== undefined || how.parent !== undefined,
        zone: this.world.customers.zone(accountId, at),
        calendar: this.world.calendarOf(accountId, "customer", at),
      },
      earlier.map((run) => run.world),
    );
    if (decision.kind === "refused") return { refused: decision.reason };
    if (decision.kind === "known") return { run: decision.run };
    if (decision.kind === "tell") {
      this.world.append({
        id: `${SYSTEM_EVENTS.triggeredAgain}/${decision.run}/${how.cause}`,
        name: SYSTEM_EVENTS.triggeredAgain,
        at: decision.at,
        accountId,
        runId: decision.run,
        payload: decision.payload,
      });
      return { run: decision.run };
    }
    const { id, ordinal } = decision;
    const run: SimulatedRun = {
      id,
      plan,
      key,
      ordinal,
      ...whom,
      startedAt: at,
      enrolledBy: how.cause,
      ...(how.parent === undefined ? {} : { parent: how.parent }),
      confirmed: new Set(),
      timeline: [],
      answers: [],
    };
    this.world.runs.set(id, run);
    this.world.customers.runSpans.push({ playbook, accountId, from: at });
    const holds = this.world.holdsOn(run);
    this.fresh.push({
      world: run,
      plan,
      arrived: [],
      wakeAt: undefined,
      state: newRun(
        plan,
        { id, playbook, subject: plan.subject, subjectId, accountId, key, startedAt: at },
        inputs,
        holds,
      ),
      resume: undefined,
      rested: undefined,
      isOver: false,
    });
    return { run: id };
  }

  /** `before:` triggers: armed for every subject that has the date, moved with it. */
  private rearm(): void {
    for (const plan of this.setting.plans) {
      plan.enroll.when.forEach((trigger, i) => {
        if (trigger.kind !== "before") return;
        for (const subject of this.subjectsOf(plan, trigger.date)) {
          const id = `${plan.playbook}/${i}/${subject.contractId ?? subject.contactId ?? subject.accountId}`;
          const at = this.dateOf(trigger.date, subject);
          if (at === undefined || at <= this.now) {
            this.due.delete(id);
            continue;
          }
          if (this.armed.get(id) === at) continue;
          this.armed.set(id, at);
          const start = addDuration(
            at,
            { ...trigger.by, amount: trigger.by.amount === 0 ? 0 : -trigger.by.amount },
            this.world.customers.zone(subject.accountId, this.now),
            this.world.calendarOf(subject.accountId, plan.calendar, this.now),
          );
          this.due.set(id, { at: Math.max(start, this.now), plan, subject, trigger: i });
        }
      });
    }
  }

  /** Whose dates: each contract's where the date is a contract's, each contact's where the playbook is about contacts. */
  private subjectsOf(plan: Plan, date: Expression): SimulatedSubject[] {
    const { customers } = this.world;
    const isOfContract = references(date).some((path) => path.startsWith("contract."));
    return customers.accountIds().flatMap((accountId): SimulatedSubject[] => {
      if (plan.subject === "contact")
        return customers.activeContactIdsOf(accountId, this.now).map((contactId) => ({ accountId, contactId }));
      if (isOfContract) return customers.contractIdsOf(accountId).map((contractId) => ({ accountId, contractId }));
      return [{ accountId }];
    });
  }

  private dateOf(date: Expression, subject: SimulatedSubject): Instant | undefined {
    const { customers } = this.world;
    if (date.op === "fact") {
      const found = customers.date(subject, date.path, this.now);
      const zone = customers.zone(subject.accountId, this.now);
      return typeof found === "string" ? instantAt(found, this.setting.policy.datesAt, zone) : found;
    }
    const value = evaluate(date, this.lookup(subject, [date], this.now));
    return typeof value === "number" ? Math.round(value) : undefined;
  }

  /** The date each `before:` item was last armed for: it fires once per date. */
  private readonly armed = new Map<string, Instant>();

  // ── runs ───────────────────────────────────────────────────────────────────────────────────────────────────────────

  private readonly members = new Set<string>();

  /** Who entered or left a segment with this change. The first look is silent: who is in it then is simply in it. */
  private updateSegments(accountId: string, changed: readonly string[] | undefined, at: Instant, cause?: string): void {
    for (const [segment, { if: condition }] of Object.entries(this.setting.segments)) {
      const facts = references(condition);
      if (changed !== undefined && !facts.some((path) => changed.includes(path))) continue;
      const key = `${segment}\n${accountId}`;
      const isMember = isTrue(condition, this.lookup({ accountId }, [condition], at));
      if (isMember === this.members.has(key)) continue;
      if (isMember) this.members.add(key);
      else this.members.delete(key);
      if (cause === undefined) continue;
      const name = isMember ? SYSTEM_EVENTS.segmentEntered : SYSTEM_EVENTS.segmentLeft;
      this.world.append({
        id: `${name}/${segment}/${accountId}/${cause}`,
        name,
        at,
        accountId,
        payload: { segment },
        changed: [`segment.${segment}`],
      });
    }
  }

  private async startNew(): Promise<void> {
    for (let run = this.fresh.shift(); run !== undefined; run = this.fresh.shift()) {
      this.runs.push(run);
      const rested = this.restOf(run);
      this.drive(run).catch((error: unknown) => {
        this.fault ??= { error };
        run.rested?.();
      });
      await rested;
      this.raise();
    }
  }

  private async drive(run: ActiveRun): Promise<void> {
    run.state = await (this.host?.walk ?? walk)(run.plan, run.state, {
      perform: async ({ state, offered, reached }) => {
        const { outcome, answers } = run.world;
        if (outcome !== undefined) return { log: [], isResting: true, ended: outcome };
        const answer = answers[state.turns];
        if (answer !== undefined) return answer;
        const open = this.world.open(run.world, offered, (at) => at <= reached);
        const world: StretchWorld = {
          ...open,
          perform: (command, asOf, status) => {
            this.catchUp(asOf);
            return open.perform(command, asOf, status);
          },
          write: (told) => {
            this.catchUp(told.asOf);
            return open.write(told);
          },
        };
        return stretch(run.plan, state, offered, this.host?.between?.(world, state) ?? world);
      },
      persist: () => Promise.reject(new Error("nothing is retried in a rehearsal")),
      arrived: () => run.arrived.splice(0),
      idle: (until) =>
        new Promise<void>((resolve) => {
          run.wakeAt = until;
          run.resume = resolve;
          run.rested?.();
        }),
      now: () => this.now,
      isLong: () => false,
      observe: (state) => {
        run.state = state;
      },
    });
    run.isOver = true;
    run.wakeAt = undefined;
    run.rested?.();
  }

  /** On a host's clock a run may be ahead of the script: what has happened by then comes first. */
  private catchUp(asOf: Instant): void {
    if (this.host === undefined) return;
    while (this.script[0] !== undefined && this.script[0].at <= asOf) this.play(this.script.shift() as Scripted);
    for (const { accountId, changed, at, id } of this.world.pendingUntil(asOf))
      if ((changed ?? []).length > 0) this.updateSegments(accountId, changed, at, id);
  }

  private async resume(run: ActiveRun): Promise<void> {
    const { resume } = run;
    if (resume === undefined) return;
    const rested = this.restOf(run);
    run.resume = undefined;
    run.wakeAt = undefined;
    resume();
    await rested;
    this.raise();
    await this.startNew();
  }

  /** A fault inside a run's walk belongs to whoever asked for the simulation. */
  private raise(): void {
    if (this.fault !== undefined) throw this.fault.error;
  }

  private fault: { readonly error: unknown } | undefined;

  private restOf(run: ActiveRun): Promise<void> {
    return new Promise((resolve) => {
      run.rested = resolve;
    });
  }
}
