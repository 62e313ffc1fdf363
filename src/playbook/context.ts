import type { Model } from "../customers/model.js";
import type { Policy } from "../engine/policy.js";
import type { Expression } from "../expression/expression.js";
import type { Calendar } from "../values/calendar.js";
import type { Diagnostic } from "./diagnostic.js";
import { suggestion } from "./nearest.js";
import type { Draft } from "./read-playbook.js";
import type { Problem, YamlPath } from "./read-yaml.js";
import type { TemplateFile } from "./templates.js";

/** What a playbook may refer to. A part whose own file is wrong is undefined: then nothing is said about its names. */
export interface World {
  readonly model: Model | undefined;
  readonly policy: Policy | undefined;
  readonly segments: readonly string[] | undefined;
  readonly calendars: readonly Calendar[] | undefined;
  /** By folder. */
  readonly playbooks: ReadonlyMap<string, Draft>;
  /** Folders whose playbook.yaml couldn't be read at all: their names are known all the same. */
  readonly names: ReadonlySet<string>;
  /** The playbook's own. */
  readonly templates: readonly TemplateFile[];
}

/** What a rule has at hand. */
export interface RuleContext extends World {
  readonly folder: string;
  readonly draft: Draft;
  /** Says nothing about a place that was mended: what is wrong there is told already. */
  report(path: YamlPath, problem: Problem, where?: { at?: "key" | "value"; offset?: number; length?: number }): void;
  /** A diagnostic of another file, such as a template. */
  add(diagnostic: Diagnostic): void;
  /** Reports a name that isn't among the known ones, with the nearest match; true if it is. */
  known(path: YamlPath, code: string, what: string, name: string, names: Iterable<string>): boolean;
  /** Checked expressions by place, filled by the rule `expressions` for those behind it and for the compiler. */
  readonly expressions: Map<string, Expression>;
}

/** One semantic rule: reports what it finds. Nothing is said about parts that have no good form, whatever it reports. */
export type Rule = (context: RuleContext) => void;

/** The context for one playbook; what the rules report is pushed to `diagnostics`. */
export function contextFor(world: World, folder: string, draft: Draft, diagnostics: Diagnostic[]): RuleContext {
  const context: RuleContext = {
    ...world,
    folder,
    draft,
    expressions: new Map(),
    report(path, problem, where) {
      if (!draft.isMended(path)) diagnostics.push(draft.yaml.problem(path, problem, where));
    },
    add: (diagnostic) => void diagnostics.push(diagnostic),
    known(path, code, what, name, names) {
      const all = [...names];
      if (all.includes(name)) return true;
      const hint = suggestion(name, all);
      context.report(path, { code, message: `There is no ${what} "${name}".`, ...(hint ? { hint } : {}) });
      return false;
    },
  };
  return context;
}

/** The key of a place in `expressions`. */
export function placeKey(at: YamlPath): string {
  return JSON.stringify(at);
}
