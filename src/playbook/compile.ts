import type { Model } from "../customers/model.js";
import type { Condition, Enroll, Exit, Plan, Step, Trigger } from "../engine/plan.js";
import type { Policy } from "../engine/policy.js";
import type { Expression } from "../expression/expression.js";
import { references } from "../expression/references.js";
import { meaningHash } from "../values/canonical-json.js";
import type { Duration } from "../values/duration.js";
import { parseTimeRule } from "../values/time-rule.js";
import { placeKey } from "./context.js";
import { readLiquid } from "./liquid.js";
import {
  allSteps,
  type Draft,
  type DraftBody,
  type DraftCondition,
  type DraftStep,
  type DraftTrigger,
} from "./read-playbook.js";
import type { YamlPath } from "./read-yaml.js";
import type { TemplateFile } from "./templates.js";

/** What a faultless draft is compiled with. */
export interface CompileInput {
  readonly draft: Draft;
  readonly policy: Policy;
  readonly model: Model;
  /** Segment name → its checked predicate. */
  readonly segments: Readonly<Record<string, { readonly if: Expression }>>;
  readonly templates: readonly TemplateFile[];
  /** Checked expressions by place. */
  readonly expressions: ReadonlyMap<string, Expression>;
}

/**
 * The plan of a draft in which no rule found an error; defaults are filled in from the policy. The same files give the same hash,
 * whatever else the workspace holds. Throws if something that the rules should have refused is missing: a fault of this compiler.
 */
export function compile(input: CompileInput): Plan {
  const compiler = new Compiler(input);
  const plan = compiler.plan();
  return { ...plan, hash: hashOf(plan, input) };
}

class Compiler {
  constructor(private readonly input: CompileInput) {}

  plan(): Plan {
    const { draft } = this.input;
    const { head } = draft;
    const onExit = present(head.on_exit);
    const exits = present(head.exit).map((exit, index) => this.exit(exit, ["exit", index]));
    const goal = head.goal && this.exit(head.goal, ["goal"]);
    const plan = {
      format: 1 as const,
      playbook: present(head.playbook),
      title: present(head.title),
      maintainer: present(head.maintainer),
      hash: "",
      subject: present(head.subject),
      inputs: Object.fromEntries(
        Object.entries(present(head.inputs)).map(([name, { type, default: value }]) => [
          name,
          { type, ...(value === undefined ? {} : { default: value }) },
        ]),
      ),
      enroll: this.enroll(),
      exits,
      onExit: {
        openTasks: onExit.open_tasks,
        deferredEmail: onExit.deferred_email,
        steps: draft.exitSteps.map((step) => this.step(step)),
      },
      ...(goal ? { goal } : {}),
      pauses: present(head.pauses),
      priority: present(head.priority),
      calendar: present(head.calendar),
      steps: draft.steps.map((step) => this.step(step)),
      templates: this.templates(),
    };
    return { ...plan, listens: listens(plan) };
  }

  private enroll(): Enroll {
    const form = present(this.input.draft.head.enroll);
    const { again } = form;
    return {
      when: this.input.draft.triggers.map((trigger) => this.trigger(trigger)),
      ...this.optional("if", ["enroll", "if"]),
      ...this.optional("key", ["enroll", "key"]),
      again: typeof again === "string" ? { kind: again } : { kind: "after", duration: again.after },
      merge: form.merge,
      with: this.expressions(["enroll", "with"], form.with),
    };
  }

  private trigger(trigger: DraftTrigger): Trigger {
    const { at } = trigger;
    switch (trigger.kind) {
      case "event":
        return { kind: "event", event: trigger.form.event, ...this.optional("where", [...at, "where"]) };
      case "before":
        return { kind: "before", date: this.expression([...at, "before"]), by: trigger.form.by };
      case "enters":
        return { kind: "enters", segment: trigger.form.enters.slice(SEGMENT.length) };
      case "leaves":
        return { kind: "leaves", segment: trigger.form.leaves.slice(SEGMENT.length) };
      case "health":
        return { kind: "health", becomes: trigger.form.health.becomes };
      case "every":
        return { kind: "every", cron: trigger.form.every.cron };
      case "manual":
        return { kind: "manual" };
    }
  }

  private exit(form: { when?: { event: string } | undefined; outcome: string }, at: YamlPath): Exit {
    return {
      ...(form.when ? { when: { event: form.when.event, ...this.optional("where", [...at, "when", "where"]) } } : {}),
      ...this.optional("if", [...at, "if"]),
      outcome: form.outcome,
    };
  }

