import { isTrue } from "../expression/evaluate.js";
import { type FactValue, LARGEST_FACTOR, SMALLEST_FACTOR } from "../expression/expression.js";
import { references } from "../expression/references.js";
import type { Instant } from "../values/instant.js";
import type { HealthModel, Measure, Profile, Scale } from "./health-model.js";
import { meaningHash } from "../values/canonical-json.js";

/** A score, and all that it was made of. */
export interface Measurement {
  readonly profile: string;
  /** 0..100; null: no measure that applies has fresh data. */
  readonly score: number | null;
  /** Weight present ÷ weight of the measures that apply, 0..1; 0 where none applies. */
  readonly coverage: number;
  readonly inputs: HealthInputs;
}

/** The explanation of a score, as it is kept beside it. */
export interface HealthInputs {
  /** Of `health.yaml`. */
  readonly version: number;
  /** Every measure that the profile weighs, by name. */
  readonly measures: readonly MeasuredInput[];
  /** Measure → the newest sample, answer or change behind its value; not there: nothing, or it doesn't apply. */
  readonly newest: Readonly<Record<string, Instant>>;
}

export interface MeasuredInput {
  readonly measure: string;
  readonly weight: number;
  /** Of its fact. */
  readonly value?: number | string;
  /** Of `divided_by`. */
  readonly divisor?: number;
  readonly points?: number;
  readonly missing?: Missing;
}

/**
 * Why a measure gives no points. `stage`: it doesn't apply to the account, and counts for nothing; `absent`: no such
 * fact; `stale`: older than `fresh`; `divisor`: `divided_by` is absent or 0; `range`: beyond 1e±100; `unlisted`: a text
 * that `values` doesn't name.
 */
export type Missing = "stage" | "absent" | "stale" | "divisor" | "range" | "unlisted";

/**
 * The score of one account from its facts as of an instant. `newest`: by path, the newest sample, answer or change
 * behind the value. Sums go by measure name, so that every driver gets the same last digit.
 */
export function measureHealth(
  model: HealthModel,
  facts: Readonly<Record<string, FactValue>>,
  newest: Readonly<Record<string, Instant>>,
  asOf: Instant,
): Measurement {
  const profile = profileOf(model, facts);
  const measures: MeasuredInput[] = [];
  const ages: Record<string, Instant> = {};
  let total = 0;
  let present = 0;
  let weighted = 0;
  for (const { name, measure, weight } of weighed(model, profile)) {
    const input = measured(name, weight, measure, facts, newest[measure.value], asOf);
    measures.push(input);
    if (input.missing === "stage") continue;
    total += weight;
    const at = newest[measure.value];
    if (at !== undefined) ages[name] = at;
    if (input.points === undefined) continue;
    present += weight;
    weighted += weight * input.points;
  }
  return {
    profile: profile.name,
    // A rounding error must not lift a perfect score above 100.
    score: present === 0 ? null : Math.min(100, weighted / present),
    coverage: total === 0 ? 0 : present / total,
    inputs: { version: model.version, measures, newest: ages },
  };
}

/** Every fact that a measurement reads, each once. */
export function healthFacts(model: HealthModel): string[] {
  const paths = new Set<string>();
  for (const measure of Object.values(model.measures)) {
    paths.add(measure.value);
    if (measure.dividedBy !== undefined) paths.add(measure.dividedBy);
    if (measure.stages !== undefined) paths.add("account.stage");
  }
  for (const profile of model.profiles) {
    if (profile.if !== undefined) for (const path of references(profile.if)) paths.add(path);
  }
  return [...paths].sort();
}

/** The facts whose age matters, each once: the measures' values. */
export function agedFacts(model: HealthModel): string[] {
  return [...new Set(Object.values(model.measures).map(({ value }) => value))].sort();
}

