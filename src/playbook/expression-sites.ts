import type { Model } from "../customers/model.js";
import type { FactType } from "../expression/expression.js";
import { parseTimeRule } from "../values/time-rule.js";
import { factType } from "./environment.js";
import { allSteps, conditionsIn, type Draft, type DraftStep } from "./read-playbook.js";
import type { YamlPath } from "./read-yaml.js";
import { idsIn, visibleSteps } from "./visible-steps.js";

/** A place of a playbook where an expression stands. */
export interface ExpressionSite {
  readonly at: YamlPath;
  readonly text: string;
  readonly expected: FactType | undefined;
  /** `enroll`: there is no run yet. `run`: inside a run. */
  readonly scope: "enroll" | "run";
  /** `event.…` is one of these events. */
  readonly events?: readonly string[];
  /** Ids of the steps that can have run by then; absent: all. */
  readonly visible?: ReadonlySet<string>;
}

/** Every expression of the playbook, in no particular order. `playbooks`: for the types of other playbooks' inputs. */
export function expressionSites(draft: Draft, model: Model, playbooks: ReadonlyMap<string, Draft>): ExpressionSite[] {
  return [...headSites(draft), ...stepSites(draft, model, playbooks)];
}

function headSites(draft: Draft): ExpressionSite[] {
  const { enroll, exit, goal, inputs } = draft.head;
  const sites: ExpressionSite[] = [];
  const add = (at: YamlPath, text: string | undefined, rest: Omit<ExpressionSite, "at" | "text">) => {
    if (text !== undefined) sites.push({ at, text, ...rest });
  };
  for (const trigger of draft.triggers) {
    if (trigger.kind === "event") {
      add([...trigger.at, "where"], trigger.form.where, {
        expected: "bool",
        scope: "enroll",
        events: [trigger.form.event],
      });
    }
    if (trigger.kind === "before")
      add([...trigger.at, "before"], trigger.form.before, { expected: "timestamp", scope: "enroll" });
  }
  const events = draft.triggers.flatMap((trigger) => (trigger.kind === "event" ? [trigger.form.event] : []));
  add(["enroll", "if"], enroll?.if, { expected: "bool", scope: "enroll" });
  add(["enroll", "key"], enroll?.key, { expected: "string", scope: "enroll" });
  for (const [name, text] of Object.entries(enroll?.with ?? {})) {
    add(["enroll", "with", name], text, { expected: inputType(inputs, name), scope: "enroll", events });
  }
  for (const [form, at] of [
    ...(exit ?? []).map((each, index) => [each, ["exit", index]] as const),
    [goal, ["goal"]] as const,
  ]) {
    add([...at, "if"], form?.if, { expected: "bool", scope: "run" });
    add([...at, "when", "where"], form?.when?.where, {
      expected: "bool",
      scope: "run",
      events: form?.when ? [form.when.event] : [],
    });
  }
  return sites;
}

function stepSites(draft: Draft, model: Model, playbooks: ReadonlyMap<string, Draft>): ExpressionSite[] {
  const sites: ExpressionSite[] = [];
  const visible = visibleSteps(draft);
  for (const step of allSteps(draft)) {
    const seen = visible.get(step.path) ?? new Set<string>();
    const add = (at: YamlPath, text: string | undefined, expected?: FactType, more: Partial<ExpressionSite> = {}) => {
      if (text !== undefined)
        sites.push({ at: [...step.at, ...at], text, expected, scope: "run", visible: seen, ...more });
    };
    add(["if"], step.form.if, "bool");
    ownSites(step, model, playbooks, add, seen);
  }
  return sites;
}

type Add = (at: YamlPath, text: string | undefined, expected?: FactType, more?: Partial<ExpressionSite>) => void;

function ownSites(
  step: DraftStep,
  model: Model,
  playbooks: ReadonlyMap<string, Draft>,
  add: Add,
  seen: ReadonlySet<string>,
): void {
  switch (step.kind) {
    case "task":
      step.form.task.due_if.forEach((each, index) => void add(["task", "due_if", index, "if"], each.if, "bool"));
      return;
    case "wait": {
      const wait = step.form.wait;
      if (wait && "until" in wait && !parseTimeRule(wait.until)) add(["wait", "until"], wait.until, "timestamp");
      return;
    }
    case "around":
      add(["around"], step.form.around, "timestamp");
      return;
    case "wait_for":
      for (const { at, form } of step.condition ? conditionsIn(step.condition) : []) {
        const inside = at.slice(step.at.length);
        add([...inside, "if"], form.if, "bool");
        add([...inside, "where"], form.where, "bool", { events: form.event === undefined ? [] : [form.event] });
      }
      return;
    case "choose":
      step.form.choose.forEach((branch, index) => void add(["choose", index, "if"], branch.if, "bool"));
      return;
    case "repeat": {
      const inside = idsIn(step.bodies.flatMap(({ steps }) => steps));
      add(["repeat", "until"], step.form.repeat.until, "bool", { visible: new Set([...seen, ...inside]) });
      return;
    }
    case "set": {
      const form = step.form.set;
      if (form) add(["set", "value"], form.value, fieldType(form.field, model));
      return;
    }
    case "play":
      for (const [name, text] of Object.entries(step.form.play.with ?? {})) {
        const target = playbooks.get(step.form.play.playbook ?? "");
        add(["play", "with", name], text, inputType(target?.head.inputs, name));
      }
      return;
    default:
      return;
  }
}

function inputType(inputs: Draft["head"]["inputs"], name: string): FactType | undefined {
  return inputs && Object.hasOwn(inputs, name) ? factType(inputs[name]?.type ?? "string") : undefined;
}

function fieldType(path: string, model: Model): FactType | undefined {
  const [group, name = ""] = path.split(".");
  const fields = group === "account" || group === "contact" || group === "contract" ? model[group] : {};
  return Object.hasOwn(fields, name) ? factType(fields[name]?.type ?? "string") : undefined;
}
