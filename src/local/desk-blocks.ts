import { blockIdOf } from "./desk-interactions.js";
import type { DeskMessage, DeskView, Json } from "./desk-workspace.js";

/** Where a form on the page leads back to. */
export interface Here {
  readonly user: string;
  readonly channel: string;
}

/** Blocks as Slack shows them; what can be pressed becomes a form that sends the signed interaction. */
export function blocksHtml(blocks: readonly Json[], here: Here, message: DeskMessage | undefined): string {
  return blocks.map((block) => blockHtml(block, here, message)).join("\n");
}

/** A modal over the page: its inputs, and what was wrong with them. */
export function modalHtml(modal: DeskView, here: Here): string {
  const { view } = modal;
  const blocks = (view.blocks ?? []) as Json[];
  const submit = view.submit === undefined ? "" : `<button class="primary">${plainHtml(view.submit)}</button>`;
  return `<div class="shade"></div><dialog open aria-label="${plainHtml(view.title)}"><h2>${plainHtml(view.title)}</h2>
<form method="post" action="/submit" id="modal">${hidden(here)}
${blocks.map((block, index) => (block.type === "input" ? inputHtml(block, blockIdOf(block, index), modal.errors) : blockHtml(block, here, undefined))).join("\n")}
</form><div class="ends"><form method="post" action="/close">${hidden(here)}<button>${view.close === undefined ? "Cancel" : plainHtml(view.close)}</button></form>${submit.replace("<button", '<button form="modal"')}</div></dialog>`;
}