  private templates(): Plan["templates"] {
    const used = new Set(
      [...allSteps(this.input.draft)].flatMap((step) => (step.kind === "email" ? [step.form.email.template] : [])),
    );
    const templates: Record<string, Record<string, string>> = {};
    for (const { name, locale, hash } of this.input.templates) {
      if (used.has(name)) templates[name] = { ...templates[name], [locale]: hash };
    }
    return templates;
  }

  private step(draft: DraftStep): Step {
    const form = draft.form;
    const base = {
      path: draft.path,
      ...(draft.id === undefined ? {} : { id: draft.id }),
      ...(form.name === undefined ? {} : { name: form.name }),
      ...this.optional("if", [...draft.at, "if"]),
      ...(form.on_error === undefined
        ? {}
        : { onError: typeof form.on_error === "string" ? form.on_error : this.body(draft, "on_error") }),
    };
    const own = this.own(draft);
    const scope = this.scope(own);
    return { ...base, ...(scope.length === 0 ? {} : { scope }), ...own } as Step;
  }

  /** What the step's texts mention that only the machine knows. */
  private scope(own: OwnPart): string[] {
    const texts =
      own.kind === "slack"
        ? [own.text]
        : own.kind === "task"
          ? [own.title, own.text]
          : own.kind === "risk" || own.kind === "opportunity"
            ? [own.text]
            : [];
    const uses = texts.flatMap((text) => (text === undefined ? [] : readLiquid(text).uses));
    const mails = own.kind === "email" ? this.input.templates.filter(({ name }) => name === own.template) : [];
    const paths = [...uses, ...mails.flatMap((template) => template.uses)].map(({ path }) => path);
    return [...new Set(paths.filter((path) => /^(?:steps|run)\./.test(path)))].sort();
  }

  /** What belongs to the kind. */
  private own(draft: DraftStep): OwnPart {
    const { policy } = this.input;
    const at = (...inside: YamlPath) => [...draft.at, ...inside];
    switch (draft.kind) {
      case "email": {
        const { to, each, from, template, category, send, send_within: within } = draft.form.email;
        return {
          kind: "email",
          to:
            each !== undefined
              ? { kind: "each", role: each }
              : to === "contact"
                ? { kind: "subject" }
                : { kind: "role", role: present(to) },
          from: from ?? { kind: "csm" },
          template,
          category,
          send: send ?? policy.email.send,
          ...(within === undefined ? {} : { sendWithin: within }),
        };
      }
      case "slack":
        return { kind: "slack", ...draft.form.slack };
      case "task": {
        const form = draft.form.task;
        return {
          kind: "task",
          title: form.title,
          ...(form.text === undefined ? {} : { text: form.text }),
          for: form.for,
          due: form.due,
          dueIf: form.due_if.map(({ due }, index) => ({ if: this.expression(at("task", "due_if", index, "if")), due })),
          required: form.required,
          escalate: form.escalate,
          remind: form.remind ?? policy.tasks.remind,
          snoozeLimit: form.snooze?.limit ?? policy.tasks.snooze.limit,
          ...(form.ask === undefined ? {} : { ask: form.ask }),
          outcomes: form.outcomes,
          ...this.waiting(draft, form),
        };
      }
      case "wait": {
        const { wait } = draft.form;
        if (!("until" in wait)) return { kind: "wait", until: { kind: "rule", rule: wait }, ...ON_DATE };
        const rule = parseTimeRule(wait.until);
        const offset = wait.offset === undefined ? {} : { offset: wait.offset };
        return {
          kind: "wait",
          until: rule
            ? { kind: "rule", rule }
            : { kind: "date", date: this.expression(at("wait", "until")), ...offset },
          onMissing: wait.on_missing ?? ON_DATE.onMissing,
          onPast: wait.on_past ?? ON_DATE.onPast,
        };
      }
      case "around": {
        const form = draft.form;
        return {
          kind: "around",
          anchor: form.around,
          blocks: this.draftBody(draft, "steps").map((step) => ({ at: present(step.form.at), step: this.step(step) })),
          onMissing: form.on_missing ?? ON_DATE.onMissing,
          onPast: form.on_past ?? ON_DATE.onPast,
        };
      }
      case "wait_for":
        return {
          kind: "wait_for",
          for: this.condition(present(draft.condition)),
          within: present(draft.form.wait_for.within),
          otherwise: this.body(draft, "otherwise"),
        };
      case "choose": {
        const branches = draft.form.choose.slice(0, -1);
        return {
          kind: "choose",
          branches: branches.map((_, index) => ({
            if: this.expression(at("choose", index, "if")),
            steps: this.body(draft, String(index + 1)),
          })),
          else: this.body(draft, "else"),
        };
      }
      case "parallel": {
        const form = draft.form;
        return {
          kind: "parallel",
          branches: Object.keys(form.parallel).map((name) => ({ name, steps: this.body(draft, name) })),
          join: form.join ?? "all",
        };
      }
      case "repeat": {
        const { every, times } = draft.form.repeat;
        return {
          kind: "repeat",
          every,
          ...this.optional("until", at("repeat", "until")),
          times: present(times),
          steps: this.body(draft, "steps"),
        };
      }
      case "milestone":
        return { kind: "milestone", milestone: draft.form.milestone };
      case "set":
        return { kind: "set", field: draft.form.set.field, value: this.expression(at("set", "value")) };
      case "risk": {
        const { kind: risk, severity, text } = draft.form.risk;
        return { kind: "risk", risk, severity, ...(text === undefined ? {} : { text }) };
      }
      case "opportunity": {
        const { kind: opportunity, text } = draft.form.opportunity;
        return { kind: "opportunity", opportunity, ...(text === undefined ? {} : { text }) };
      }
      case "health":
        return { kind: "health" };
      case "play": {
        const form = draft.form.play;
        return {
          kind: "play",
          playbook: form.playbook,
          with: this.expressions(at("play", "with"), form.with),
          ...this.waiting(draft, form),
        };
      }
      case "end":
        return { kind: "end", outcome: draft.form.end };
    }
  }

