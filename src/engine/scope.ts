import type { Expression, FactLookup, FactValue } from "../expression/expression.js";
import { references } from "../expression/references.js";
import type { RunEvent } from "./event.js";
import type { RunState } from "./state.js";

/** True for a path that the machine knows by itself: `steps.…`, `run.…`, `event.…`, `now`. */
export function isLocal(path: string): boolean {
  return path === "now" || path.startsWith("steps.") || path.startsWith("run.") || path.startsWith("event.");
}

/** The paths of an expression that must be read from the world. */
export function outsideFacts(...expressions: readonly (Expression | undefined)[]): string[] {
  const paths = expressions.flatMap((expression) => (expression === undefined ? [] : references(expression)));
  return [...new Set(paths.filter((path) => !isLocal(path)))].sort();
}

/** How an expression sees a run: its own state, the event at hand, and facts that were read. */
export function lookupIn(
  state: Pick<RunState, "clock" | "inputs" | "steps" | "run">,
  facts: Readonly<Record<string, FactValue>>,
  event?: RunEvent,
): FactLookup {
  return (path) => {
    if (path === "now") return state.clock;
    if (path.startsWith("steps.")) {
      const dot = path.indexOf(".", 6);
      if (dot < 0) return undefined;
      return own(own(state.steps, path.slice(6, dot)), path.slice(dot + 1));
    }
    if (path.startsWith("event.")) {
      return event === undefined ? undefined : eventField(event, path.slice(6));
    }
    if (path.startsWith("run.inputs.")) return own(state.inputs, path.slice(11));
    if (path === "run.started_at") return state.run.startedAt;
    if (path === "run.id") return state.run.id;
    if (path === "run.key") return state.run.key;
    return own(facts, path);
  };
}

/** `event.FIELD`: besides its payload every event has `name`, `at` and `id`. */
export function eventField(event: RunEvent, field: string): FactValue | undefined {
  if (field === "name") return event.name;
  if (field === "at" || field === "occurred_at") return event.at;
  if (field === "id") return event.id;
  return own(event.payload, field);
}

/**
 * The expression with what only the machine knows put in, so that the world can compute it; what is absent stays a fact, and is absent
 * there too.
 */
export function withLocals(expression: Expression, lookup: FactLookup): Expression {
  if (expression.op === "fact") {
    const value = isLocal(expression.path) && expression.path !== "now" ? lookup(expression.path) : undefined;
    return value === undefined || typeof value === "object" ? expression : { op: "literal", value };
  }
  if (expression.op === "has") {
    return isLocal(expression.path) && expression.path !== "now"
      ? { op: "literal", value: lookup(expression.path) !== undefined }
      : expression;
  }
  const inside = (part: unknown): unknown =>
    Array.isArray(part) ? part.map(inside) : isExpression(part) ? withLocals(part, lookup) : part;
  return Object.fromEntries(
    Object.entries(expression).map(([name, part]) => [name, inside(part)]),
  ) as unknown as Expression;
}

function isExpression(part: unknown): part is Expression {
  return part !== null && typeof part === "object" && !Array.isArray(part) && "op" in part;
}

/** The values behind the paths, absent ones left out: what a timeline line shows of a decision. */
export function valuesOf(paths: readonly string[], lookup: FactLookup): Record<string, FactValue> {
  const values: Record<string, FactValue> = {};
  for (const path of paths) {
    const value = lookup(path);
    if (value !== undefined) values[path] = value;
  }
  return values;
}

/** An own property, never one of the prototype. */
function own<T>(record: Readonly<Record<string, T>> | undefined, name: string): T | undefined {
  return record !== undefined && Object.prototype.hasOwnProperty.call(record, name) ? record[name] : undefined;
}
