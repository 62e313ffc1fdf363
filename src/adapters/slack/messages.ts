import type { Composer, Digest, DigestLine, Nudge, SlackBody, TaskCard } from "../../ports/composer.js";
import {
  button,
  context,
  divider,
  escapeMrkdwn,
  header,
  humanName,
  mrkdwn,
  mrkdwnOf,
  option,
  plain,
  section,
  SLACK_LIMITS,
  truncate,
} from "./block-kit.js";
import { nudgeReferenceText, taskReferenceText } from "./button-value.js";
import { dayText, durationText, healthText, instantText, moneyText } from "./shown-values.js";

/** The action ids of our buttons. A nudge's are `nudge:` and the name that the playbook gives. */
export const ACTION = {
  complete: "task:complete",
  snooze: "task:snooze",
  reassign: "task:reassign",
  more: "task:more",
  homePage: "home:page",
  nudge: "nudge:",
} as const;

/** Values of the menu behind a task's three dots. */
export const MORE = { skip: "skip", note: "note", openAccount: "open_account" } as const;

export interface SlackMessagesOptions {
  /** Where an account can be looked at; without it, `open_account` answers in Slack. */
  readonly accountUrl?: (accountId: string) => string | undefined;
}

/**
 * The Slack half of `Composer`: pure, within Slack's limits whatever it is given (too long → cut with `…`), customers' data
 * escaped. `Nudge.text` and `TaskCard.text` are Slack's markup already (`Composer.text` with `markup: "mrkdwn"`).
 */
export function createSlackMessages(options: SlackMessagesOptions = {}): Pick<Composer, "nudge" | "task" | "digest"> {
  return {
    nudge: (message) => nudgeBody(message, options),
    task: (card) => taskBody(card, options),
    digest: digestBody,
  };
}

function nudgeBody(nudge: Nudge, options: SlackMessagesOptions): SlackBody {
  const text = mrkdwnOf(nudge.text);
  // Messages that no run sent are about nothing.
  const about = [nudge.account.name, nudge.playbookTitle ?? humanName(nudge.playbook), humanName(nudge.step)]
    .filter((part) => part !== "")
    .map(nameText)
    .join(" · ");
  const names = [...new Set(nudge.actions)].slice(0, NUDGE_ACTIONS_MAX);
  const buttons = names.map((action) => {
    const url = action === "open_account" ? options.accountUrl?.(nudge.account.id) : undefined;
    return button(`${ACTION.nudge}${action}`, NUDGE_LABELS[action] ?? humanName(action), {
      value: nudgeReferenceText({ deliveryId: nudge.deliveryId, action }),
      ...(url === undefined ? {} : { url }),
    });
  });
  return bounded(truncate(text, SLACK_LIMITS.fallbackText), [
    section(text),
    ...(about === "" ? [] : [context(about)]),
    ...(buttons.length === 0 ? [] : [{ type: "actions", elements: buttons }]),
  ]);
}

/** The language allows five. */
const NUDGE_ACTIONS_MAX = 5;

const NUDGE_LABELS: Readonly<Record<string, string>> = {
  open_account: "Open account",
  snooze: "Snooze",
  ack: "Got it",
};

function taskBody(card: TaskCard, options: SlackMessagesOptions): SlackBody {
  const title = titleOf(card);
  const text = `${title} (${card.account.name})`;
  const blocks: unknown[] = [header(title), { type: "section", fields: fieldsOf(card) }];
  if (card.text !== undefined && card.text.trim() !== "") blocks.push(section(mrkdwnOf(card.text)));
  blocks.push(context(stateOf(card)));
  if (card.status === "open") blocks.push(taskButtons(card, options));
  return bounded(truncate(escapeMrkdwn(text), SLACK_LIMITS.fallbackText), blocks);
}

/** What to do comes first; what became of it, when it is over. */
function titleOf(card: TaskCard): string {
  switch (card.status) {
    case "done":
      return `✅ Done: ${card.title}`;
    case "skipped":
      return `⏭️ Skipped: ${card.title}`;
    case "cancelled":
      return `🚫 No longer needed: ${card.title}`;
    case "open":
      if (card.snoozedUntil !== undefined) return `💤 Snoozed: ${card.title}`;
      return card.escalated > 0 ? `🚨 Escalated: ${card.title}` : card.title;
  }
}

function fieldsOf(card: TaskCard): unknown[] {
  const { account } = card;
  const fields: [string, string][] = [
    ["Account", nameText(account.name)],
    ["ARR", account.arr === undefined ? "–" : moneyText(account.arr, card.locale)],
    ["Health", healthText(account)],
    ["Due", instantText(card.due, card.timezone, card.locale)],
    ["Playbook", `${nameText(card.playbookTitle ?? humanName(card.playbook))} › ${nameText(humanName(card.step))}`],
    ["For", assigneeText(card)],
  ];
  return fields.map(([name, value]) => mrkdwn(`*${name}*\n${value}`, SLACK_LIMITS.fieldText));
}

function assigneeText(card: TaskCard): string {
  if (card.assignee === undefined) return `the queue “${nameText(card.queue ?? "unassigned")}”`;
  const name = nameText(card.assignee.name);
  return card.coveredFor === undefined ? name : `${name}, covering for ${nameText(card.coveredFor)}`;
}