  private waiting(draft: DraftStep, form: { wait?: "done" | undefined; within?: Duration | undefined }) {
    return form.wait === undefined
      ? {}
      : { wait: { within: present(form.within), otherwise: this.body(draft, "otherwise") } };
  }

  private condition({ at, form, of }: DraftCondition): Condition {
    if (form.event !== undefined) {
      return {
        kind: "event",
        event: form.event,
        ...this.optional("where", [...at, "where"]),
        since: form.since ?? "start",
      };
    }
    if (form.if !== undefined) return { kind: "if", if: this.expression([...at, "if"]) };
    if (form.task !== undefined) return { kind: "task", step: form.task };
    if (form.reply !== undefined) return { kind: "reply", step: form.reply };
    return { kind: form.any ? "any" : "all", of: of.map((part) => this.condition(part)) };
  }

  private body(draft: DraftStep, name: string): Step[] {
    return this.draftBody(draft, name).map((step) => this.step(step));
  }

  private draftBody(draft: DraftStep, name: string): DraftBody["steps"] {
    // A branch may be called like another body: `on_error` is refused for branches, the other names belong to other kinds.
    return draft.bodies.find((body) => body.name === name)?.steps ?? [];
  }

  private expressions(at: YamlPath, texts: Readonly<Record<string, string>>): Record<string, Expression> {
    return Object.fromEntries(Object.keys(texts).map((name) => [name, this.expression([...at, name])]));
  }

  private expression(at: YamlPath): Expression {
    return present(this.input.expressions.get(placeKey(at)));
  }

  private optional<K extends string>(key: K, at: YamlPath): { readonly [P in K]?: Expression } {
    const expression = this.input.expressions.get(placeKey(at));
    return (expression ? { [key]: expression } : {}) as { readonly [P in K]?: Expression };
  }
}

type OwnPart = {
  [K in Step["kind"]]: Omit<Extract<Step, { kind: K }>, "path" | "id" | "name" | "if" | "onError">;
}[Step["kind"]];

const SEGMENT = "segment.";

/** Missing dates and dates in the past never mean "now". Source: language.md, "Meaning". */
const ON_DATE = { onMissing: "fail", onPast: "skip" } as const;

/** What the rules have made sure of. */
function present<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("the compiler was given a draft with errors");
  return value;
}

