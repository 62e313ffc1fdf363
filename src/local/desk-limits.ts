/**
 * What Slack would refuse of blocks: one sentence each, empty if it would take them. Written apart from the adapter's own limits,
 * so that a wrong number there is found. Source: docs.slack.dev, "Block Kit"; channels.md, "Limits".
 */
export function blockProblems(blocks: unknown, surface: "message" | "modal" | "home"): string[] {
  if (!Array.isArray(blocks)) return ["blocks is not a list"];
  const problems: string[] = [];
  const say = (sentence: string) => problems.push(sentence);
  const most = surface === "message" ? 50 : 100;
  if (blocks.length > most) say(`${blocks.length} blocks, at most ${most}`);
  if (surface === "message" && JSON.stringify(blocks).length > 13_200) say("more than 13,200 characters of blocks");
  const blockIds = new Set<string>();
  for (const [index, block] of blocks.entries()) {
    const at = `block ${index}`;
    if (!isObject(block)) {
      say(`${at} is not an object`);
      continue;
    }
    if (block.block_id !== undefined) {
      length(`${at}: block_id`, block.block_id, 1, 255, say);
      if (blockIds.has(String(block.block_id))) say(`${at}: block_id occurs twice`);
      blockIds.add(String(block.block_id));
    }
    checkBlock(block, at, surface, say);
  }
  return problems;
}

/** The same for a modal or Home, title and buttons included. */
export function viewProblems(view: unknown): string[] {
  if (!isObject(view)) return ["view is not an object"];
  if (view.type !== "modal" && view.type !== "home") return [`view type ${String(view.type)}`];
  const problems = blockProblems(view.blocks, view.type);
  const say = (sentence: string) => problems.push(sentence);
  length("private_metadata", view.private_metadata ?? "", 0, 3_000, say);
  length("callback_id", view.callback_id ?? "", 0, 255, say);
  if (view.type === "modal") {
    text("title", view.title, 24, say, "plain_text");
    if (view.submit !== undefined) text("submit", view.submit, 24, say, "plain_text");
    if (view.close !== undefined) text("close", view.close, 24, say, "plain_text");
    const hasInput =
      Array.isArray(view.blocks) && view.blocks.some((block) => isObject(block) && block.type === "input");
    if (hasInput && view.submit === undefined) say("a modal with inputs has no submit");
  }
  return problems;
}

type Say = (sentence: string) => void;

function checkBlock(block: Record<string, unknown>, at: string, surface: string, say: Say): void {
  switch (block.type) {
    case "divider":
      return;
    case "header":
      return text(`${at}: header`, block.text, 150, say, "plain_text");
    case "section":
      if (block.text === undefined && block.fields === undefined) say(`${at}: a section with neither text nor fields`);
      if (block.text !== undefined) text(`${at}: section`, block.text, 3_000, say);
      if (block.fields !== undefined) {
        const fields = list(`${at}: fields`, block.fields, 10, say);
        for (const field of fields) text(`${at}: field`, field, 2_000, say);
      }
      if (block.accessory !== undefined) checkElement(block.accessory, `${at}: accessory`, say);
      return;
    case "context":
      for (const element of list(`${at}: context`, block.elements, 10, say))
        text(`${at}: context`, element, 2_000, say);
      return;
    case "actions": {
      const ids = new Set<unknown>();
      for (const element of list(`${at}: actions`, block.elements, 25, say)) {
        checkElement(element, at, say);
        const id = isObject(element) ? element.action_id : undefined;
        if (ids.has(id)) say(`${at}: action_id ${String(id)} occurs twice`);
        ids.add(id);
      }
      return;
    }
    case "input":
      if (surface === "message") return void say(`${at}: an input in a message`);
      text(`${at}: label`, block.label, 2_000, say, "plain_text");
      return checkElement(block.element, at, say);
    default:
      say(`${at}: unknown type ${String(block.type)}`);
  }
}

function checkElement(element: unknown, at: string, say: Say): void {
  if (!isObject(element)) return void say(`${at}: an element that is not an object`);
  length(`${at}: action_id`, element.action_id, 1, 255, say);
  switch (element.type) {
    case "button":
      text(`${at}: button`, element.text, 75, say, "plain_text");
      length(`${at}: button value`, element.value ?? "", 0, 2_000, say);
      length(`${at}: button url`, element.url ?? "", 0, 3_000, say);
      return;
    case "overflow":
      return options(list(`${at}: overflow`, element.options, 5, say), at, say);
    case "static_select":
      if (element.placeholder !== undefined) text(`${at}: placeholder`, element.placeholder, 150, say, "plain_text");
      if (element.option_groups === undefined)
        return options(list(`${at}: select`, element.options, 100, say), at, say);
      for (const group of list(`${at}: option groups`, element.option_groups, 100, say)) {
        if (!isObject(group)) say(`${at}: an option group that is not an object`);
        else {
          text(`${at}: group label`, group.label, 75, say, "plain_text");
          options(list(`${at}: group`, group.options, 100, say), at, say);
        }
      }
      return;
    case "plain_text_input":
      if (typeof element.max_length === "number" && element.max_length > 3_000) say(`${at}: max_length over 3,000`);
      return;
    default:
      say(`${at}: unknown element ${String(element.type)}`);
  }
}

function options(items: readonly unknown[], at: string, say: Say): void {
  const values = new Set<unknown>();
  for (const item of items) {
    if (!isObject(item)) {
      say(`${at}: an option that is not an object`);
      continue;
    }
    text(`${at}: option`, item.text, 75, say);
    length(`${at}: option value`, item.value, 1, 75, say);
    if (values.has(item.value)) say(`${at}: option value ${String(item.value)} occurs twice`);
    values.add(item.value);
  }
}

function text(what: string, value: unknown, max: number, say: Say, type?: "plain_text"): void {
  if (!isObject(value)) return void say(`${what}: no text object`);
  if (value.type !== "plain_text" && value.type !== "mrkdwn") say(`${what}: text type ${String(value.type)}`);
  if (type !== undefined && value.type !== type) say(`${what}: must be ${type}`);
  length(what, value.text, 1, max, say);
}

function length(what: string, value: unknown, min: number, max: number, say: Say): void {
  if (typeof value !== "string") return void say(`${what}: not a string`);
  if (value.length < min || value.length > max) say(`${what}: ${value.length} characters, not ${min} to ${max}`);
}

function list(what: string, value: unknown, max: number, say: Say): readonly unknown[] {
  if (!Array.isArray(value) || value.length === 0) {
    say(`${what}: not a list with anything in it`);
    return [];
  }
  if (value.length > max) say(`${what}: ${value.length} entries, at most ${max}`);
  return value;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