function stateOf(card: TaskCard): string {
  const parts: string[] = [card.required ? "Required" : "Optional"];
  const by = card.closedBy === undefined ? "" : ` by ${nameText(card.closedBy)}`;
  switch (card.status) {
    case "done":
      parts.push(`done${by}`);
      break;
    case "skipped":
      parts.push(`skipped${by}`);
      break;
    case "cancelled":
      parts.push(`cancelled${by}`);
      break;
    case "open":
      if (card.snoozedUntil !== undefined)
        parts.push(`snoozed until ${instantText(card.snoozedUntil, card.timezone, card.locale)}`);
      if (card.escalated > 0) parts.push(card.escalated === 1 ? "escalated once" : `escalated ${card.escalated} times`);
      parts.push(card.snoozesLeft === 1 ? "1 snooze left" : `${Math.max(0, card.snoozesLeft)} snoozes left`);
  }
  if (card.outcome !== undefined) parts.push(`outcome: *${nameText(humanName(card.outcome))}*`);
  if (card.note !== undefined) parts.push(`note: ${escapeMrkdwn(truncate(card.note, NOTE_SHOWN_MAX))}`);
  return parts.join(" · ");
}

/** A name as it is shown: escaped, and never so long that it fills the message. */
function nameText(name: string): string {
  return escapeMrkdwn(truncate(name, NAME_SHOWN_MAX));
}

/** More would fill the message, and nobody's day has more. */
const SNOOZE_PRESETS_MAX = 20;
const NAME_SHOWN_MAX = 150;
const NOTE_SHOWN_MAX = 1_000;

function taskButtons(card: TaskCard, options: SlackMessagesOptions): Record<string, unknown> {
  const reference = taskReferenceText({ task: card.id, revision: card.revision });
  const url = options.accountUrl?.(card.account.id);
  const elements: unknown[] = [button(ACTION.complete, "Complete", { value: reference, style: "primary" })];
  const presets = card.snoozesLeft > 0 ? [...new Set(card.snoozeOptions)].slice(0, SNOOZE_PRESETS_MAX) : [];
  if (presets.length > 0)
    elements.push({
      type: "static_select",
      action_id: ACTION.snooze,
      placeholder: plain("Snooze", SLACK_LIMITS.optionText),
      options: presets.map((preset) => option(durationText(preset), preset)),
    });
  elements.push(button(ACTION.reassign, "Reassign", { value: reference }), {
    type: "overflow",
    action_id: ACTION.more,
    options: [
      option("Skip, with a reason", MORE.skip),
      option("Add a note", MORE.note),
      { ...option("Open account", MORE.openAccount), ...(url === undefined ? {} : { url }) },
    ],
  });
  return { type: "actions", block_id: reference, elements };
}

function digestBody(digest: Digest): SlackBody {
  const { person } = digest;
  const day = dayText(digest.at, person.timezone, person.locale);
  const lines = digest.overdue.length + digest.today.length;
  const summary = `${digest.overdue.length} overdue, ${digest.today.length} due today, ${digest.later} later`;
  if (lines === 0 && digest.later === 0)
    return bounded(`${day}: nothing is open`, [header(day), section("Nothing is open. Enjoy the quiet.")]);
  const blocks = [header(day), context(summary)];
  if (digest.overdue.length > 0) blocks.push(section(listText("🚨 *Overdue*", digest.overdue, digest)));
  if (digest.today.length > 0) blocks.push(section(listText("*Today*", digest.today, digest)));
  if (digest.later > 0) blocks.push(divider(), context(`${digest.later} more, due later: see the Home tab.`));
  return bounded(`${day}: ${summary}`, blocks);
}

/** As many lines as fit one section, and how many did not. */
function listText(title: string, lines: readonly DigestLine[], { person }: Digest): string {
  let text = title;
  for (const [index, line] of lines.entries()) {
    const account = nameText(line.account);
    const what = nameText(line.title);
    const next = `\n• *${what}* — ${account}, ${instantText(line.due, person.timezone, person.locale)}`;
    if (text.length + next.length > SLACK_LIMITS.sectionText - ROOM_FOR_THE_REST)
      return `${text}\n… and ${lines.length - index} more`;
    text += next;
  }
  return text;
}

const ROOM_FOR_THE_REST = 40;

/**
 * All parts together are bounded too, and long texts are the part that can give way: the longest is halved until all fits.
 *
 * @throws RangeError where that doesn't help: every part is cut before, so it would be a defect of this file
 */
function bounded(text: string, blocks: readonly unknown[]): SlackBody {
  if (blocks.length > SLACK_LIMITS.messageBlocks) throw new RangeError(`a Slack message of ${blocks.length} blocks`);
  const size = JSON.stringify(blocks).length;
  if (size <= SLACK_LIMITS.messageCharacters) return { text, blocks };
  const lengths = blocks.map((block) => (block as { text?: { text: string } }).text?.text.length ?? 0);
  const longest = Math.max(...lengths);
  if (longest <= SLACK_LIMITS.headerText) throw new RangeError(`a Slack message of ${size} characters`);
  const at = lengths.indexOf(longest);
  const shorter = blocks.map((block, index) => {
    if (index !== at) return block;
    const long = block as { text: { text: string } };
    return { ...long, text: { ...long.text, text: truncate(long.text.text, Math.floor(longest / 2)) } };
  });
  return bounded(text, shorter);
}