/** What a run must be told of: events that exits, the goal and waits name; facts that they and anchors mention. */
function listens(plan: Pick<Plan, "exits" | "goal" | "steps" | "onExit">): Plan["listens"] {
  const events = new Set<string>();
  const facts = new Set<string>();
  const mention = (expression: Expression | undefined) => {
    for (const path of expression ? references(expression) : []) if (!isLocal(path)) facts.add(path);
  };
  const condition = (of: Condition): void => {
    if (of.kind === "event") events.add(of.event);
    if (of.kind === "if") mention(of.if);
    if (of.kind === "any" || of.kind === "all") of.of.forEach(condition);
  };
  for (const exit of [...plan.exits, ...(plan.goal ? [plan.goal] : [])]) {
    if (exit.when) events.add(exit.when.event);
    mention(exit.if);
  }
  for (const step of stepsOf([...plan.steps, ...plan.onExit.steps])) {
    if (step.kind === "wait_for") condition(step.for);
    if (step.kind === "wait" && step.until.kind === "date") mention(step.until.date);
    if (step.kind === "around") facts.add(step.anchor);
    if (step.kind === "play" && step.wait) events.add("run.ended");
    if (isByCalendar(step)) for (const path of ZONE_FACTS) facts.add(path);
  }
  return { events: [...events].sort(), facts: [...facts].sort() };
}

/** A change of one of these moves what was reckoned in the account's zone and calendar. */
const ZONE_FACTS = ["account.calendar", "account.country", "account.timezone"];

/** True if a timer of the step goes by a zone or a calendar: hours, minutes and seconds don't. */
function isByCalendar(step: Step): boolean {
  const isExact = (duration: Duration) => ["h", "m", "s"].includes(duration.unit);
  switch (step.kind) {
    case "wait":
      return step.until.kind === "date" || step.until.rule.kind !== "after" || !isExact(step.until.rule.duration);
    case "wait_for":
      return !isExact(step.within);
    case "task":
    case "play":
      return step.wait !== undefined && !isExact(step.wait.within);
    case "repeat":
      return !isExact(step.every);
    default:
      return step.kind === "around";
  }
}

function isLocal(path: string): boolean {
  return path === "now" || /^(?:steps|run|event)\./.test(path);
}

/** Every step with those inside it. */
function* stepsOf(steps: readonly Step[]): Generator<Step> {
  for (const step of steps) {
    yield step;
    yield* stepsOf(insideOf(step));
    if (Array.isArray(step.onError)) yield* stepsOf(step.onError);
  }
}

function insideOf(step: Step): readonly Step[] {
  switch (step.kind) {
    case "wait_for":
      return step.otherwise;
    case "task":
    case "play":
      return step.wait?.otherwise ?? [];
    case "choose":
      return [...step.branches.flatMap(({ steps }) => steps), ...step.else];
    case "parallel":
      return step.branches.flatMap(({ steps }) => steps);
    case "repeat":
      return step.steps;
    case "around":
      return step.blocks.map((block) => block.step);
    default:
      return [];
  }
}

/** SHA-256 over the plan, the segments that enrol, and what the model says of the facts that the plan or its templates mention. */
function hashOf(plan: Plan, { segments, model, templates }: CompileInput): string {
  const mentioned = new Set<string>();
  collectPaths(plan, mentioned);
  for (const { name, uses } of templates)
    if (Object.hasOwn(plan.templates, name)) for (const { path } of uses) mentioned.add(path);
  const view: Record<string, unknown> = {};
  for (const path of mentioned) {
    const [group = "", name = ""] = path.split(".");
    const entries = {
      usage: model.metrics,
      milestone: model.milestones,
      account: model.account,
      contact: model.contact,
      contract: model.contract,
    };
    const known = Object.hasOwn(entries, group) ? entries[group as keyof typeof entries] : undefined;
    if (known && Object.hasOwn(known, name)) view[path] = known[name];
  }
  const enrolling = plan.enroll.when.flatMap((trigger) =>
    trigger.kind === "enters" || trigger.kind === "leaves" ? [trigger.segment] : [],
  );
  const predicates = enrolling.map((name) => [name, segments[name]?.if]);
  return meaningHash({ plan: { ...plan, hash: undefined }, view, segments: predicates });
}

function collectPaths(value: unknown, paths: Set<string>): void {
  if (typeof value !== "object" || value === null) return;
  const { op, path } = value as { op?: unknown; path?: unknown };
  if ((op === "fact" || op === "has") && typeof path === "string") paths.add(path);
  for (const part of Object.values(value)) collectPaths(part, paths);
}
