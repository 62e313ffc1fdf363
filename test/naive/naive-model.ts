/**
 * The naive model: what docs/language.md ("Steps", "Time", "What happens when") says, as slow and plain as it can be told. It shares nothing with
 * `src/engine`, `src/simulation` or `src/expression` but types: continuations in one queue instead of a state and commands, no resuming, no
 * stretches, no keys. Only the wording of the lines is the machine's. It knows the world of `test/support/random-plans.ts`: one account, no other playbooks.
 */
import type { Condition, Exit, OnDate, Plan, Step } from "../../src/engine/plan.js";
import type { Policy } from "../../src/engine/policy.js";
import type { Expression, FactValue } from "../../src/expression/expression.js";
import type { GivenValue, Reaction, Scenario, Scripted } from "../../src/simulation/records.js";
import { addDuration } from "../../src/values/add-duration.js";
import { openFrom, STANDARD_CALENDAR } from "../../src/values/calendar.js";
import type { Duration } from "../../src/values/duration.js";
import { formatInstant, type Instant } from "../../src/values/instant.js";
import { resolveTimeRule, type TimeRule } from "../../src/values/time-rule.js";
import { instantAt, instantOfWallClock, wallClockOf } from "../../src/values/zone.js";

const CALENDAR = { ...STANDARD_CALENDAR, name: "standard" };
const HOUR = 3_600_000;
const MS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: HOUR, d: 24 * HOUR, w: 168 * HOUR };

/** The timeline of the scenario's one run, line by line. */
export function naiveTimeline(plan: Plan, scenario: Scenario, policy: Policy, runId: string): string[] {
  return new Naive(plan, scenario, policy, runId).walk();
}

/** A step that was reached, in one round. */
interface Place {
  readonly step: Step;
  readonly key: string;
  readonly parent: Place | undefined;
  readonly at: Instant;
  readonly handled: number;
  readonly round: number;
  roundAt?: Instant;
  /** Its turn: later ones come behind. */
  turn: number;
  isOver: boolean;
  heldMs: number;
  isMailBegun?: boolean;
  staleAt?: Instant;
  met: Set<string>;
}
interface Asking {
  readonly place: Place;
  /** Done while the run is held or parked, too: looking when and whether, not doing. */
  readonly isQuiet: boolean;
  readonly go: () => void;
}
interface Timer {
  readonly place: Place;
  readonly from: Instant;
  due: Instant;
  shift: number;
  readonly isDate: boolean;
  readonly go: (timer: Timer) => void;
  /** A block of `around`. */
  readonly block?: number;
}
interface Happening {
  readonly at: Instant;
  readonly seq: number;
  readonly name: string;
  readonly payload: Readonly<Record<string, FactValue>>;
  readonly changed: readonly string[];
  readonly isOwn: boolean;
}
interface Mail {
  readonly key: string;
  readonly contact: string;
  readonly category: string;
  status: "pending" | "sent" | "over";
  until?: Instant;
  staleAt?: Instant;
  sentAt?: Instant;
}
interface Watch {
  readonly place: Place;
  readonly touches: (event: Happening) => boolean;
  readonly look: () => void;
}

class Naive {
  private now: Instant;
  /** What comes from outside, not yet come. */
  private readonly script: Scripted[];
  private readonly lines: string[] = [];
  private turns = 0;
  private seq = 0;
  private handled = 0;
  private phase: "running" | "leaving" | "over" = "running";
  private isHeld = false;
  private heldSince = 0;
  private releasedAt: Instant | undefined;
  private parked: Place[] = [];
  private chores: (() => void)[] = [];
  private asking: Asking[] = [];
  private timers: Timer[] = [];
  private watches: Watch[] = [];
  /** Waits that may have what they wait for already: looked at when what was reached with them has been. */
  private soon: { readonly place: Place; readonly look: () => void }[] = [];
  private places: Place[] = [];
  private readonly happenings: Happening[] = [];
  private readonly steps = new Map<string, Record<string, FactValue>>();
  private readonly kept: (Happening & { order: number; served: { key: string; leaf: string }[] })[] = [];
  private readonly versions: { at: Instant; field: string; value: GivenValue }[] = [];
  private readonly mails = new Map<string, Mail[]>();
  private readonly suppressed: { contact: string; category: string; at: Instant; isBounce: boolean }[] = [];
  private openTasks: { place: Place; key: string; id: string; isClosed: boolean }[] = [];
  private exitLook: { event?: Happening } | undefined;

  constructor(
    private readonly plan: Plan,
    private readonly scenario: Scenario,
    private readonly policy: Policy,
    private readonly runId: string,
  ) {
    this.now = scenario.at;
    for (const [field, value] of Object.entries(scenario.given.accounts?.[0]?.fields ?? {}))
      this.versions.push({ at: Number.NEGATIVE_INFINITY, field, value });
    this.script = [...scenario.script].sort((a, b) => a.at - b.at);
  }

