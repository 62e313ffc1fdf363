import * as z from "zod";
import { checkForm, type Form, MendedPlaces } from "./check-form.js";
import { compareDiagnostics, type Diagnostic } from "./diagnostic.js";
import { nearest, suggestion } from "./nearest.js";
import { type Problem, readYaml, type YamlFile, type YamlPath, type YamlValue } from "./read-yaml.js";
import { COMMON_KEYS, condition, HEAD, STEP_KINDS, STEPS, TRIGGERS } from "./schema.js";

/**
 * A playbook between YAML and plan: names not yet looked up, expressions still text. What was not of good form is stood in for, so that
 * the rest can be looked at; its problems are already told.
 */
export interface Draft {
  readonly yaml: YamlFile;
  readonly head: { readonly [K in keyof typeof HEAD]?: z.output<(typeof HEAD)[K]> | undefined };
  readonly triggers: readonly DraftTrigger[];
  readonly steps: readonly DraftStep[];
  /** `on_exit.steps` */
  readonly exitSteps: readonly DraftStep[];
  /** Ids of what was meant as a step, but is of no known kind: to ask after them is no second mistake. */
  readonly lostIds: readonly string[];
  /** Whether what stands at the path, or is missing there, had no good form: what the draft holds there is a stand-in. */
  isMended(path: YamlPath): boolean;
}

export type DraftTrigger = {
  [K in keyof typeof TRIGGERS]: {
    readonly kind: K;
    readonly at: YamlPath;
    readonly form: z.output<(typeof TRIGGERS)[K]>;
  };
}[keyof typeof TRIGGERS];

export type StepKind = keyof typeof STEPS;

/** One step: where it stands, its form, the lists of steps inside it. */
export type DraftStep = { [K in StepKind]: DraftStepOf<K> }[StepKind];

export interface DraftStepOf<K extends StepKind> {
  readonly kind: K;
  /** In the file. */
  readonly at: YamlPath;
  /** In the plan: ids, or `kind-N`, from the root, joined by `/`. */
  readonly path: string;
  readonly id: string | undefined;
  readonly form: z.output<(typeof STEPS)[K]>;
  readonly bodies: readonly DraftBody[];
  /** Of `wait_for`. */
  readonly condition?: DraftCondition | undefined;
}

/** A list of steps inside a step: `otherwise`, `else`, a branch's number or name, `steps`, `on_error`. */
export interface DraftBody {
  readonly name: string;
  readonly at: YamlPath;
  readonly steps: readonly DraftStep[];
}

export interface DraftCondition {
  readonly at: YamlPath;
  readonly form: z.output<typeof condition>;
  /** Of `any` or `all`. */
  readonly of: readonly DraftCondition[];
}

/** Limits of one playbook: beyond them nobody can read it, and a run's state grows with it. */
export const MAX_STEPS = 500;
export const MAX_NESTING = 20;

/** The playbook in the file, as far as it can be read, and everything wrong with its form. Never throws. */
export function readPlaybook(file: string, source: string): { draft?: Draft; diagnostics: Diagnostic[] } {
  const { yaml, diagnostics } = readYaml(file, source);
  if (!yaml) return { diagnostics };
  const reader = new PlaybookReader(yaml);
  const draft = reader.read();
  return { draft, diagnostics: reader.diagnostics.sort(compareDiagnostics) };
}

/** Every step of the list with those inside it, in the order of the file, each container before its parts. */
export function* stepsIn(steps: readonly DraftStep[]): Generator<DraftStep> {
  for (const step of steps) {
    yield step;
    for (const body of step.bodies) yield* stepsIn(body.steps);
  }
}

/** Every step of the playbook, `on_exit.steps` last. */
export function* allSteps(draft: Draft): Generator<DraftStep> {
  yield* stepsIn(draft.steps);
  yield* stepsIn(draft.exitSteps);
}

/** The condition and those inside it. */
export function* conditionsIn(root: DraftCondition): Generator<DraftCondition> {
  yield root;
  for (const part of root.of) yield* conditionsIn(part);
}

type RawMap = Readonly<Record<string, YamlValue>>;

class PlaybookReader {
  readonly diagnostics: Diagnostic[] = [];
  private readonly lostIds: string[] = [];
  private readonly mended = new MendedPlaces([]);
  private stepCount = 0;

  constructor(private readonly yaml: YamlFile) {}

