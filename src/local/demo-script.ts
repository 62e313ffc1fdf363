import { readYaml, type YamlValue } from "../playbook/read-yaml.js";
import { parseDuration } from "../values/duration.js";
import { DAY_MS, type Instant } from "../values/instant.js";

/** What a task is to whoever acts on it. */
export interface TaskSeen {
  readonly step: string;
  readonly persona: string;
  /** 1 for the first task of its step in its run. */
  readonly round: number;
  /** Id of the colleague who sees it. */
  readonly by: string;
}

/** What a colleague does about a task. Durations are exact milliseconds of domain time. */
export interface TaskBehaviour {
  readonly afterMs: number;
  readonly do: "complete" | "skip" | "reassign" | "nothing";
  readonly isLate: boolean;
  /** A snooze option that is pressed first. */
  readonly snooze?: string;
  readonly outcome?: string;
  readonly note?: string;
  readonly reason?: string;
  readonly to?: string;
}

/** What follows upon a mail. */
export type MailReaction =
  | {
      readonly kind: "event";
      readonly afterMs: number;
      readonly name: string;
      readonly payload: Readonly<Record<string, string>>;
    }
  | { readonly kind: "reply"; readonly afterMs: number }
  | { readonly kind: "unsubscribe" };

/** `people.yaml`: how the people of a portfolio behave. The first rule that fits is followed. */
export interface PeopleScript {
  readonly bounces: readonly string[];
  task(seen: TaskSeen): TaskBehaviour;
  mail(template: string, persona: string): readonly MailReaction[];
}

/** Throws an Error that names the place for a script that can't be read. */
export function readPeopleScript(file: string, source: string): PeopleScript {
  const { yaml, diagnostics } = readYaml(file, source);
  const [first] = diagnostics;
  if (yaml === undefined || first !== undefined) throw new Error(`${file}: ${first?.message ?? "can't be read"}`);
  const top = mapOf(yaml.value, file);
  const tasks = listOf(top["tasks"]).map((rule, index) =>
    taskRule(mapOf(rule, `${file}: tasks[${index}]`), `${file}: tasks[${index}]`),
  );
  const mails = listOf(top["mails"]).map((rule, index) =>
    mailRule(mapOf(rule, `${file}: mails[${index}]`), `${file}: mails[${index}]`),
  );
  return {
    bounces: namesOf(top["bounces"]),
    task: (seen) => tasks.find((rule) => rule.fits(seen))?.behaviour ?? NOTHING,
    // A template's name may come with its playbook's before it.
    mail: (template, persona) =>
      mails.find((rule) => fits(rule.templates, template.split("/").at(-1) ?? template) && fits(rule.personas, persona))
        ?.do ?? [],
  };
}

/** The instant, put off to Monday if it falls on a weekend (UTC; people of all zones). */
export function onWeekday(at: Instant): Instant {
  const day = new Date(at).getUTCDay();
  return day === 6 ? at + 2 * DAY_MS : day === 0 ? at + DAY_MS : at;
}

const NOTHING: TaskBehaviour = { afterMs: 0, do: "nothing", isLate: false };

function taskRule(rule: Map_, place: string): { fits(seen: TaskSeen): boolean; behaviour: TaskBehaviour } {
  const steps = namesOf(rule["step"]);
  const personas = namesOf(rule["persona"]);
  const people = namesOf(rule["by"]);
  const [from, to] = roundsOf(rule["round"], place);
  const act = rule["do"] ?? "complete";
  if (act !== "complete" && act !== "skip" && act !== "reassign" && act !== "nothing")
    throw new Error(`${place}: "do" is ${String(act)}`);
  const text = (name: string) => (typeof rule[name] === "string" ? { [name]: rule[name] } : {});
  return {
    fits: (seen) =>
      (steps.includes("*") || steps.includes(seen.step)) &&
      fits(personas, seen.persona) &&
      fits(people, seen.by) &&
      seen.round >= from &&
      seen.round <= to &&
      // Who got it by being handed it doesn't hand it on.
      !(act === "reassign" && rule["to"] === seen.by),
    behaviour: {
      afterMs: act === "nothing" ? 0 : durationMs(rule["after"], place),
      do: act,
      isLate: rule["late"] === true,
      ...text("snooze"),
      ...text("outcome"),
      ...text("note"),
      ...text("reason"),
      ...text("to"),
    },
  };
}

function mailRule(
  rule: Map_,
  place: string,
): { templates: readonly string[]; personas: readonly string[]; do: MailReaction[] } {
  const reactions = listOf(rule["do"]).map((item): MailReaction => {
    const one = mapOf(item, place);
    if (one["unsubscribe"] === true) return { kind: "unsubscribe" };
    const afterMs = durationMs(one["after"], place);
    if (one["reply"] === true) return { kind: "reply", afterMs };
    if (typeof one["event"] !== "string") throw new Error(`${place}: needs event, reply or unsubscribe`);
    const payload = one["payload"] === undefined ? {} : mapOf(one["payload"], place);
    return {
      kind: "event",
      afterMs,
      name: one["event"],
      payload: Object.fromEntries(Object.entries(payload).map(([name, value]) => [name, String(value)])),
    };
  });
  return { templates: namesOf(rule["template"]), personas: namesOf(rule["persona"]), do: reactions };
}

/** `3`, `3+`, `1-2`; absent: any. */
function roundsOf(value: YamlValue | undefined, place: string): [number, number] {
  if (value === undefined) return [1, Number.POSITIVE_INFINITY];
  const match = /^(\d+)(\+|-(\d+))?$/.exec(String(value));
  if (match === null) throw new Error(`${place}: "round" is ${String(value)}`);
  const from = Number(match[1]);
  return [from, match[2] === "+" ? Number.POSITIVE_INFINITY : match[3] === undefined ? from : Number(match[3])];
}

const UNIT_MS: Readonly<Record<string, number>> = { m: 60_000, h: 3_600_000, d: DAY_MS, w: 7 * DAY_MS };

/** Exact milliseconds of `5h`, `2d`. */
export function durationMs(value: YamlValue | undefined, place: string): number {
  const duration = typeof value === "string" ? parseDuration(value) : undefined;
  const unit = duration === undefined ? undefined : UNIT_MS[duration.unit];
  if (duration === undefined || unit === undefined)
    throw new Error(`${place}: "${String(value)}" is no exact duration such as 5h or 2d`);
  return duration.amount * unit;
}

type Map_ = Readonly<Record<string, YamlValue>>;

function mapOf(value: YamlValue | undefined, place: string): Map_ {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new Error(`${place}: must be a map`);
  return value as Map_;
}

function listOf(value: YamlValue | undefined): readonly YamlValue[] {
  return Array.isArray(value) ? value : [];
}

function namesOf(value: YamlValue | undefined): string[] {
  return value === undefined ? [] : Array.isArray(value) ? value.map(String) : [String(value)];
}

function fits(wanted: readonly string[], given: string): boolean {
  return wanted.length === 0 || wanted.includes(given);
}
