import type { MailboxMessage, MailboxStats } from "./mailbox-messages.js";

/** The list, newest first. Filters: `customer` (the recipient's domain), `locale`, `q` (in subject and addresses), `page`. */
export function listPage(messages: readonly MailboxMessage[], stats: MailboxStats, query: URLSearchParams): string {
  const filter = {
    customer: query.get("customer") ?? "",
    locale: query.get("locale") ?? "",
    q: (query.get("q") ?? "").trim(),
  };
  const found = messages.filter((message) => matches(message, filter)).reverse();
  const pages = Math.max(1, Math.ceil(found.length / PER_PAGE));
  const page = Math.min(pages, Math.max(1, Math.trunc(Number(query.get("page") ?? 1)) || 1));
  const shown = found.slice((page - 1) * PER_PAGE, page * PER_PAGE);
  const link = (number: number) =>
    `/?${new URLSearchParams({ ...filter, page: String(number) }).toString().replaceAll("&", "&amp;")}`;
  return layout(
    "Mailbox",
    `<header><h1>Mailbox</h1>${summary(stats)}</header>
<form class="filters" method="get" action="/">
  <label>Customer ${select("customer", distinct(messages.flatMap(customersOf)), filter.customer)}</label>
  <label>Language ${select("locale", distinct(messages.map((message) => message.locale ?? "-")), filter.locale)}</label>
  <label>Search <input name="q" value="${escapeHtml(filter.q)}" placeholder="subject or address"></label>
  <button>Show</button> <a href="/">Clear</a>
</form>
${
  shown.length === 0
    ? `<p class="empty">${messages.length === 0 ? "Nothing has arrived yet. Reload when a playbook has sent something." : "No message matches these filters."}</p>`
    : `<table class="list"><thead><tr><th>#</th><th>To</th><th>Subject</th><th>From</th><th>Language</th><th>Template</th><th>Date</th></tr></thead><tbody>
${shown.map(listRow).join("\n")}
</tbody></table>`
}
<nav class="pages">${page > 1 ? `<a href="${link(page - 1)}">Newer</a>` : ""} <span>Page ${page} of ${pages}, ${found.length} ${found.length === 1 ? "message" : "messages"}</span> ${page < pages ? `<a href="${link(page + 1)}">Older</a>` : ""}</nav>`,
  );
}

/** One message: its headers, its HTML in a frame that can do nothing, its text, and where the raw source is. */
export function messagePage(message: MailboxMessage): string {
  const rows: [string, string | undefined][] = [
    ["From", message.fromHeader],
    ["To", message.toHeader],
    ["Date", dateText(message.date)],
    ["Language", message.locale],
    ["Template", message.template],
    ["Category", message.category],
    ["Reply-To", message.replyTo],
    ["Message-ID", message.messageId],
    ["Delivery", message.deliveryId],
    ["Arrival", message.arrival > 1 ? `${message.arrival}: this Message-ID came before` : undefined],
  ];
  const unsubscribe = message.unsubscribeUrl;
  return layout(
    message.subject,
    `<nav><a href="/">← All messages</a></nav>
<h1>${escapeHtml(message.subject)}</h1>
<table class="headers"><tbody>
${rows
  .filter(([, value]) => value !== undefined && value !== "")
  .map(([name, value]) => `<tr><th>${name}</th><td>${escapeHtml(value ?? "")}</td></tr>`)
  .join("\n")}
${unsubscribe !== undefined && /^https?:\/\//.test(unsubscribe) ? `<tr><th>Unsubscribe</th><td><a href="${escapeHtml(unsubscribe)}" target="_blank" rel="noreferrer">${escapeHtml(unsubscribe)}</a></td></tr>` : ""}
</tbody></table>
<h2>As HTML</h2>
<iframe src="/mail/${message.number}/html" sandbox="allow-popups allow-popups-to-escape-sandbox" title="The message as HTML"></iframe>
<h2>As text</h2>
<pre>${escapeHtml(message.text ?? "This message has no text part.")}</pre>
<p><a href="/mail/${message.number}/raw">Raw source</a></p>`,
  );
}

export function notFoundPage(): string {
  return layout(
    "Not here",
    `<h1>Not here</h1><p>There is no such message; old ones are dropped, and only counted. <a href="/">All messages</a></p>`,
  );
}

const PER_PAGE = 100;

interface Filter {
  readonly customer: string;
  readonly locale: string;
  readonly q: string;
}