  walk(): string[] {
    this.note("run.started");
    if (this.standing.length > 0) this.exitLook = {};
    this.list(this.plan.steps, undefined, () => this.end("completed"));
    while (this.phase !== "over") {
      while (this.script[0] !== undefined && this.script[0].at <= this.now) this.comes(this.script.shift() as Scripted);
      if (this.exitLook !== undefined) {
        const { event } = this.exitLook;
        this.exitLook = undefined;
        this.lookAtExits(event);
        continue;
      }
      this.soon = this.soon.filter(({ place }) => !place.isOver).sort((a, b) => a.place.turn - b.place.turn);
      const looking = this.soon.shift();
      if (looking !== undefined) {
        looking.look();
        continue;
      }
      const event = this.happenings[0];
      if (event !== undefined && event.at <= this.now) {
        this.happenings.shift();
        this.handle(event);
        continue;
      }
      const chore = this.chores.shift();
      if (chore !== undefined) {
        chore();
        continue;
      }
      const hush = (this.isHeld || this.parked.length > 0) && this.phase === "running";
      const next = this.asking
        .filter(({ isQuiet, place }) => (isQuiet || !hush) && !place.isOver)
        .sort((a, b) => a.place.turn - b.place.turn)[0];
      if (next !== undefined) {
        this.asking.splice(this.asking.indexOf(next), 1);
        next.go();
        continue;
      }
      if (this.phase === "leaving" && !this.places.some(({ isOver }) => !isOver)) break;
      this.timers = this.timers.filter(({ place }) => !place.isOver);
      const timer =
        this.isHeld && this.phase === "running"
          ? undefined
          : [...this.timers].sort(
              (a, b) => a.due - b.due || a.place.turn - b.place.turn || (a.block ?? 0) - (b.block ?? 0),
            )[0];
      const script = this.script[0]?.at ?? Number.POSITIVE_INFINITY;
      const at = Math.min(script, event?.at ?? Number.POSITIVE_INFINITY, timer?.due ?? Number.POSITIVE_INFINITY);
      if (!(at <= this.scenario.until)) break;
      this.now = Math.max(this.now, at);
      if (timer === undefined || script <= this.now || (event !== undefined && event.at <= this.now)) continue;
      this.timers.splice(this.timers.indexOf(timer), 1);
      timer.go(timer);
    }
    return this.lines;
  }

