import { DAY_MS, formatInstant, type Instant } from "../values/instant.js";
import type { HealthModel, Measure } from "./health-model.js";
import type { Band, HealthStatus, Standing } from "./hysteresis.js";
import { type HealthInputs, healthModelHash, type MeasuredInput, type Missing, trendOf } from "./measure-health.js";

/** What is kept of an account's health. */
export interface ExplainedHealth extends Standing {
  readonly score: number | null;
  readonly status: HealthStatus;
  readonly modelStatus: HealthStatus;
  readonly coverage: number;
  readonly profile: string;
  readonly inputs: HealthInputs;
  readonly modelHash: string;
  readonly at: Instant;
}

export interface ExplainedOverride {
  readonly status: Band;
  readonly reason: string;
  readonly author: string;
  readonly at: Instant;
  readonly until: Instant;
}

export interface HealthExplanation {
  readonly score: number | null;
  readonly status: HealthStatus;
  readonly modelStatus: HealthStatus;
  readonly coverage: number;
  readonly minCoverage: number;
  readonly profile: string;
  /** Of the model that made the score; `isCurrent`: it is the one that is published. */
  readonly model: { readonly version: number; readonly isCurrent: boolean };
  /** Since when all of this has been so. */
  readonly at: Instant;
  /** The band that hysteresis holds, where the score lies outside it, and for how many daily evaluations. */
  readonly heldIn?: { readonly band: Band; readonly outside: number };
  readonly override?: ExplainedOverride;
  readonly trend: Readonly<Record<"7d" | "30d", "up" | "down" | "flat" | null>>;
  readonly measures: readonly ExplainedMeasure[];
}

export interface ExplainedMeasure extends MeasuredInput {
  readonly title: string;
  /** What was divided, or the value itself, where it is a number. */
  readonly ratio?: number;
  /** The band the value fell into, or the line it lies on. */
  readonly rule?: string;
  /** Age of the newest sample, answer or change at `at`, in milliseconds. */
  readonly ageMs?: number;
  readonly freshMs?: number;
  /** What it adds to the score: points × weight ÷ weight present. */
  readonly contribution?: number;
}

/** Why the account's health is what it is. `changes`: the facts `health.change_7d` and `health.change_30d`. */
export function explainHealth(
  model: HealthModel,
  health: ExplainedHealth,
  override: ExplainedOverride | undefined,
  changes: { readonly "7d"?: number | undefined; readonly "30d"?: number | undefined } = {},
): HealthExplanation {
  const { measures, newest, version } = health.inputs;
  const present = measures.reduce((sum, { weight, points }) => sum + (points === undefined ? 0 : weight), 0);
  return {
    score: health.score,
    status: health.status,
    modelStatus: health.modelStatus,
    coverage: health.coverage,
    minCoverage: model.minCoverage,
    profile: health.profile,
    model: { version, isCurrent: health.modelHash === healthModelHash(model) },
    at: health.at,
    ...(health.band !== null && health.outside > 0 ? { heldIn: { band: health.band, outside: health.outside } } : {}),
    ...(override === undefined ? {} : { override }),
    trend: { "7d": trendOf(changes["7d"], model) ?? null, "30d": trendOf(changes["30d"], model) ?? null },
    measures: measures.map((input) => {
      const measure = Object.hasOwn(model.measures, input.measure) ? model.measures[input.measure] : undefined;
      const ratio = ratioOf(input);
      const rule = input.points === undefined ? undefined : ruleOf(measure, ratio, input.value);
      const at = newest[input.measure];
      return {
        ...input,
        title: measure?.title ?? input.measure,
        ...(ratio === undefined ? {} : { ratio }),
        ...(rule === undefined ? {} : { rule }),
        ...(at === undefined ? {} : { ageMs: health.at - at }),
        ...(measure?.freshMs === undefined ? {} : { freshMs: measure.freshMs }),
        ...(input.points === undefined ? {} : { contribution: (input.points * input.weight) / present }),
      };
    }),
  };
}

