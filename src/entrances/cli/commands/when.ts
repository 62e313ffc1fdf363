import { readFileSync } from "node:fs";
import type { Command } from "commander";
import { formatDiagnostic } from "../../../playbook/diagnostic.js";
import { readCalendars } from "../../../playbook/read-calendars.js";
import { type Calendar, STANDARD_CALENDAR } from "../../../values/calendar.js";
import { formatInstant, type Instant, parseInstant } from "../../../values/instant.js";
import { parseTimeRule, resolveTimeRule } from "../../../values/time-rule.js";
import { isZone } from "../../../values/zone.js";
import { outputOf, UsageFault } from "../answer.js";

interface WhenOptions {
  readonly from: string;
  readonly zone: string;
  readonly calendar?: string;
  readonly name?: string;
  readonly json?: boolean;
}

/** `waypost when RULE`: when a time rule lands. Needs no server. */
export function registerWhen(program: Command): void {
  program
    .command("when")
    .description("say when a time rule of the playbook language lands")
    .argument("<rule...>", '`5 bd`, `-2 bd`, `3d`, `working hours`, `"09:30"`, `working hours 09:30`, `monday 09:30`')
    .requiredOption("--from <instant>", "counted from, e.g. 2026-03-06T15:00+01:00")
    .requiredOption("--zone <zone>", "time zone, e.g. Europe/Warsaw")
    .option("--calendar <file>", "a file of the form of calendars.yaml; default Mon–Fri 09:00–17:00, no holidays")
    .option("--name <calendar>", "which calendar of the file; default its first")
    .option("--json", '{ "at": "…Z" }')
    .action((words: string[], options: WhenOptions) => {
      const at = landing(words.join(" "), options);
      outputOf(options.json === true).answer({ at: formatInstant(at) }, inWords(at, options.zone));
    });
}

function landing(text: string, options: WhenOptions): Instant {
  const rule = parseTimeRule(text.trim().replace(/^"(.*)"$/, "$1"));
  if (rule === undefined) {
    throw new UsageFault(
      `"${text}" is not a time rule. Allowed: a duration (5 bd, 3d, 48h, 2w, 1mo, -2 bd), now, working hours, 09:30, working hours 09:30, monday, monday 09:30.`,
    );
  }
  const from = parseInstant(options.from);
  if (from === undefined) {
    throw new UsageFault(
      `--from "${options.from}" is not an instant. Write it with its offset, e.g. 2026-03-06T15:00+01:00.`,
    );
  }
  if (!isZone(options.zone))
    throw new UsageFault(`--zone "${options.zone}" is no time zone. Write it like Europe/Warsaw.`);
  return resolveTimeRule(rule, from, options.zone, calendarOf(options));
}

function calendarOf({ calendar: file, name }: WhenOptions): Calendar {
  if (file === undefined) {
    if (name !== undefined) throw new UsageFault("--name says which calendar of --calendar FILE: give the file too.");
    return STANDARD_CALENDAR;
  }
  let source: string;
  try {
    source = readFileSync(file, "utf8");
  } catch {
    throw new UsageFault(`--calendar ${file} can't be read.`);
  }
  const { value, diagnostics } = readCalendars(source);
  const errors = diagnostics.filter(({ severity }) => severity === "error");
  // Another file name than the workspace's own, and without `standard`, is fine here.
  if (value === undefined || value.length === 0) {
    throw new UsageFault(
      errors.map((one) => formatDiagnostic({ ...one, file }, source)).join("\n\n") || `${file} has no calendar.`,
    );
  }
  const chosen = name === undefined ? value[0] : value.find((one) => one.name === name);
  if (chosen === undefined) {
    throw new UsageFault(`${file} has no calendar "${name}". It has: ${value.map((one) => one.name).join(", ")}.`);
  }
  return chosen;
}

function inWords(at: Instant, zone: string): string {
  const words = new Intl.DateTimeFormat("en-GB", {
    timeZone: zone,
    weekday: "long",
    day: "numeric",
    month: "long",
    year: "numeric",
    hour: "2-digit",
    minute: "2-digit",
    ...(at % 60_000 === 0 ? {} : { second: "2-digit" }),
  }).format(at);
  return `${words} in ${zone} (${formatInstant(at)})`;
}
