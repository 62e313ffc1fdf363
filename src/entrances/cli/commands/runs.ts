import { type Command, Option } from "commander";
import { innermostSteps } from "../../../engine/innermost-steps.js";
import type { TimelineEntry } from "../../../engine/timeline.js";
import { operateRun } from "../../../operations/operate-run.js";
import { listRuns, type RunDetail, readRun } from "../../../operations/read-runs.js";
import type { RunRow, RunStatus } from "../../../ports/runs.js";
import type { OperatorVerb } from "../../../ports/workflows.js";
import { formatInstant } from "../../../values/instant.js";
import { AnswerNo, outputOf, table, terminalWidth } from "../answer.js";
import { actor, withInstallation } from "../session.js";
import { wholeNumber } from "../arguments.js";

const STATUSES: readonly RunStatus[] = ["starting", "running", "held", "parked", "exiting", "ended"];

/** `waypost runs`, `run ID`, and the operator's verbs. */
export function registerRuns(program: Command): void {
  program
    .command("runs")
    .description("list runs, newest first")
    .option("--playbook <name>")
    .option("--account <id>")
    .addOption(new Option("--status <status...>").choices(STATUSES))
    .option("--outcome <name>")
    .option("--after <run>", "the page behind this run")
    .option("--limit <n>", "at most 500", wholeNumber(1, 500), 50)
    .option("--json", "one object: { runs, next }")
    .action(
      async (options: {
        playbook?: string;
        account?: string;
        status?: RunStatus[];
        outcome?: string;
        after?: string;
        limit: number;
        json?: boolean;
      }) => {
        const { runs, next } = await withInstallation(({ store }) =>
          listRuns(store, {
            playbook: options.playbook,
            accountId: options.account,
            status: options.status,
            outcome: options.outcome,
            after: options.after,
            limit: options.limit,
          }),
        );
        const text =
          runs.length === 0
            ? "No runs."
            : table(
                ["RUN", "STATUS", "OUTCOME", "STARTED", "WHERE"],
                runs.map((run) => [
                  run.id,
                  run.status,
                  run.outcome ?? "",
                  formatInstant(run.startedAt),
                  where(run.position),
                ]),
                terminalWidth(),
              );
        const more = next === undefined ? "" : `\n\nMore: waypost runs --after ${next}`;
        outputOf(options.json === true).answer(
          { runs: runs.map(runJson), ...(next === undefined ? {} : { next }) },
          text + more,
        );
      },
    );

  program
    .command("run")
    .description("one run: where it stands, and its timeline with the facts behind every decision")
    .argument("<id>", "as `waypost runs` prints it")
    .option("--json", "one object: { run, timeline }")
    .action(async (id: string, options: { json?: boolean }) => {
      const detail = await withInstallation(({ store }) => readRun(store, id));
      if (detail === undefined) throw new AnswerNo(`There is no run ${id}. \`waypost runs\` lists them.`);
      outputOf(options.json === true).answer(
        {
          run: runJson(detail.run),
          title: detail.title,
          version: detail.version,
          timeline: detail.timeline.map(entryJson),
        },
        story(detail),
      );
    });

  const verbs: Record<OperatorVerb, string> = {
    pause: "hold a run: no effects until it is resumed; events, exits and goals still act",
    resume: "release a run that an operator paused",
    retry: "let a run that needs attention try its failed step again",
    skip: "let a run that needs attention go on behind its failed step",
    stop: "end a run, as an exit does",
  };
  for (const [verb, description] of Object.entries(verbs) as [OperatorVerb, string][]) {
    program
      .command(verb)
      .description(description)
      .argument("<run>", "as `waypost runs` prints it")
      .option("--json", "{ ok }")
      .action(async (run: string, options: { json?: boolean }) => {
        const done = await withInstallation(
          (wired) => operateRun(wired, run, verb, actor()),
          ["DATABASE_URL", "TEMPORAL_ADDRESS"],
        );
        if (done.kind === "unknown")
          throw new AnswerNo(`There is no run ${run}. \`waypost runs\` lists them.`, { ok: false, reason: "unknown" });
        if (done.kind === "refused")
          throw new AnswerNo(`Not done: ${done.reason}.`, { ok: false, reason: done.reason });
        outputOf(options.json === true).answer({ ok: true }, `${DONE[verb]}: ${run}`);
      });
  }
}

/** Places that fit a line. */
const PLACES_MAX = 4;

/** Where a run stands, for a list. */
function where(position: readonly string[]): string {
  const names = innermostSteps(position);
  return names.length <= PLACES_MAX
    ? names.join(", ")
    : `${names.slice(0, PLACES_MAX).join(", ")} and ${names.length - PLACES_MAX} more`;
}

const DONE: Readonly<Record<OperatorVerb, string>> = {
  pause: "Paused",
  resume: "Resumed",
  retry: "Trying again",
  skip: "Skipped",
  stop: "Stopping",
};

/** A run with ISO instants. */
export function runJson({ startedAt, endedAt, releasedAt, parked, ...run }: RunRow): unknown {
  return {
    ...run,
    startedAt: formatInstant(startedAt),
    ...(endedAt === undefined ? {} : { endedAt: formatInstant(endedAt) }),
    ...(releasedAt === undefined ? {} : { releasedAt: formatInstant(releasedAt) }),
    ...(parked === undefined ? {} : { parked: { ...parked, at: formatInstant(parked.at) } }),
  };
}

function entryJson({ at, ...entry }: TimelineEntry): unknown {
  return { ...entry, at: formatInstant(at) };
}

function story({ run, title, version, timeline }: RunDetail): string {
  const head = [
    `${title}${version === undefined ? "" : `, version ${version}`}`,
    `${run.subject} ${run.contactId ?? run.accountId}, key ${run.key}`,
    run.status === "ended"
      ? `ended ${run.endedAt === undefined ? "" : formatInstant(run.endedAt)}: ${run.outcome}`
      : `${run.status} at ${where(run.position)}`,
    ...(run.parked === undefined
      ? []
      : [`needs attention since ${formatInstant(run.parked.at)}: ${run.parked.reason}`]),
  ];
  const lines = timeline.flatMap((entry) => {
    const detail = pairs(entry.detail, ", ");
    const line = [formatInstant(entry.at), entry.kind.padEnd(18), entry.key ?? entry.step ?? "", detail].filter(
      (part) => part !== "",
    );
    const facts = pairs(entry.facts, ", ");
    return facts === "" ? [line.join("  ")] : [line.join("  "), `                      because ${facts}`];
  });
  return [...head, "", ...lines].join("\n");
}

/** Instants are told from other numbers by their size: nothing else that a timeline shows is over 10^11. */
const INSTANT_FROM = 100_000_000_000;

function pairs(values: Readonly<Record<string, unknown>> | undefined, between: string): string {
  return Object.entries(values ?? {})
    .map(
      ([name, value]) =>
        `${name} = ${typeof value === "number" && value > INSTANT_FROM ? formatInstant(value) : String(value)}`,
    )
    .join(between);
}