/** Slack's markup as HTML. What was escaped for Slack is shown as it was meant. */
export function mrkdwnHtml(text: string): string {
  const links: string[] = [];
  const held = text.replace(
    /<((?:https?:\/\/|mailto:)[^|>\s]+)(?:\|([^>]*))?>/g,
    (_whole, url: string, label?: string) => {
      links.push(
        `<a href="${escapeHtml(unescaped(url))}" rel="noreferrer" target="_blank">${escapeHtml(unescaped(label ?? url))}</a>`,
      );
      return `\u0000${links.length - 1}\u0000`;
    },
  );
  return escapeHtml(unescaped(held))
    .replace(/(^|[\s(>•])\*([^*\n]+)\*/g, "$1<b>$2</b>")
    .replace(/(^|[\s(>])_([^_\n]+)_(?=$|[\s).,:;!?])/g, "$1<i>$2</i>")
    .replace(/`([^`\n]+)`/g, "<code>$1</code>")
    .replace(/\n/g, "<br>")
    .replace(/🔴|🟡|🟢|⚪/gu, (light) => `<span class="dot ${LIGHTS[light]}" title="${LIGHTS[light]}"></span>`)
    .replace(/\u0000(\d+)\u0000/g, (_whole, index: string) => links[Number(index)] ?? "");
}

/** Drawn, because not every machine has a font with them. */
const LIGHTS: Readonly<Record<string, string>> = { "🔴": "red", "🟡": "yellow", "🟢": "green", "⚪": "unknown" };

export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

function blockHtml(block: Json, here: Here, message: DeskMessage | undefined): string {
  switch (block.type) {
    case "header":
      return `<div class="h">${plainHtml(block.text)}</div>`;
    case "divider":
      return "<hr>";
    case "context":
      return `<div class="block context">${((block.elements ?? []) as Json[]).map(textHtml).join(" ")}</div>`;
    case "section": {
      const text = block.text === undefined ? "" : `<div class="block">${textHtml(block.text)}</div>`;
      const fields = (block.fields as Json[] | undefined)?.map((field) => `<div>${textHtml(field)}</div>`).join("");
      const body = `<div>${text}${fields === undefined ? "" : `<div class="fields">${fields}</div>`}</div>`;
      if (block.accessory === undefined) return body;
      return `<div class="with">${body}${elementHtml(block.accessory as Json, here, message)}</div>`;
    }
    case "actions": {
      const elements = ((block.elements ?? []) as Json[]).map((element) => elementHtml(element, here, message));
      return `<div class="actions">${elements.join("")}</div>`;
    }
    default:
      return `<div class="block context">(${escapeHtml(String(block.type))})</div>`;
  }
}

function elementHtml(element: Json, here: Here, message: DeskMessage | undefined): string {
  const action = escapeHtml(String(element.action_id));
  const start = `<form method="post" action="/press">${hidden(here)}<input type="hidden" name="action" value="${action}">${message === undefined ? "" : `<input type="hidden" name="ts" value="${escapeHtml(message.ts)}">`}`;
  if (element.type === "button") {
    const style = typeof element.style === "string" ? ` class="${escapeHtml(element.style)}"` : "";
    const link =
      typeof element.url === "string"
        ? ` <a href="${escapeHtml(element.url)}" target="_blank" rel="noreferrer">↗</a>`
        : "";
    return `${start}<button name="value" value="${escapeHtml(String(element.value ?? ""))}" data-action="${action}"${style}>${plainHtml(element.text)}</button>${link}</form>`;
  }
  if (element.type === "static_select")
    return `${start}<select name="value" data-submit data-action="${action}" aria-label="${plainHtml(element.placeholder)}"><option value="" disabled selected>${plainHtml(element.placeholder)}</option>${optionsHtml(element)}</select><noscript><button>OK</button></noscript></form>`;
  if (element.type === "overflow") {
    const entries = ((element.options ?? []) as Json[]).map(
      (option) =>
        `<button name="value" value="${escapeHtml(String(option.value))}" data-action="${action}">${plainHtml(option.text)}</button>`,
    );
    return `<details><summary aria-label="More">⋯</summary><div>${start}${entries.join("")}</form></div></details>`;
  }
  return "";
}

function inputHtml(block: Json, blockId: string, errors: DeskView["errors"]): string {
  const element = block.element as Json;
  const name = `field:${escapeHtml(blockId)}`;
  const optional = block.optional === true ? " <small>(optional)</small>" : "";
  const required = block.optional === true ? "" : " required";
  const error = errors?.[blockId] === undefined ? "" : `<span class="error">${escapeHtml(errors[blockId])}</span>`;
  let control: string;
  if (element.type === "static_select")
    control = `<select name="${name}"${required}><option value="">${plainHtml(element.placeholder ?? { text: "Choose" })}</option>${optionsHtml(element)}</select>`;
  else if (element.multiline === true)
    control = `<textarea name="${name}"${required} maxlength="${Number(element.max_length ?? 3_000)}"></textarea>`;
  else control = `<input name="${name}"${required}>`;
  return `<label><span>${plainHtml(block.label)}${optional}</span>${control}${error}</label>`;
}

function optionsHtml(element: Json): string {
  const one = (option: Json) =>
    `<option value="${escapeHtml(String(option.value))}">${plainHtml(option.text)}</option>`;
  const groups = element.option_groups as { label: Json; options: Json[] }[] | undefined;
  if (groups === undefined) return ((element.options ?? []) as Json[]).map(one).join("");
  return groups
    .map((group) => `<optgroup label="${plainHtml(group.label)}">${group.options.map(one).join("")}</optgroup>`)
    .join("");
}

function textHtml(text: unknown): string {
  const { type, text: content } = text as { type: string; text: string };
  return type === "mrkdwn" ? mrkdwnHtml(content) : escapeHtml(content).replace(/\n/g, "<br>");
}

function plainHtml(text: unknown): string {
  return escapeHtml(String((text as { text?: unknown } | undefined)?.text ?? ""));
}

function hidden(here: Here): string {
  return `<input type="hidden" name="user" value="${escapeHtml(here.user)}"><input type="hidden" name="channel" value="${escapeHtml(here.channel)}">`;
}

function unescaped(text: string): string {
  return text.replace(/&lt;/g, "<").replace(/&gt;/g, ">").replace(/&amp;/g, "&");
}