  private note(
    kind: string,
    place?: Place | { step: Step; key: string },
    detail: Readonly<Record<string, unknown>> = {},
  ): void {
    const instance = place === undefined || place.key === place.step.path ? "" : `[${place.key}]`;
    const shown = Object.entries(detail)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => `${name}=${typeof value === "number" && value > 1e12 ? short(value) : String(value)}`);
    const named = place === undefined ? "" : `${place.step.id ?? place.step.path}${instance}`;
    this.lines.push([short(this.now), kind, named, ...shown].filter((part) => part !== "").join(" "));
  }

  // ── the world ──────────────────────────────────────────────────────────────────────────────────────────────────────

  private comes(told: Scripted): void {
    if (told.kind === "event") this.happens(told.at, told.name, told.payload, [], "runId" in told);
    else this.change(told.at, told.rows.accounts?.[0]?.fields ?? {});
  }

  private happens(
    at: Instant,
    name: string,
    payload: Readonly<Record<string, FactValue>>,
    changed: readonly string[],
    isOwn: boolean,
  ): void {
    const { events, facts } = this.plan.listens;
    if (!isOwn && !events.includes(name) && !changed.some((path) => facts.includes(path))) return;
    this.happenings.push({ at, seq: ++this.seq, name, payload, changed, isOwn });
    this.happenings.sort((a, b) => a.at - b.at || a.seq - b.seq);
  }

  private change(at: Instant, fields: Readonly<Record<string, GivenValue>>): void {
    const changed = Object.entries(fields).filter(([field, value]) => this.valueAt(field, at) !== value);
    for (const [field, value] of changed) this.versions.push({ at, field, value });
    const paths = changed.map(([field]) => `account.${field}`);
    if (paths.length > 0) this.happens(at, "facts.changed", {}, paths, false);
  }

  private valueAt(field: string, at: Instant): GivenValue {
    let found: GivenValue = null;
    let since = Number.NEGATIVE_INFINITY;
    for (const version of this.versions)
      if (version.field === field && version.at <= at && version.at >= since) {
        found = version.value;
        since = version.at;
      }
    return found;
  }

  private get zone(): string {
    return String(this.valueAt("timezone", this.now) ?? "UTC");
  }

  private fact(path: string, event?: Happening): FactValue | undefined {
    const [area, ...rest] = path.split(".");
    const name = rest.join(".");
    if (area === "event") return event?.payload[name];
    if (path === "run.key") return "a1";
    if (area === "steps") return this.steps.get(rest[0] ?? "")?.[rest.slice(1).join(".")];
    if (area === "account") {
      const value = this.valueAt(name, this.now);
      if (name === "day") return typeof value === "string" ? instantAt(value, "00:00", this.zone) : undefined;
      return value ?? undefined;
    }
    throw new Error(`the naive model knows no ${path}`);
  }

  private value(expression: Expression, event?: Happening): FactValue | undefined {
    switch (expression.op) {
      case "literal":
        return expression.value;
      case "fact":
        return this.fact(expression.path, event);
      case "has":
        return this.fact(expression.path, event) !== undefined;
      case "not":
        return !this.holds(expression.of, event);
      case "and":
        return expression.of.every((one) => this.holds(one, event));
      case "or":
        return expression.of.some((one) => this.holds(one, event));
      case "==":
      case "!=":
      case "<":
      case "<=":
      case ">":
      case ">=": {
        const [a, b] = [this.value(expression.left, event), this.value(expression.right, event)];
        if (a === undefined || b === undefined) return false;
        switch (expression.op) {
          case "==":
            return a === b;
          case "!=":
            return a !== b;
          case "<":
            return a < b;
          case "<=":
            return a <= b;
          case ">":
            return a > b;
          default:
            return a >= b;
        }
      }
      default:
        throw new Error(`the naive model knows no ${expression.op}`);
    }
  }

  private holds(expression: Expression, event?: Happening): boolean {
    return this.value(expression, event) === true;
  }

  // ── events ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  private handle(event: Happening): void {
    this.handled += 1;
    this.now = Math.max(this.now, event.at);
    if (this.phase !== "running") return;
    const step = this.stepById(String(event.payload["step"] ?? ""));
    switch (event.name) {
      case "run.held":
        if (this.isHeld) break;
        this.isHeld = true;
        this.heldSince = this.now;
        this.note("run.held", undefined, { hold: event.payload["hold"] });
        break;
      case "run.released":
        if (this.isHeld) this.release(String(event.payload["hold"]));
        break;
      case "task.closed":
        this.taskClosed(event, step);
        break;
      case "email.replied":
        if (step === undefined) break;
        this.record(step, { replied: true });
        this.note("email.replied", { step, key: step.path });
        break;
      case "email.bounced":
        if (step === undefined) break;
        this.record(step, { bounced: true });
        this.note("email.bounced", { step, key: step.path });
    }
    if (this.plan.listens.events.includes(event.name)) this.kept.push({ ...event, order: this.handled, served: [] });
    const isAsked = this.exits.some(
      (exit) =>
        exit.when?.event === event.name ||
        (exit.if !== undefined &&
          (factsOf(exit.if).some((path) => event.changed.includes(path)) || (isOfRun(event) && readsSteps(exit.if)))),
    );
    if (isAsked || this.exitLook !== undefined) {
      this.exitLook = undefined;
      this.lookAtExits(event);
      if (this.phase !== "running") return;
    }
    for (const watch of [...this.watches].sort((a, b) => a.place.turn - b.place.turn))
      if (!watch.place.isOver && this.watches.includes(watch) && watch.touches(event)) watch.look();
    if (event.changed.length > 0) this.redate(event.changed);
  }

  private get exits(): readonly Exit[] {
    return this.plan.goal === undefined ? this.plan.exits : [...this.plan.exits, this.plan.goal];
  }
  private get standing(): readonly Exit[] {
    return this.exits.filter(({ when }) => when === undefined);
  }

  private lookAtExits(event?: Happening): void {
    const found = this.exits.find(
      ({ when, if: condition }) =>
        (when === undefined ||
          (event?.name === when.event && (when.where === undefined || this.holds(when.where, event)))) &&
        (condition === undefined || this.holds(condition, event)),
    );
    if (found === undefined) return;
    this.note(found === this.plan.goal ? "run.goal_met" : "run.exited", undefined, {
      outcome: found.outcome,
      event: found.when === undefined ? undefined : event?.name,
    });
    this.leave();
  }

  private release(hold: string): void {
    this.isHeld = false;
    this.releasedAt = this.now;
    this.note("run.released", undefined, { hold, held_since: this.heldSince });
    for (const timer of this.timers) {
      const held = this.now - Math.max(this.heldSince, timer.from);
      if (!timer.isDate && held > 0) {
        timer.due += held;
        timer.shift += held;
      }
    }
    for (const place of [...this.places]) {
      if (place.isOver) continue;
      if (place.step.kind === "email") {
        place.heldMs += this.now - Math.max(this.heldSince, place.at);
        const waiting = this.timers.find((timer) => timer.place === place);
        if (waiting === undefined) continue;
        this.timers.splice(this.timers.indexOf(waiting), 1);
        delete place.staleAt;
        this.ask(place, false, () => this.send(place), true);
      }
    }
    // What hangs on a date that has passed meanwhile is looked at anew.
    for (const timer of [...this.timers]) {
      if (!timer.isDate || timer.due >= this.now) continue;
      if (timer.block !== undefined || (timer.place.step.kind === "wait" && timer.place.step.until.kind === "date"))
        this.rearm(timer);
    }
  }

  private rearm(timer: Timer): void {
    const { place, block } = timer;
    this.timers.splice(this.timers.indexOf(timer), 1);
    if (block !== undefined) this.blocksToArm.get(place)?.(block);
    else this.reresolve.get(place)?.(timer);
  }

  private readonly reresolve = new Map<Place, (timer: Timer) => void>();
  private readonly blocksToArm = new Map<Place, (block: number) => void>();
  private readonly blocksSkipped = new Map<Place, Set<number>>();

  private redate(changed: readonly string[]): void {
    const isZone = changed.includes("account.timezone");
    const isDay = changed.includes("account.day");
    if (!isZone && !isDay) return;
    for (const timer of [...this.timers]) {
      if (timer.block !== undefined || !this.reresolve.has(timer.place)) continue;
      const isOfDate = timer.place.step.kind === "wait" && timer.place.step.until.kind === "date";
      if (isZone || (isDay && isOfDate)) this.rearm(timer);
    }
    // Blocks in the order of the file, those that were skipped too.
    for (const [place, skipped] of this.blocksSkipped) {
      if (place.isOver) continue;
      const armed = this.timers.filter((timer) => timer.place === place && timer.block !== undefined);
      this.timers = this.timers.filter((timer) => !armed.includes(timer));
      const again = [...skipped, ...armed.map(({ block }) => block ?? 0)].sort();
      skipped.clear();
      for (const block of again) this.blocksToArm.get(place)?.(block);
    }
  }

  // ── steps ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  private list(steps: readonly Step[], parent: Place | undefined, then: () => void): void {
    const at = (i: number): void => {
      const step = steps[i];
      if (step === undefined) then();
      else this.reach(step, parent, () => at(i + 1));
    };
    at(0);
  }

  private reach(step: Step, parent: Place | undefined, then: () => void): void {
    const round = parent?.step.kind === "repeat" && parent.round > 0 ? `#${parent.round}` : "";
    const key = parent === undefined ? step.path : `${parent.key}${round}${step.path.slice(parent.step.path.length)}`;
    if (step.id !== undefined) this.steps.delete(step.id);
    const place: Place = {
      step,
      key,
      parent,
      at: this.now,
      handled: this.handled,
      round: 0,
      turn: ++this.turns,
      isOver: false,
      heldMs: 0,
      met: new Set(),
    };
    this.places.push(place);
    const over = (): void => {
      this.close(place);
      then();
    };
    const guarded = (): void => {
      if (step.if === undefined || this.holds(step.if)) this.enter(place, over);
      else {
        this.note("step.skipped", place);
        over();
      }
    };
    if (step.if !== undefined && isOutside(step.if)) this.ask(place, false, guarded);
    else guarded();
  }

  private close(place: Place): void {
    place.isOver = true;
    this.places = this.places.filter((one) => one !== place);
    this.watches = this.watches.filter((one) => one.place !== place);
  }

  /** Behind those that wait already; what only looks again keeps its place. */
  private ask(place: Place, isQuiet: boolean, go: () => void, keepsTurn = false): void {
    if (!keepsTurn) place.turn = ++this.turns;
    this.asking.push({ place, isQuiet, go });
  }

  private enter(place: Place, over: () => void): void {
    const { step } = place;
    switch (step.kind) {
      case "email":
        this.mailOver.set(place, over);
        this.ask(place, false, () => this.send(place));
        return;
      case "slack":
        this.ask(place, false, () => {
          this.note("slack.posted", place, { to: "u1" });
          over();
        });
        return;
      case "milestone":
        this.ask(place, false, () => {
          this.note("milestone.reached", place, { milestone: step.milestone });
          over();
        });
        return;
      case "risk":
        this.ask(place, false, () => {
          this.note("risk.raised", place, { risk: step.risk, severity: step.severity });
          over();
        });
        return;
      case "opportunity":
        this.ask(place, false, () => {
          this.note("opportunity.raised", place, { opportunity: step.opportunity });
          over();
        });
        return;
      case "health":
        this.ask(place, false, () => {
          this.record(step, { status: "unknown" });
          this.note("health.measured", place, { status: "unknown" });
          over();
        });
        return;
      case "play":
        this.ask(place, false, () => {
          this.note("play.refused", place, { playbook: step.playbook, reason: "unknown_playbook" });
          over();
        });
        return;
      case "set":
        this.ask(place, false, () => {
          const value = this.value(step.value) as GivenValue;
          this.change(this.now, { [step.field.slice("account.".length)]: value });
          this.note("field.set", place, { field: step.field, value });
          over();
        });
        return;
      case "task": {
        const open = (due: Duration) => (): void => this.openTask(place, due, over);
        const dueNow = (): Duration => step.dueIf.find((one) => this.holds(one.if))?.due ?? step.due;
        if (step.dueIf.some((one) => isOutside(one.if)))
          this.ask(place, false, () => this.ask(place, false, open(dueNow())));
        else this.ask(place, false, open(dueNow()));
        return;
      }
      case "wait":
        this.wait(place, over);
        return;
      case "wait_for":
        this.waitFor(place, over);
        return;
      case "around":
        this.around(place, over);
        return;
      case "choose": {
        const choose = (): void => {
          const i = step.branches.findIndex((branch) => this.holds(branch.if));
          this.note("branch.taken", place, { branch: i < 0 ? "else" : String(i + 1) });
          place.turn = ++this.turns;
          this.list(step.branches[i]?.steps ?? step.else, place, over);
        };
        if (step.branches.some((branch) => isOutside(branch.if))) this.ask(place, false, choose);
        else choose();
        return;
      }
      case "parallel": {
        let open = step.branches.length;
        for (const branch of step.branches) {
          if (place.isOver) return;
          this.list(branch.steps, place, () => {
            open -= 1;
            if (step.join === "any") this.withdrawUnder(place);
            if (step.join === "any" || open === 0) over();
          });
        }
        return;
      }
      case "repeat":
        this.round(place, 1, over);
        return;
      case "end":
        this.end(step.outcome, place);
    }
  }

  private round(place: Place, count: number, over: () => void): void {
    const { step } = place;
    if (step.kind !== "repeat") return;
    Object.assign(place, { round: count, roundAt: this.now });
    const began = this.now;
    this.record(step, { count });
    this.note("repeat.began", place, { count });
    this.list(step.steps, place, () => {
      const decide = (): void => {
        if ((step.until !== undefined && this.holds(step.until)) || count >= step.times) {
          over();
          return;
        }
        this.relative(
          place,
          step.every,
          began,
          () => {},
          () => this.round(place, count + 1, over),
        );
      };
      if (step.until !== undefined && isOutside(step.until)) this.ask(place, false, decide);
      else decide();
    });
  }

  private record(step: Step, values: Readonly<Record<string, FactValue>>): void {
    if (step.id === undefined) return;
    this.steps.set(step.id, { ...this.steps.get(step.id), ...values });
    const prefix = `steps.${step.id}.`;
    if (
      this.phase === "running" &&
      this.exits.some((exit) => exit.if !== undefined && allPaths(exit.if).some((path) => path.startsWith(prefix)))
    )
      this.exitLook ??= {};
  }

  private stepById(id: string): Step | undefined {
    const all = [...everyStep(this.plan.steps), ...everyStep(this.plan.onExit.steps)];
    return all.find((step) => step.id === id);
  }

  // ── waits ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** A span from an instant: exact ones at once; others are looked up by zone and calendar, and once more when they are over. */
  private relative(
    place: Place,
    span: Duration,
    from: Instant,
    began: (due: Instant) => void,
    over: () => void,
    rule: TimeRule = { kind: "after", duration: span },
  ): void {
    const isClock = rule.kind !== "after";
    const exact =
      rule.kind === "now"
        ? 0
        : rule.kind === "after" && ["s", "m", "h"].includes(rule.duration.unit)
          ? (MS[rule.duration.unit] ?? 0) * rule.duration.amount
          : undefined;
    const resolve = (): Instant => resolveTimeRule(rule, from, this.zone, CALENDAR);
    const set = (due: Instant, shift: number): void => {
      this.timers.push({
        place,
        from,
        due,
        shift,
        isDate: isClock,
        go: (timer) => {
          if (exact !== undefined) {
            over();
            return;
          }
          this.ask(
            place,
            true,
            () => {
              const again = resolve() + timer.shift;
              if (again <= this.now) {
                over();
                return;
              }
              if (place.step.kind === "wait") this.note("wait.moved", place, { until: again });
              set(again, timer.shift);
            },
            true,
          );
        },
      });
      if (exact === undefined)
        this.reresolve.set(place, (timer) =>
          this.ask(
            place,
            true,
            () => {
              const again = resolve() + timer.shift;
              if (place.step.kind === "wait" && again !== timer.due) this.note("wait.moved", place, { until: again });
              set(again, timer.shift);
            },
            true,
          ),
        );
    };
    if (exact !== undefined) {
      set(from + exact, 0);
      began(from + exact);
    } else
      this.ask(place, true, () => {
        const due = resolve();
        set(due, 0);
        began(due);
      });
  }

  private wait(place: Place, over: () => void): void {
    const { step } = place;
    if (step.kind !== "wait") return;
    if (step.until.kind === "rule") {
      const { rule } = step.until;
      this.relative(
        place,
        { amount: 0, unit: "s" },
        this.now,
        (until) => this.note("wait.began", place, { until }),
        () => {
          this.note("wait.over", place);
          over();
        },
        rule,
      );
      return;
    }
    const { offset } = step.until;
    const date = (): Instant | undefined => this.date(offset);
    const missing = (policy: OnDate): void => {
      if (policy === "fail") this.fail(place, "the date to wait for is missing", over);
      else {
        this.note("step.skipped", place, { reason: "missing" });
        over();
      }
    };
    const arm = (before: Instant | undefined, isFirst: boolean) =>
      this.ask(
        place,
        true,
        () => {
          const due = date();
          if (due === undefined) missing(step.onMissing);
          else if (due < this.now) {
            if (step.onPast === "fail") this.fail(place, "the date to wait for has passed", over);
            else {
              this.note("step.skipped", place, { reason: "past", due });
              over();
            }
          } else {
            if (before !== due) this.note(before === undefined ? "wait.began" : "wait.moved", place, { until: due });
            set(due);
          }
        },
        !isFirst,
      );
    const set = (due: Instant): void => {
      this.timers.push({
        place,
        from: place.at,
        due,
        shift: 0,
        isDate: true,
        go: () =>
          this.ask(
            place,
            true,
            () => {
              const again = date();
              if (again === undefined) missing(step.onMissing);
              else if (again > this.now) {
                this.note("wait.moved", place, { until: again });
                set(again);
              } else {
                this.note("wait.over", place);
                over();
              }
            },
            true,
          ),
      });
    };
    this.reresolve.set(place, (timer) => arm(timer.due, false));
    arm(undefined, true);
  }

  private date(offset: Duration | undefined): Instant | undefined {
    const day = this.valueAt("day", this.now);
    if (typeof day !== "string") return undefined;
    const base = instantAt(day, this.policy.datesAt, this.zone);
    return offset === undefined ? base : addDuration(base, offset, this.zone, CALENDAR);
  }

  private waitFor(place: Place, over: () => void): void {
    const { step } = place;
    if (step.kind !== "wait_for") return;
    const needsFacts = conditionPaths(step.for).some(isOutsidePath);
    let isAsked = false;
    let isArmed = false;
    const settle = (): boolean => {
      const match = this.met(place, step.for, "");
      if (match === undefined) return false;
      this.timers = this.timers.filter((timer) => timer.place !== place);
      this.record(step, { timed_out: false });
      this.note(
        "wait_for.met",
        place,
        match.event === undefined ? {} : { event: match.event.name, event_at: match.event.at },
      );
      over();
      return true;
    };
    const look = (isLast?: () => void): void => {
      if (!needsFacts) {
        if (!settle()) isLast?.();
        return;
      }
      if (isAsked && isLast === undefined) return;
      isAsked = true;
      this.ask(
        place,
        true,
        () => {
          isAsked = false;
          if (!settle()) isLast?.();
        },
        true,
      );
    };
    const timedOut = (): void => {
      this.record(step, { timed_out: true });
      this.note("wait_for.timed_out", place);
      this.watches = this.watches.filter((one) => one.place !== place);
      this.reresolve.delete(place);
      this.list(step.otherwise, place, over);
    };
    this.watches.push({ place, touches: (event) => isArmed && this.touches(step.for, event), look: () => look() });
    this.relative(
      place,
      step.within,
      this.now,
      (until) => {
        this.note("wait_for.began", place, { until });
        isArmed = true;
        if (needsFacts) look();
        else this.soon.push({ place, look: () => look() });
      },
      () => (needsFacts ? look(timedOut) : timedOut()),
    );
  }

  private touches(condition: Condition, event: Happening): boolean {
    switch (condition.kind) {
      case "event":
        return condition.event === event.name;
      case "if":
        return (
          factsOf(condition.if).some((path) => event.changed.includes(path)) ||
          (isOfRun(event) && readsSteps(condition.if))
        );
      case "task":
        return event.name === "task.closed";
      case "reply":
        return event.name === "email.replied";
      default:
        return condition.of.some((part) => this.touches(part, event));
    }
  }

  private met(place: Place, condition: Condition, leaf: string): { event?: Happening } | undefined {
    if (place.met.has(leaf)) return {};
    switch (condition.kind) {
      case "event": {
        let story: Place | undefined = place.parent;
        while (story !== undefined && story.roundAt === undefined) story = story.parent;
        const since = condition.since === "wait" ? place.at : (story?.roundAt ?? this.scenario.at);
        const event = this.kept.find(
          (one) =>
            one.name === condition.event &&
            one.at >= since &&
            (condition.since !== "wait" || one.order > place.handled) &&
            !one.served.some(({ key }) => key === place.key) &&
            (condition.where === undefined || this.holds(condition.where, one)),
        );
        if (event === undefined) return undefined;
        event.served.push({ key: place.key, leaf });
        return { event };
      }
      case "if":
        return this.holds(condition.if) ? {} : undefined;
      case "task": {
        const status = this.steps.get(condition.step)?.["status"];
        return status === "done" || status === "skipped" || status === "cancelled" ? {} : undefined;
      }
      case "reply":
        return this.steps.get(condition.step)?.["replied"] === true ? {} : undefined;
      case "any": {
        for (const [i, part] of condition.of.entries()) {
          const match = this.met(place, part, `${leaf}/${i}`);
          if (match !== undefined) return match;
        }
        return undefined;
      }
      case "all": {
        let last: { event?: Happening } | undefined = {};
        for (const [i, part] of condition.of.entries()) {
          const match = this.met(place, part, `${leaf}/${i}`);
          if (match?.event !== undefined) place.met.add(`${leaf}/${i}`);
          last = match === undefined || last === undefined ? undefined : match.event === undefined ? last : match;
        }
        return last;
      }
    }
  }

  private around(place: Place, over: () => void): void {
    const { step } = place;
    if (step.kind !== "around") return;
    const blocks = step.blocks.map(() => ({ due: undefined as Instant | undefined, isDone: false, wasSkipped: false }));
    const skipped = new Set<number>();
    this.blocksSkipped.set(place, skipped);
    const check = (): void => {
      if (!place.isOver && blocks.every(({ isDone }, i) => isDone || skipped.has(i))) over();
    };
    if (blocks.length === 0) {
      over();
      return;
    }
    const run = (i: number, due: Instant): void => {
      const one = step.blocks[i];
      const block = blocks[i];
      if (one === undefined || block === undefined) return;
      this.note("around.due", { step: one.step, key: place.key }, { due });
      this.reach(one.step, place, () => {
        block.isDone = true;
        check();
      });
    };
    const resolved = (i: number, isDue: boolean): void => {
      const one = step.blocks[i];
      const block = blocks[i];
      if (one === undefined || block === undefined) return;
      const child = { step: one.step, key: place.key };
      const at = this.date(one.at);
      if (at !== undefined && (at > this.now || (!isDue && at === this.now))) {
        if (at !== block.due) this.note(block.due === undefined ? "around.armed" : "around.moved", child, { due: at });
        block.due = at;
        block.wasSkipped = false;
        this.timers.push({
          place,
          from: place.at,
          due: at,
          shift: 0,
          isDate: true,
          block: i,
          go: () => this.ask(place, true, () => resolved(i, true), true),
        });
        return;
      }
      if (at !== undefined && isDue) {
        run(i, at);
        return;
      }
      const policy = at === undefined ? step.onMissing : step.onPast;
      if (policy === "run") run(i, at ?? this.now);
      else if (policy === "fail")
        this.fail(place, at === undefined ? `${step.anchor} is missing` : `${step.anchor} has passed`, over);
      else {
        if (!block.wasSkipped || at !== block.due)
          this.note("around.skipped", child, { due: at, reason: at === undefined ? "missing" : "past" });
        Object.assign(block, { wasSkipped: true, due: at });
        skipped.add(i);
        check();
      }
    };
    this.blocksToArm.set(place, (i) => this.ask(place, true, () => resolved(i, false), true));
    place.turn = ++this.turns;
    for (const i of blocks.keys()) this.ask(place, true, () => resolved(i, false), true);
  }

  // ── tasks ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  private openTask(place: Place, due: Duration, over: () => void): void {
    const { step } = place;
    if (step.kind !== "task") return;
    const id = `${this.runId}|${place.key}`;
    const own = { place, key: place.key, id, isClosed: false };
    this.openTasks.push(own);
    this.record(step, { status: "open", instance: place.key });
    this.note("task.opened", place, { assignee: "u1", due: addDuration(this.now, due, "Europe/Warsaw", CALENDAR) });
    const reaction = this.reactionsTo("task", step.id)[0];
    if (reaction !== undefined && (reaction.do.kind === "complete" || reaction.do.kind === "skip")) {
      const { do: deed } = reaction;
      this.happens(
        this.now + span(reaction.after),
        "task.closed",
        {
          step: step.id ?? "",
          key: place.key,
          status: deed.kind === "complete" ? "done" : "skipped",
          completed_by: "u1",
          ...(deed.kind === "complete" && deed.outcome !== undefined ? { outcome: deed.outcome } : {}),
        },
        ["tasks.open", "tasks.required_open"],
        true,
      );
    }
    if (step.wait === undefined) {
      over();
      return;
    }
    const { within, otherwise } = step.wait;
    this.watches.push({
      place,
      touches: (event) => event.name === "task.closed",
      look: () => {
        const left = this.steps.get(step.id ?? "");
        if (left?.["instance"] !== place.key || left["status"] === "open") return;
        this.timers = this.timers.filter((timer) => timer.place !== place);
        this.record(step, { timed_out: false });
        this.note("wait_for.met", place);
        over();
      },
    });
    this.relative(
      place,
      within,
      this.now,
      () => {},
      () => {
        this.record(step, { timed_out: true });
        this.note("wait_for.timed_out", place);
        this.watches = this.watches.filter((one) => one.place !== place);
        this.reresolve.delete(place);
        this.list(otherwise, place, over);
      },
    );
  }

  private taskClosed(event: Happening, step: Step | undefined): void {
    const key = String(event.payload["key"]);
    for (const one of this.openTasks) if (one.key === key) one.isClosed = true;
    if (step === undefined) return;
    const left = this.steps.get(step.id ?? "");
    if (left?.["instance"] !== key || left["status"] !== "open") return;
    const { status, outcome, completed_by } = event.payload;
    this.record(step, { status: status as string, ...(outcome === undefined ? {} : { outcome }) });
    this.note("task.closed", { step, key: step.path }, { status, outcome, completed_by });
  }

  private reactionsTo(to: Reaction["to"], step: string | undefined): readonly Reaction[] {
    return this.scenario.reactions.filter((one) => one.to === to && one.step === step);
  }

  // ── mail ───────────────────────────────────────────────────────────────────────────────────────────────────────────

  private readonly mailOver = new Map<Place, () => void>();
  private readonly told = new Map<Place, Set<string>>();

  private send(place: Place): void {
    const { step } = place;
    const over = this.mailOver.get(place);
    if (step.kind !== "email" || over === undefined) return;
    place.isMailBegun = true;
    const contacts = this.scenario.given.contacts ?? [];
    let mails = this.mails.get(place.key);
    if (mails === undefined) {
      const role = step.to.kind === "subject" ? "" : step.to.role;
      const meant = contacts.filter((contact) => contact.fields["role"] === role);
      const chosen = step.to.kind === "each" ? meant : meant.slice(0, 1);
      if (chosen.length === 0) {
        this.note("email.skipped", place, { reason: "no_contact" });
        this.record(step, { skipped: "no_contact" });
        over();
        return;
      }
      mails = chosen.map(
        ({ id }): Mail => ({
          key: `${this.runId}|${place.key}|${id}|email`,
          contact: id,
          category: step.category,
          status: "pending",
        }),
      );
      this.mails.set(place.key, mails);
    }
    const told = this.told.get(place) ?? new Set<string>();
    this.told.set(place, told);
    const results: { line: string; kind: string; detail: Record<string, unknown> }[] = [];
    for (const mail of mails) {
      const fields = contacts.find(({ id }) => id === mail.contact)?.fields ?? {};
      const locale = fields["locale"] === "pl" ? "pl" : "en";
      const base = { to: mail.contact, locale };
      if (mail.status !== "pending") continue;
      const verdict = this.verdict(place, mail, String(fields["timezone"] ?? this.zone));
      switch (verdict.kind) {
        case "sent":
          mail.status = "sent";
          mail.sentAt = this.now;
          results.push({ line: `${mail.contact} sent`, kind: "email.sent", detail: base });
          this.reactTo(step, place, mail);
          break;
        case "skipped":
          mail.status = "over";
          results.push({
            line: `${mail.contact} skipped`,
            kind: "email.skipped",
            detail: { ...base, reason: verdict.reason },
          });
          break;
        default:
          mail.until = verdict.until;
          mail.staleAt = verdict.staleAt;
          results.push({
            line: `${mail.contact} deferred ${verdict.until}`,
            kind: "email.deferred",
            detail: { ...base, reason: verdict.reason, until: verdict.until },
          });
      }
      if (verdict.kind === "skipped") this.skipReason.set(mail, verdict.reason);
    }
    for (const { line, kind, detail } of results) {
      if (told.has(line)) continue;
      told.add(line);
      this.note(kind, place, detail);
    }
    const waiting = mails.filter(({ status }) => status === "pending");
    if (waiting.length === 0) {
      const sent = mails.find(({ status }) => status === "sent");
      const reason = mails.map((mail) => this.skipReason.get(mail)).find((one) => one !== undefined);
      this.record(step, sent === undefined ? { skipped: reason ?? "" } : { sent_at: sent.sentAt ?? 0 });
      over();
      return;
    }
    place.staleAt ??= Math.max(...waiting.map(({ staleAt }) => staleAt ?? 0));
    const { staleAt } = place;
    this.timers.push({
      place,
      from: this.now,
      due: Math.min(staleAt, ...waiting.map(({ until }) => until ?? 0)),
      shift: 0,
      isDate: true,
      go: () => {
        if (this.now < staleAt) {
          this.ask(place, false, () => this.send(place), true);
          return;
        }
        for (const mail of waiting) mail.status = "over";
        this.record(step, { skipped: "stale" });
        this.note("email.skipped", place, { reason: "stale" });
        over();
      },
    });
  }

  private readonly skipReason = new Map<Mail, string>();

  private verdict(
    place: Place,
    mail: Mail,
    zone: string,
  ):
    | { kind: "sent" }
    | { kind: "skipped"; reason: string }
    | { kind: "deferred"; until: Instant; reason: string; staleAt: Instant } {
    const { step } = place;
    if (step.kind !== "email") throw new Error("no mail");
    const isService = mail.category === "service";
    if (this.phase === "leaving" && mail.until === undefined && !isService)
      return { kind: "skipped", reason: "not_service_after_exit" };
    const against = this.suppressed.filter((one) => one.contact === mail.contact && one.at <= this.now);
    if (against.some(({ isBounce }) => isBounce)) return { kind: "skipped", reason: "bounced_before" };
    if (!isService && against.some(({ category }) => category === mail.category))
      return { kind: "skipped", reason: "unsubscribed" };
    const since = place.at + place.heldMs;
    const staleAt = addDuration(since, step.sendWithin ?? this.policy.email.sendWithin, zone, CALENDAR);
    const first = this.hindrance(step.send, since, mail, zone, this.now);
    if (first === undefined) return this.now > staleAt ? { kind: "skipped", reason: "stale" } : { kind: "sent" };
    if (this.now >= staleAt) return { kind: "skipped", reason: "stale" };
    let until = first.until;
    for (let next = this.hindrance(step.send, since, mail, zone, until); next !== undefined && !next.isOpen; )
      next = this.hindrance(step.send, since, mail, zone, (until = next.until));
    return { kind: "deferred", until, reason: first.reason, staleAt };
  }

  private hindrance(
    send: TimeRule,
    since: Instant,
    mail: Mail,
    zone: string,
    at: Instant,
  ): { reason: string; until: Instant; isOpen?: boolean } | undefined {
    if (send.kind === "working_hours") {
      const opening = openFrom(at, zone, CALENDAR);
      if (opening > at) return { reason: "outside_window", until: opening };
    } else if (send.kind === "time_of_day") {
      // An hour late is still at that time.
      const next = resolveTimeRule(send, Math.max(since, at - HOUR), zone, CALENDAR);
      if (next > at) return { reason: "outside_window", until: next };
    }
    if (mail.category === "service") return undefined;
    const { day, msOfDay } = wallClockOf(at, zone);
    if (msOfDay >= 20 * HOUR || msOfDay < 8 * HOUR)
      return {
        reason: "quiet",
        until: instantOfWallClock({ day: msOfDay < 8 * HOUR ? day : day + 1, msOfDay: 8 * HOUR }, zone),
      };
    const others = [...this.mails.values()].flat().filter((one) => one.contact === mail.contact && one !== mail);
    const released = this.releasedAt;
    if (released !== undefined && since <= released) {
      const latest = Math.max(
        ...others.flatMap(({ sentAt }) => (sentAt !== undefined && sentAt >= released ? [sentAt] : [])),
      );
      if (latest + 4 * HOUR > at) return { reason: "spacing", until: latest + 4 * HOUR };
    }
    const counted = others
      .flatMap(({ sentAt, category }) =>
        sentAt !== undefined && category !== "service" && sentAt > at - 168 * HOUR ? [sentAt] : [],
      )
      .sort((a, b) => a - b);
    if (counted.length >= 3) return { reason: "capped", until: (counted[counted.length - 3] ?? 0) + 168 * HOUR };
    const ahead = others.filter(
      (one) =>
        one.status === "pending" &&
        one.category !== "service" &&
        (one.staleAt ?? Number.POSITIVE_INFINITY) > this.now &&
        one.key < mail.key,
    );
    if (counted.length + ahead.length < 3) return undefined;
    const turns = ahead.map(({ until }) => until ?? at).filter((until) => until > at);
    return { reason: "capped", until: Math.max(Math.min(...turns, at + HOUR), at + 60_000), isOpen: true };
  }

  private reactTo(step: Step, place: Place, mail: Mail): void {
    for (const reaction of this.reactionsTo("email", step.id)) {
      const at = this.now + span(reaction.after);
      const own = { step: step.id ?? "", key: place.key };
      switch (reaction.do.kind) {
        case "reply":
          this.happens(at, "email.replied", own, [], true);
          break;
        case "bounce":
          this.happens(at, "email.bounced", own, [], true);
          this.suppressed.push({ contact: mail.contact, category: "*", at, isBounce: true });
          break;
        case "unsubscribe":
          this.suppressed.push({ contact: mail.contact, category: mail.category, at, isBounce: false });
          break;
        case "event":
          this.happens(at, reaction.do.name, reaction.do.payload, [], false);
      }
    }
  }

  // ── failing, withdrawing, ending ───────────────────────────────────────────────────────────────────────────────────

  private fail(place: Place, reason: string, over: () => void): void {
    const { onError } = place.step;
    this.timers = this.timers.filter((timer) => timer.place !== place);
    this.asking = this.asking.filter((one) => one.place !== place);
    if (onError === "continue" || Array.isArray(onError)) {
      this.note("step.failed", place, { reason });
      this.withdrawUnder(place);
      this.blocksSkipped.delete(place);
      this.blocksToArm.delete(place);
      if (Array.isArray(onError)) this.list(onError, place, over);
      else over();
      return;
    }
    this.parked.push(place);
    this.note("run.parked", place, { reason });
  }

  private withdrawUnder(place: Place): void {
    const isUnder = (one: Place): boolean => one.parent !== undefined && (one.parent === place || isUnder(one.parent));
    for (const one of this.places.filter(isUnder)) {
      for (const mail of this.mails.get(one.key) ?? [])
        if (mail.status === "pending" && one.isMailBegun === true) this.chores.push(() => void (mail.status = "over"));
      this.close(one);
    }
    this.parked = this.parked.filter(({ isOver }) => !isOver);
    for (const task of this.openTasks.filter((one) => !one.isClosed && isUnder(one.place))) {
      this.chores.push(() => {
        if (task.isClosed) return;
        task.isClosed = true;
        this.happens(
          this.now,
          "task.closed",
          { step: task.place.step.id ?? "", key: task.key, status: "cancelled" },
          ["tasks.open", "tasks.required_open"],
          true,
        );
      });
    }
  }

  private leave(): void {
    const { deferredEmail, steps } = this.plan.onExit;
    this.phase = "leaving";
    this.parked = [];
    for (const place of this.places) {
      if (deferredEmail === "keep" && place.isMailBegun === true) this.mailOver.set(place, () => this.close(place));
      else place.isOver = true;
    }
    this.places = this.places.filter(({ isOver }) => !isOver);
    this.chores.push(() => {
      if (deferredEmail === "cancel")
        for (const mail of [...this.mails.values()].flat()) if (mail.status === "pending") mail.status = "over";
      this.list(steps, undefined, () => {});
    });
  }

  private end(outcome: string, place?: Place): void {
    if (this.phase !== "running") return;
    if (place === undefined) this.note("run.ended", undefined, { outcome });
    else this.note("run.ended", { step: place.step, key: place.step.path }, { outcome });
    this.phase = "over";
  }
}

