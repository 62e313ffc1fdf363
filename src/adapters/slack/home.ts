import type { Home, HomeAccount, HomeTask } from "../../ports/desk-home.js";
import {
  button,
  context,
  divider,
  escapeMrkdwn,
  header,
  mrkdwn,
  plain,
  section,
  SLACK_LIMITS,
  truncate,
} from "./block-kit.js";
import { taskReferenceText } from "./button-value.js";
import { ACTION } from "./messages.js";
import { healthText, instantText, moneyText } from "./shown-values.js";

/**
 * The Home tab: overdue, today, snoozed, and the person's accounts by risk; `HOME_PAGE_LINES` lines a page, so that it never
 * overflows Slack's 100 blocks. A page beyond the last is the last.
 */
export function homeView(home: Home, page = 1): unknown {
  const lines = linesOf(home);
  const pages = Math.max(1, Math.ceil(lines.length / HOME_PAGE_LINES));
  const shown = Math.min(pages, Math.max(1, Math.trunc(page)));
  const blocks: unknown[] = [header(`Tasks of ${home.person.name}`), context(summaryOf(home))];
  let part: string | undefined;
  for (const line of lines.slice((shown - 1) * HOME_PAGE_LINES, shown * HOME_PAGE_LINES)) {
    if (line.part !== part) blocks.push(divider(), header(line.part));
    part = line.part;
    blocks.push(line.block);
  }
  if (lines.length === 0) blocks.push(section("Nothing is open, and no accounts are yours yet."));
  if (pages > 1) blocks.push(pager(shown, pages));
  return { type: "home", blocks };
}

/** With a header and a divider for each of the four parts, the top and the pager: at most 92 blocks. */
export const HOME_PAGE_LINES = 80;

interface HomeLine {
  readonly part: string;
  readonly block: unknown;
}

function linesOf(home: Home): HomeLine[] {
  const tasks = (part: string, list: readonly HomeTask[]): HomeLine[] =>
    list.map((task) => ({ part, block: taskLine(task, home) }));
  return [
    ...tasks("🚨 Overdue", home.overdue),
    ...tasks("Today", home.today),
    ...tasks("💤 Snoozed", home.snoozed),
    ...home.accounts.map((account) => ({ part: "My accounts by risk", block: accountLine(account, home) })),
  ];
}

function taskLine(task: HomeTask, { person }: Home): unknown {
  const when =
    task.snoozedUntil === undefined
      ? `due ${instantText(task.due, person.timezone, person.locale)}`
      : `until ${instantText(task.snoozedUntil, person.timezone, person.locale)}`;
  const reference = taskReferenceText({ task: task.id, revision: task.revision });
  return {
    type: "section",
    block_id: reference,
    text: mrkdwn(`*${name(task.title)}*\n${name(task.account)} · ${when}`, SLACK_LIMITS.sectionText),
    accessory: button(ACTION.complete, "Complete", { value: reference }),
  };
}

function accountLine(account: HomeAccount, { person }: Home): unknown {
  const parts = [`*${name(account.name)}*`, healthText(account)];
  if (account.arr !== undefined) parts.push(`ARR ${moneyText(account.arr, person.locale)}`);
  if (account.openTasks > 0) parts.push(account.openTasks === 1 ? "1 open task" : `${account.openTasks} open tasks`);
  return section(parts.join(" · "));
}

function summaryOf(home: Home): string {
  return `${home.overdue.length} overdue · ${home.today.length} due today · ${home.snoozed.length} snoozed · ${home.later} later`;
}

function pager(page: number, pages: number): unknown {
  const elements: unknown[] = [];
  if (page > 1) elements.push(pageButton("Previous", page - 1));
  if (page < pages) elements.push(pageButton(`Next (page ${page} of ${pages})`, page + 1));
  return { type: "actions", elements };
}

function pageButton(label: string, page: number): unknown {
  return {
    type: "button",
    action_id: `${ACTION.homePage}:${page}`,
    text: plain(label, SLACK_LIMITS.buttonText),
    value: String(page),
  };
}

function name(text: string): string {
  return escapeMrkdwn(truncate(text, LINE_NAME_MAX));
}

const LINE_NAME_MAX = 150;
