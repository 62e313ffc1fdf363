import * as z from "zod";
import type { HealthModel, Measure, Profile, Scale } from "../customers/health-model.js";
import type { Model } from "../customers/model.js";
import { parseDuration } from "../values/duration.js";
import { DAY_MS } from "../values/instant.js";
import { parsedText } from "./check-form.js";
import { accountEnvironment, type Environment } from "./environment.js";
import { type Checks, type Read, readFile } from "./read-file.js";
import { timeOfDay } from "./read-policy.js";
import { expressionText, snakeName } from "./schema.js";

const UNIT_MS: Readonly<Record<string, number>> = { m: 60_000, h: 3_600_000, d: DAY_MS, w: 7 * DAY_MS };

/** An age, exact: in SQL as in code. */
const age = parsedText(
  "WP106",
  (text) => {
    const duration = parseDuration(text);
    const unit = duration && UNIT_MS[duration.unit];
    return unit !== undefined && duration && duration.amount > 0 ? duration.amount * unit : undefined;
  },
  "an age",
  "Write minutes, hours, days or weeks: 48h, 10d, 4w (1d = 24 h).",
);

const points = z.number().min(0).max(100);

const measure = z.strictObject({
  title: z.string().optional(),
  value: z.string(),
  divided_by: z.string().optional(),
  fresh: age.optional(),
  stages: z.array(z.string()).min(1).optional(),
  bands: z
    .array(z.strictObject({ under: z.number().optional(), points }))
    .min(1)
    .max(50)
    .optional(),
  linear: z.strictObject({ from: z.number(), to: z.number() }).optional(),
  values: z.record(z.string(), points).optional(),
});

const schema = z.strictObject({
  version: z.int().min(1),
  status: z
    .strictObject({ red: z.literal(0), yellow: z.number().gt(0).lt(100), green: z.number().gt(0).lt(100) })
    .default({ red: 0, yellow: 50, green: 75 }),
  min_coverage: z.number().min(0).max(1).default(0.6),
  hysteresis: z
    .strictObject({ points: z.number().min(0).max(100).default(5), evaluations: z.int().min(1).default(2) })
    .prefault({}),
  trend: z.strictObject({ flat_under: z.number().min(0).default(3) }).prefault({}),
  evaluate: z.strictObject({ daily_at: timeOfDay.prefault("03:00"), on: z.array(z.string()).default([]) }).prefault({}),
  measures: z.record(snakeName, measure),
  profiles: z
    .array(
      z.strictObject({
        name: snakeName,
        if: expressionText.optional(),
        weights: z.record(z.string(), z.number().gt(0)),
      }),
    )
    .min(1),
});

type Form = z.output<typeof schema>;

/** `health.yaml`. Without a model only the form is checked, and there is no value. */
export function readHealth(source: string | undefined, model: Model | undefined): Read<HealthModel> {
  const { value, diagnostics } = readFile("health.yaml", source, schema, (form, checks) => build(form, model, checks));
  return { ...(value && model ? { value } : {}), diagnostics };
}

function build(form: Form, model: Model | undefined, checks: Checks): HealthModel {
  const environment = model && accountEnvironment(model);
  const { status, hysteresis, trend, evaluate } = form;
  if (
    status.yellow >= status.green &&
    !checks.isMended(["status", "yellow"]) &&
    !checks.isMended(["status", "green"])
  ) {
    checks.report(["status"], {
      code: "WP605",
      message: "Green must begin above yellow.",
      hint: "Such as { red: 0, yellow: 50, green: 75 }.",
    });
  }
  evaluate.on.forEach((event, index) => {
    if (model) checks.known(["evaluate", "on", index], "WP207", "event", event, Object.keys(model.events));
  });
  const measures: Record<string, Measure> = {};
  for (const [name, each] of Object.entries(form.measures))
    measures[name] = measureOf(name, each, model, environment, checks);
  if (Object.keys(measures).length === 0) {
    checks.report(["measures"], { code: "WP605", message: "A score needs at least one measure." }, "key");
  }
  return {
    version: form.version,
    status,
    minCoverage: form.min_coverage,
    hysteresis,
    trend: { flatUnder: trend.flat_under },
    evaluate: { dailyAt: evaluate.daily_at, on: evaluate.on },
    measures,
    profiles: form.profiles.map((profile, index) => profileOf(profile, index, form, environment, checks)),
  };
}