function matches(message: MailboxMessage, { customer, locale, q }: Filter): boolean {
  if (customer !== "" && !customersOf(message).includes(customer)) return false;
  if (locale !== "" && (message.locale ?? "-") !== locale) return false;
  const text = `${message.subject} ${message.toHeader} ${message.fromHeader} ${message.to.join(" ")}`.toLowerCase();
  return text.includes(q.toLowerCase());
}

function customersOf(message: MailboxMessage): string[] {
  return message.to.map((address) => address.slice(address.lastIndexOf("@") + 1).toLowerCase());
}

function distinct(values: readonly string[]): string[] {
  return [...new Set(values)].sort();
}

function summary(stats: MailboxStats): string {
  const repeated = stats.duplicated === 0 ? "none twice" : `<strong>${stats.duplicated} more than once</strong>`;
  return `<p>${stats.messages} arrived, ${repeated}${stats.refused > 0 ? `, ${stats.refused} refused` : ""}${stats.dropped > 0 ? `, ${stats.dropped} dropped` : ""}${stats.kept < stats.messages ? `; the last ${stats.kept} are shown` : ""}</p>`;
}

function listRow(message: MailboxMessage): string {
  const again = message.arrival > 1 ? ` <span class="again">again</span>` : "";
  return `<tr><td>${message.number}</td><td>${escapeHtml(message.toHeader)}</td><td><a href="/mail/${message.number}">${escapeHtml(message.subject === "" ? "(no subject)" : message.subject)}</a>${again}</td><td>${escapeHtml(message.fromHeader.replace(/ <[^>]*>$/, ""))}</td><td>${escapeHtml(message.locale ?? "-")}</td><td>${escapeHtml(message.template ?? "-")}</td><td class="date">${dateText(message.date)}</td></tr>`;
}

function select(name: string, values: readonly string[], chosen: string): string {
  const options = values.map(
    (value) =>
      `<option value="${escapeHtml(value)}"${value === chosen ? " selected" : ""}>${escapeHtml(value)}</option>`,
  );
  return `<select name="${name}"><option value="">all</option>${options.join("")}</select>`;
}

function dateText(date: number | undefined): string {
  return date === undefined ? "" : new Date(date).toISOString().slice(0, 16).replace("T", " ");
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

function layout(title: string, body: string): string {
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>${escapeHtml(title)}</title>
<style>
:root { color-scheme: light; --line: #dfe3e8; --soft: #f5f7f9; --ink: #1c2733; --faint: #5b6875; --accent: #0b6bcb; }
body { margin: 0 auto; padding: 24px; max-width: 1180px; font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: #fff; }
h1 { font-size: 24px; margin: 0 0 4px; overflow-wrap: anywhere; } h2 { font-size: 16px; margin: 24px 0 8px; }
header p { margin: 0; color: var(--faint); } a { color: var(--accent); }
.filters { display: flex; flex-wrap: wrap; gap: 16px; align-items: end; margin: 16px 0; padding: 12px 16px; background: var(--soft); border-radius: 8px; }
.filters label { color: var(--faint); font-size: 13px; display: grid; gap: 2px; }
select, input, button { font: inherit; padding: 4px 8px; border: 1px solid #b9c2cc; border-radius: 6px; background: #fff; color: inherit; }
button { background: var(--accent); border-color: var(--accent); color: #fff; cursor: pointer; }
table { border-collapse: collapse; width: 100%; } th { text-align: left; font-weight: 600; color: var(--faint); font-size: 13px; }
.list th, .list td { padding: 7px 10px 7px 0; border-bottom: 1px solid var(--line); vertical-align: top; overflow-wrap: break-word; }
@media (max-width: 760px) { .list :is(th, td):is(:nth-child(1), :nth-child(4), :nth-child(5), :nth-child(6)) { display: none; } .date { white-space: normal !important; } }
.list th, .list td:first-child, .date { white-space: nowrap; } .date { font-variant-numeric: tabular-nums; } .again { background: #fde2e1; color: #8f1d18; border-radius: 4px; padding: 0 6px; font-size: 12px; }
.headers th { width: 110px; padding: 3px 0; vertical-align: top; } .headers td { padding: 3px 0; overflow-wrap: anywhere; }
iframe { width: 100%; height: 640px; border: 1px solid var(--line); border-radius: 8px; background: #fff; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; background: var(--soft); padding: 16px; border-radius: 8px; font: 13px/1.5 ui-monospace, monospace; }
.pages { margin: 16px 0; color: var(--faint); } .empty { padding: 48px 0; text-align: center; color: var(--faint); }
</style></head><body>
${body}
</body></html>
`;
}