/** The explanation as lines for people, in English; instants in UTC. */
export function healthExplanationText(explanation: HealthExplanation): string {
  const { score, status, modelStatus, override, heldIn, coverage, minCoverage, model, trend } = explanation;
  const lines = [
    `${status}: ${score === null ? "no score" : `score ${shown(score)}`}, coverage ${percent(coverage)}, profile ${explanation.profile}, model version ${model.version}`,
    `so since ${formatInstant(explanation.at)}`,
  ];
  if (!model.isCurrent) lines.push("made with an earlier health model; the next evaluation uses the current one");
  if (override !== undefined) {
    lines.push(
      `${override.author} says ${override.status} until ${formatInstant(override.until)}: ${override.reason} (the model: ${modelStatus})`,
    );
  }
  if (coverage < minCoverage)
    lines.push(`unknown, because fresh data covers less than ${percent(minCoverage)} of the weight`);
  if (heldIn !== undefined) {
    lines.push(
      `kept ${heldIn.band}: the score has been outside it for ${times(heldIn.outside, "daily evaluation")} so far`,
    );
  }
  for (const span of ["7d", "30d"] as const) {
    if (trend[span] !== null) lines.push(`trend against ${span} ago: ${trend[span]}`);
  }
  for (const measure of explanation.measures) lines.push(`- ${lineOf(measure)}`);
  return lines.join("\n");
}

/** Why a measure gave no points, for people. */
export const MISSING_TEXT: Readonly<Record<Missing, string>> = {
  stage: "doesn't apply at this stage",
  absent: "no data",
  stale: "data too old",
  divisor: "nothing to compare with",
  range: "value out of range",
  unlisted: "value has no points",
};

function lineOf(measure: ExplainedMeasure): string {
  const { title, weight, value, divisor, points, missing, ageMs, freshMs, rule, contribution, ratio } = measure;
  const of = value === undefined ? "" : ` ${typeof value === "number" ? shown(value) : value}`;
  const by = divisor === undefined ? "" : ` of ${shown(divisor)}${ratio === undefined ? "" : ` = ${shown(ratio)}`}`;
  const age =
    ageMs === undefined ? "" : `, newest ${days(ageMs)} old${freshMs === undefined ? "" : ` (limit ${days(freshMs)})`}`;
  const why = rule === undefined ? "" : ` (${rule})`;
  const made =
    points === undefined || contribution === undefined
      ? ` — ${missing === undefined ? "" : MISSING_TEXT[missing]}`
      : ` → ${shown(points)} points${why}, adds ${shown(contribution)}`;
  return `${title}:${of}${by}${made}, weight ${shown(weight)}${age}`;
}

function ratioOf({ value, divisor }: MeasuredInput): number | undefined {
  if (typeof value !== "number") return undefined;
  if (divisor === undefined) return value;
  return divisor === 0 ? undefined : value / divisor;
}

function ruleOf(
  measure: Measure | undefined,
  ratio: number | undefined,
  value: number | string | undefined,
): string | undefined {
  switch (measure?.scale.kind) {
    case "values":
      return `"${value}"`;
    case "linear":
      return `${shown(measure.scale.from)} gives 0, ${shown(measure.scale.to)} gives 100`;
    case "bands": {
      const { bands } = measure.scale;
      const index = bands.findIndex(({ under }) => under === undefined || (ratio !== undefined && ratio < under));
      const under = bands[index]?.under;
      const from = bands[index - 1]?.under;
      if (under === undefined) return from === undefined ? "any value" : `${shown(from)} and more`;
      return from === undefined ? `under ${shown(under)}` : `${shown(from)} to under ${shown(under)}`;
    }
    default:
      return undefined;
  }
}

function times(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? "" : "s"}`;
}

/** At most two decimals. */
function shown(value: number): string {
  return String(Math.round(value * 100) / 100);
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}

function days(ms: number): string {
  return `${Math.round((ms / DAY_MS) * 10) / 10} d`;
}