function measureOf(
  name: string,
  form: Form["measures"][string],
  model: Model | undefined,
  environment: Environment | undefined,
  checks: Checks,
): Measure {
  const at = ["measures", name];
  const wants = form.values ? "string" : "number";
  if (environment) checkFact([...at, "value"], form.value, wants, environment, checks);
  if (environment && form.divided_by !== undefined)
    checkFact([...at, "divided_by"], form.divided_by, "number", environment, checks);
  const stages = model?.account["stage"]?.values;
  form.stages?.forEach((stage, index) => {
    if (stages) checks.known([...at, "stages", index], "WP308", "stage", stage, stages);
  });
  return {
    title: form.title ?? name,
    value: form.value,
    ...(form.divided_by === undefined ? {} : { dividedBy: form.divided_by }),
    ...(form.fresh === undefined ? {} : { freshMs: form.fresh }),
    ...(form.stages === undefined ? {} : { stages: form.stages }),
    scale: scaleOf(at, form, environment, checks),
  };
}

function checkFact(
  at: string[],
  path: string,
  wants: "number" | "string",
  environment: Environment,
  checks: Checks,
): void {
  const type = Object.hasOwn(environment.facts, path) ? environment.facts[path] : undefined;
  if (type === undefined) {
    checks.known(at, "WP302", "fact", path, Object.keys(environment.facts));
  } else if (type !== wants) {
    const hint = wants === "string" ? '"values" needs a text; numbers want bands or linear.' : 'A text wants "values".';
    checks.report(at, { code: "WP303", message: `${path} is not a ${wants}.`, hint });
  }
}

function scaleOf(
  at: string[],
  form: Form["measures"][string],
  environment: Environment | undefined,
  checks: Checks,
): Scale {
  const given = [form.bands, form.linear, form.values].filter((scale) => scale !== undefined).length;
  if (given !== 1) {
    const message =
      given === 0
        ? "The measure doesn't say how its value becomes points."
        : "The measure says more than once how its value becomes points.";
    checks.report(at, { code: "WP109", message, hint: "Give it exactly one of: bands, linear, values." }, "key");
  }
  if (form.bands) {
    const { bands } = form;
    bands.forEach(({ under }, index) => {
      const isMended = [index, index - 1].some((each) => checks.isMended([...at, "bands", each, "under"]));
      if (isMended) return;
      const isLast = index === bands.length - 1;
      const before = index === 0 ? undefined : bands[index - 1]?.under;
      if (isLast ? under !== undefined : under === undefined || (before !== undefined && under <= before)) {
        const hint = "Each has an `under`, ascending; only the last has none.";
        checks.report([...at, "bands", index], {
          code: "WP605",
          message: "The bands don't cover every value once.",
          hint,
        });
      }
    });
    return {
      kind: "bands",
      bands: bands.map(({ under, points: worth }) => ({ ...(under === undefined ? {} : { under }), points: worth })),
    };
  }
  if (form.linear) {
    const isMended = checks.isMended([...at, "linear", "from"]) || checks.isMended([...at, "linear", "to"]);
    if (form.linear.from === form.linear.to && !isMended) {
      checks.report([...at, "linear"], { code: "WP605", message: '"from" and "to" can\'t be the same.' });
    }
    return { kind: "linear", from: form.linear.from, to: form.linear.to };
  }
  const values = form.values ?? {};
  const allowed =
    environment && Object.hasOwn(environment.values, form.value) ? environment.values[form.value] : undefined;
  if (allowed)
    for (const name of Object.keys(values))
      checks.known([...at, "values", name], "WP308", "value", name, allowed, "key");
  return { kind: "values", values };
}

function profileOf(
  form: Form["profiles"][number],
  index: number,
  all: Form,
  environment: Environment | undefined,
  checks: Checks,
): Profile {
  const at = ["profiles", index];
  const isLast = index === all.profiles.length - 1;
  if (isLast !== (form.if === undefined)) {
    const message = isLast
      ? 'The last profile can\'t have an "if": some account would have none.'
      : 'Only the last profile can do without "if".';
    checks.report([...at, isLast ? "if" : "name"], {
      code: "WP605",
      message,
      hint: "The first profile whose `if` holds is taken; the last is for all others.",
    });
  }
  if (all.profiles.findIndex(({ name }) => name === form.name) !== index && !checks.isMended([...at, "name"])) {
    checks.report([...at, "name"], {
      code: "WP605",
      message: `There is another profile "${form.name}".`,
      hint: "Give each its own name.",
    });
  }
  for (const name of Object.keys(form.weights)) {
    if (!Object.hasOwn(all.measures, name))
      checks.known([...at, "weights", name], "WP605", "measure", name, Object.keys(all.measures), "key");
  }
  if (Object.keys(form.weights).length === 0) {
    checks.report([...at, "weights"], { code: "WP605", message: "A profile needs at least one weight." }, "key");
  }
  const expression =
    form.if !== undefined && environment ? checks.expression([...at, "if"], form.if, environment) : undefined;
  return { name: form.name, ...(expression ? { if: expression } : {}), weights: form.weights };
}