  read(): Draft {
    const raw = this.yaml.value as RawMap;
    for (const key of Object.keys(raw)) {
      if (Object.hasOwn(HEAD, key)) continue;
      const hint = suggestion(key, Object.keys(HEAD));
      this.report(
        [key],
        { code: "WP101", message: `A playbook has no key "${key}".`, ...(hint ? { hint } : {}) },
        "key",
      );
    }
    const head = Object.fromEntries(
      Object.entries(HEAD).map(([key, schema]) => [key, this.form(z.strictObject({ [key]: schema }), raw, key)]),
    ) as Draft["head"];
    const enroll = raw["enroll"];
    const when = isMap(enroll) ? enroll["when"] : undefined;
    const triggers = Array.isArray(when)
      ? when.map((each, index) => this.trigger(each, ["enroll", "when", index]))
      : [];
    const onExit = raw["on_exit"];
    return {
      yaml: this.yaml,
      head,
      triggers: triggers.filter((trigger) => trigger !== undefined),
      steps: this.list(raw["steps"], ["steps"], "", 1),
      exitSteps: this.list(isMap(onExit) ? onExit["steps"] : undefined, ["on_exit", "steps"], "on_exit/", 1),
      lostIds: this.lostIds,
      isMended: (path) => this.mended.covers(path),
    };
  }

  /** One key of the head by itself, so that the others are checked even if this one is wrong. */
  private form(schema: z.ZodObject, raw: RawMap, key: string): unknown {
    const form = checkForm(schema, Object.hasOwn(raw, key) ? { [key]: raw[key] as YamlValue } : {});
    const value = this.taken(form, [])[key];
    return this.mended.covers([key]) ? undefined : value;
  }

  private trigger(raw: YamlValue, at: YamlPath): DraftTrigger | undefined {
    const kinds = Object.keys(TRIGGERS) as (keyof typeof TRIGGERS)[];
    const found = isMap(raw) ? kinds.filter((kind) => Object.hasOwn(raw, kind)) : [];
    const [kind] = found;
    if (kind === undefined || found.length > 1) {
      const message =
        found.length > 1 ? `A trigger is one of ${found.join(" and ")}, not both.` : "This is no trigger.";
      const hint =
        found.length > 1 ? `Make them two items of "when": any of them enrols.` : `Write one of: ${kinds.join(", ")}.`;
      this.report(at, { code: "WP109", message, hint });
      return undefined;
    }
    return { kind, at, form: this.taken<object>(checkForm(TRIGGERS[kind], raw), at) } as DraftTrigger;
  }

  private list(raw: YamlValue | undefined, at: YamlPath, prefix: string, depth: number): DraftStep[] {
    if (!Array.isArray(raw)) return [];
    if (depth > MAX_NESTING) {
      const hint = "Split the playbook: `play` starts another one.";
      this.report(at, { code: "WP108", message: `Steps are nested more than ${MAX_NESTING} levels deep.`, hint });
      return [];
    }
    const isAround = at.length > 1 && at.at(-1) === "steps" && this.isAroundAt(at);
    return (raw as readonly YamlValue[]).flatMap((each, index) => {
      this.stepCount += 1;
      if (this.stepCount === MAX_STEPS + 1) {
        const hint = "Split the playbook: `play` starts another one.";
        this.report([...at, index], { code: "WP108", message: `The playbook has more than ${MAX_STEPS} steps.`, hint });
      }
      if (this.stepCount > MAX_STEPS) return [];
      const step = this.step(each, [...at, index], prefix, index, depth, isAround);
      return step ? [step] : [];
    });
  }

  private isAroundAt(at: YamlPath): boolean {
    const owner = at
      .slice(0, -1)
      .reduce<YamlValue | undefined>((value, key) => (value as RawMap | undefined)?.[key], this.yaml.value);
    return isMap(owner) && Object.hasOwn(owner, "around");
  }

  private step(
    raw: YamlValue,
    at: YamlPath,
    prefix: string,
    index: number,
    depth: number,
    isBlock: boolean,
  ): DraftStep | undefined {
    if (!isMap(raw)) {
      this.report(at, {
        code: "WP104",
        message: "This is no step.",
        hint: `A step is a map: its kind (${STEP_KINDS.join(", ")}) and what belongs to it.`,
      });
      return undefined;
    }
    const id = typeof raw["id"] === "string" ? raw["id"] : undefined;
    const kind = this.kindOf(raw, at);
    if (kind === undefined) {
      if (id !== undefined) this.lostIds.push(id);
      return undefined;
    }
    this.checkOffset(raw, at, isBlock);
    const path = `${prefix}${id ?? `${kind}-${index + 1}`}`;
    const form = this.taken<object>(checkForm(STEPS[kind], raw), at);
    const bodies = childLists(kind, raw).map(({ name, at: inside, list }) => ({
      name,
      at: [...at, ...inside],
      steps: this.list(list, [...at, ...inside], `${path}/${name}/`, depth + 1),
    }));
    const waits = raw["wait_for"];
    const condition =
      kind === "wait_for" && isMap(waits) ? this.condition(waits, [...at, "wait_for"], depth) : undefined;
    return { kind, at, path, id, form, bodies, condition } as DraftStep;
  }