/** The profile's measures by name; a weight of an undeclared measure counts for nothing. */
export function weighed(
  model: HealthModel,
  profile: Profile,
): { readonly name: string; readonly measure: Measure; readonly weight: number }[] {
  return Object.keys(profile.weights)
    .sort()
    .flatMap((name) => {
      const measure = Object.hasOwn(model.measures, name) ? model.measures[name] : undefined;
      return measure === undefined ? [] : [{ name, measure, weight: profile.weights[name] as number }];
    });
}

/**
 * What scores of two models have in common where they mean the same: SHA-256 of all that can change a score or status,
 * titles, hours and trend left out.
 */
export function healthModelHash(model: HealthModel): string {
  const { version, status, minCoverage, hysteresis, profiles } = model;
  const measures = Object.fromEntries(
    Object.entries(model.measures).map(([name, { title: _title, ...measure }]) => [name, measure]),
  );
  return meaningHash({ version, status, minCoverage, hysteresis, profiles, measures });
}

/** A change of the score in points, in words; undefined where there is nothing to compare with. */
export function trendOf(change: number | undefined, model: HealthModel): "up" | "down" | "flat" | undefined {
  if (change === undefined) return undefined;
  if (Math.abs(change) < model.trend.flatUnder || change === 0) return "flat";
  return change > 0 ? "up" : "down";
}

function profileOf(model: HealthModel, facts: Readonly<Record<string, FactValue>>): Profile {
  const lookup = (path: string) => (Object.hasOwn(facts, path) ? facts[path] : undefined);
  const found = model.profiles.find((profile) => profile.if === undefined || isTrue(profile.if, lookup));
  if (found === undefined) throw new Error("the last profile of a health model has no `if`");
  return found;
}

function measured(
  name: string,
  weight: number,
  measure: Measure,
  facts: Readonly<Record<string, FactValue>>,
  newest: Instant | undefined,
  asOf: Instant,
): MeasuredInput {
  const base = { measure: name, weight };
  if (measure.stages !== undefined && !measure.stages.some((stage) => stage === facts["account.stage"])) {
    return { ...base, missing: "stage" };
  }
  const value = facts[measure.value];
  if (typeof value !== (measure.scale.kind === "values" ? "string" : "number")) return { ...base, missing: "absent" };
  const shown = { ...base, value: value as number | string };
  if (measure.freshMs !== undefined && (newest === undefined || asOf - newest > measure.freshMs)) {
    return { ...shown, missing: "stale" };
  }
  if (typeof value === "string") {
    const { scale } = measure;
    const points = scale.kind === "values" && Object.hasOwn(scale.values, value) ? scale.values[value] : undefined;
    return points === undefined ? { ...shown, missing: "unlisted" } : { ...shown, points };
  }
  const raw = value as number;
  if (measure.dividedBy === undefined) {
    return isFactor(raw) ? { ...shown, points: pointsOf(raw, measure.scale) } : { ...shown, missing: "range" };
  }
  const divisor = facts[measure.dividedBy];
  if (typeof divisor !== "number" || divisor === 0) return { ...shown, missing: "divisor" };
  const divided = { ...shown, divisor };
  if (!isFactor(raw) || !isFactor(divisor) || !isFactor(raw / divisor)) return { ...divided, missing: "range" };
  return { ...divided, points: pointsOf(raw / divisor, measure.scale) };
}

/** Postgres raises an error where a double overflows or underflows; inside these bounds it can do neither. */
function isFactor(value: number): boolean {
  const magnitude = Math.abs(value);
  return magnitude === 0 || (magnitude >= SMALLEST_FACTOR && magnitude <= LARGEST_FACTOR);
}

function pointsOf(raw: number, scale: Scale): number {
  if (scale.kind === "linear") return Math.max(0, Math.min(100, ((raw - scale.from) / (scale.to - scale.from)) * 100));
  if (scale.kind === "values") return 0;
  return scale.bands.find(({ under }) => under === undefined || raw < under)?.points ?? 0;
}