// ── words ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

function short(at: Instant): string {
  return formatInstant(at).slice(0, 16).replace("T", " ");
}

function span(duration: Duration): number {
  return (MS[duration.unit] ?? 0) * duration.amount;
}

function allPaths(expression: Expression): string[] {
  const found: string[] = [];
  JSON.stringify(expression, (name, value) => {
    if (name === "path" && typeof value === "string") found.push(value);
    return value;
  });
  return found;
}

const isOutsidePath = (path: string): boolean => !/^(steps|run|event)\./.test(path);
const factsOf = (expression: Expression): string[] => allPaths(expression).filter(isOutsidePath);
const isOutside = (expression: Expression): boolean => factsOf(expression).length > 0;
const readsSteps = (expression: Expression): boolean => allPaths(expression).some((path) => path.startsWith("steps."));
const isOfRun = ({ name }: Happening): boolean => ["task.closed", "email.replied", "email.bounced"].includes(name);

function conditionPaths(condition: Condition): string[] {
  switch (condition.kind) {
    case "event":
      return condition.where === undefined ? [] : allPaths(condition.where);
    case "if":
      return allPaths(condition.if);
    case "any":
    case "all":
      return condition.of.flatMap(conditionPaths);
    default:
      return [];
  }
}

/** Every step of a list, however deep. */
function everyStep(steps: readonly Step[]): Step[] {
  const found: Step[] = [];
  JSON.stringify(steps, (_name, value) => {
    if (typeof value === "object" && value !== null && "kind" in value && "path" in value) found.push(value as Step);
    return value;
  });
  return found;
}