  private kindOf(raw: RawMap, at: YamlPath): StepKind | undefined {
    const found = STEP_KINDS.filter((kind) => Object.hasOwn(raw, kind));
    const [kind, second] = found;
    if (second !== undefined) {
      const message = `A step does one thing: this one is ${found.map((each) => `"${each}"`).join(" and ")}.`;
      this.report([...at, second], { code: "WP105", message, hint: "Make each a step of its own." }, "key");
      return undefined;
    }
    if (kind !== undefined) return kind;
    const unknown = Object.keys(raw).find(
      (key) => !COMMON_KEYS.includes(key) && key !== "at" && !SIBLING_KEYS.has(key),
    );
    if (unknown !== undefined) {
      const hint = nearest(unknown, STEP_KINDS);
      const known = hint === undefined ? `Known are: ${STEP_KINDS.join(", ")}.` : `Did you mean "${hint}"?`;
      this.report(
        [...at, unknown],
        { code: "WP104", message: `There is no kind of step "${unknown}".`, hint: known },
        "key",
      );
    } else {
      this.report(at, {
        code: "WP104",
        message: "The step doesn't say what it does.",
        hint: `Give it one of: ${STEP_KINDS.join(", ")}.`,
      });
    }
    return undefined;
  }

  private checkOffset(raw: RawMap, at: YamlPath, isBlock: boolean): void {
    const hasOffset = Object.hasOwn(raw, "at");
    if (isBlock && !hasOffset) {
      const hint = "Say when, counted from the date: at: -14d, at: 0d, at: +30d.";
      this.report(
        [...at, "at"],
        { code: "WP102", message: '"at" is missing: this step stands in a list around a date.', hint },
        "key",
      );
    }
    if (!isBlock && hasOffset) {
      const hint = "Only steps directly below `around` have it; elsewhere use `wait`.";
      this.report([...at, "at"], { code: "WP101", message: 'There is no key "at" here.', hint }, "key");
    }
  }

  private condition(raw: RawMap, at: YamlPath, depth: number): DraftCondition | undefined {
    const { within: _, otherwise: __, ...own } = raw;
    const isInner = at.at(-1) !== "wait_for";
    const checked = checkForm(condition, isInner ? raw : own);
    // Of the outermost the step's own form has told the problems.
    const form = this.taken(isInner ? checked : { ...checked, issues: [] }, at);
    if (depth > MAX_NESTING) {
      this.report(at, { code: "WP108", message: `Conditions are nested more than ${MAX_NESTING} levels deep.` });
      return undefined;
    }
    const of = (["any", "all"] as const).flatMap((key) => {
      const parts = (form[key] ?? []) as readonly YamlValue[];
      return parts.flatMap((part, index) => {
        const where = [...at, key, index];
        if (isMap(part)) return this.condition(part, where, depth + 1) ?? [];
        this.report(where, {
          code: "WP103",
          message: "This is no condition.",
          hint: "Write { event: … }, { if: … }, { task: … } or { reply: … }.",
        });
        return [];
      });
    });
    return { at, form, of };
  }

  /** The form's value; its problems are reported, and where it was mended is kept. */
  private taken<T>({ value, issues, mended }: Form<T>, at: YamlPath): T {
    for (const { path, at: place, ...problem } of issues) this.report([...at, ...path], problem, place);
    for (const path of mended) this.mended.add([...at, ...path]);
    return value;
  }

  private report(path: YamlPath, problem: Problem, at: "key" | "value" = "value"): void {
    this.diagnostics.push(this.yaml.problem(path, problem, { at }));
  }
}

/** Keys that stand beside some kind's own: no sign of an unknown kind. */
const SIBLING_KEYS = new Set(["steps", "on_missing", "on_past", "join", "within", "otherwise"]);

/** The lists of steps inside a step, read from the YAML itself, so that they are checked even if the step has another fault. */
function childLists(kind: StepKind, raw: RawMap): { name: string; at: YamlPath; list: YamlValue }[] {
  const own = raw[kind];
  const lists: { name: string; at: YamlPath; list: YamlValue | undefined }[] = [];
  if (kind === "around") lists.push({ name: "steps", at: ["steps"], list: raw["steps"] });
  if (kind === "choose" && Array.isArray(own)) {
    (own as readonly YamlValue[]).forEach((branch, index) => {
      if (!isMap(branch)) return;
      lists.push({ name: String(index + 1), at: ["choose", index, "steps"], list: branch["steps"] });
      lists.push({ name: "else", at: ["choose", index, "else"], list: branch["else"] });
    });
  }
  if (isMap(own)) {
    if (kind === "parallel") {
      for (const [name, list] of Object.entries(own)) lists.push({ name, at: ["parallel", name], list });
    }
    if (kind === "repeat") lists.push({ name: "steps", at: ["repeat", "steps"], list: own["steps"] });
    if (kind === "wait_for" || kind === "task" || kind === "play") {
      lists.push({ name: "otherwise", at: [kind, "otherwise"], list: own["otherwise"] });
    }
  }
  lists.push({ name: "on_error", at: ["on_error"], list: raw["on_error"] });
  return lists.flatMap(({ name, at, list }) => (Array.isArray(list) ? [{ name, at, list: list as YamlValue }] : []));
}

function isMap(value: YamlValue | undefined): value is RawMap {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
