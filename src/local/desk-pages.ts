import { blocksHtml, escapeHtml, type Here, modalHtml, mrkdwnHtml } from "./desk-blocks.js";
import type { DeskChannel, DeskMessage, DeskUser, DeskWorkspace } from "./desk-workspace.js";

/** The workspace as one person sees it. Query: `user`, `channel` (an id, or `home`), `notice`. */
export function deskPage(workspace: DeskWorkspace, query: URLSearchParams): string {
  const users = [...workspace.users.values()].sort((a, b) => a.name.localeCompare(b.name));
  const user = users.find((one) => one.id === query.get("user")) ?? busiest(workspace, users) ?? users[0];
  const channels = channelsOf(workspace, user);
  const asked = query.get("channel") ?? "";
  const isHome = asked === "home";
  const channel = isHome ? undefined : (channels.find((one) => one.id === asked) ?? channels[0]);
  const here = { user: user?.id ?? "", channel: isHome ? "home" : (channel?.id ?? "") };
  const modal = user && workspace.modals.get(user.id);
  const notice = query.get("notice");
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>Slack desk</title>
<style>${CSS}</style></head><body data-stats="${escapeHtml(JSON.stringify(workspace.stats()))}">
<aside>
  <header><strong>Slack desk</strong><span>a workspace of your own</span></header>
  <form method="get" action="/"><label>You are <select name="user" data-submit>${users
    .map(
      (one) =>
        `<option value="${escapeHtml(one.id)}"${one === user ? " selected" : ""}>${escapeHtml(one.name)}</option>`,
    )
    .join("")}</select></label><noscript><button>Change</button></noscript></form>
  <nav>${user ? sidebar(workspace, channels, here) : ""}</nav>
  <footer>${summary(workspace)}</footer>
</aside>
<main>
  <header><h1>${escapeHtml(isHome ? "Home of Waypost" : titleOf(channel))}</h1></header>
  ${notice === null ? "" : `<p class="notice">${escapeHtml(notice)}</p>`}
  <div class="scroll" id="scroll">
  ${isHome && user ? homeHtml(workspace, user, here) : channel ? conversationHtml(workspace, channel, here) : empty("Nothing has been posted yet. This page refreshes itself.")}
  </div>
  ${user && !isHome && channel ? commandForm(here) : ""}
</main>
${modal ? modalHtml(modal, here) : ""}
<script>${SCRIPT}</script>
</body></html>
`;
}

/** How many messages of a channel are shown. */
const SHOWN_MAX = 100;

function channelsOf(workspace: DeskWorkspace, user: DeskUser | undefined): DeskChannel[] {
  return [...workspace.channels.values()]
    .filter((channel) => channel.user === undefined || channel.user === user?.id)
    .sort((a, b) => Number(b.user !== undefined) - Number(a.user !== undefined) || a.name.localeCompare(b.name));
}

/** Whoever was written to last: a first look at the page shows something. */
function busiest(workspace: DeskWorkspace, users: readonly DeskUser[]): DeskUser | undefined {
  const last = workspace.messages().findLast((message) => message.user !== undefined);
  return users.find((user) => user.id === last?.user);
}

function titleOf(channel: DeskChannel | undefined): string {
  if (channel === undefined) return "Nothing yet";
  return channel.user === undefined ? channel.name : "Waypost";
}

function sidebar(workspace: DeskWorkspace, channels: readonly DeskChannel[], here: Here): string {
  const counts = new Map<string, number>();
  for (const message of workspace.messages()) counts.set(message.channel, (counts.get(message.channel) ?? 0) + 1);
  const link = (id: string, label: string, count: number) =>
    `<a href="/?user=${encodeURIComponent(here.user)}&amp;channel=${encodeURIComponent(id)}"${id === here.channel ? ' class="here"' : ""}><span>${escapeHtml(label)}</span>${count > 0 ? `<em>${count}</em>` : ""}</a>`;
  const direct = channels.filter((channel) => channel.user !== undefined);
  const rooms = channels.filter((channel) => channel.user === undefined);
  return `<h2>App</h2>${link("home", "Home", 0)}${direct.map((channel) => link(channel.id, "Messages", counts.get(channel.id) ?? 0)).join("")}
${rooms.length > 0 ? `<h2>Channels</h2>${rooms.map((channel) => link(channel.id, channel.name, counts.get(channel.id) ?? 0)).join("")}` : ""}`;
}

function summary(workspace: DeskWorkspace): string {
  const stats = workspace.stats();
  const repeated = stats.duplicated === 0 ? "none twice" : `<strong>${stats.duplicated} more than once</strong>`;
  return `${stats.posts} posted, ${repeated}, ${stats.interactions} ${stats.interactions === 1 ? "click" : "clicks"}`;
}

function homeHtml(workspace: DeskWorkspace, user: DeskUser, here: Here): string {
  const home = workspace.homes.get(user.id);
  if (home === undefined)
    return empty("The app has not drawn this tab: it did not answer, or does not know this person.");
  return `<div class="home">${blocksHtml((home.view.blocks ?? []) as never, here, undefined)}</div>`;
}

function conversationHtml(workspace: DeskWorkspace, channel: DeskChannel, here: Here): string {
  const all = workspace.messages().filter((message) => message.channel === channel.id);
  const shown = all.slice(-SHOWN_MAX);
  const told = workspace.ephemerals.filter((one) => one.channel === channel.id && one.user === here.user).slice(-5);
  if (all.length === 0 && told.length === 0) return empty("Nothing has been posted here yet.");
  const older =
    all.length > shown.length ? `<p class="older">${all.length - shown.length} older messages are not shown</p>` : "";
  return `${older}${shown.map((message) => messageHtml(message, here)).join("\n")}
${told.map((one) => `<article class="only"><div class="face">W</div><div><p class="who">Only you can see this</p>${one.blocks.length > 0 ? blocksHtml(one.blocks, here, undefined) : `<div class="block">${mrkdwnHtml(one.text)}</div>`}</div></article>`).join("\n")}`;
}

function messageHtml(message: DeskMessage, here: Here): string {
  const body =
    message.blocks.length > 0
      ? blocksHtml(message.blocks, here, message)
      : `<div class="block">${mrkdwnHtml(message.text)}</div>`;
  const marks = [
    message.threadTs === undefined ? "" : "<em>in a thread</em>",
    message.edits > 0 ? "<em>edited</em>" : "",
    message.arrival > 1 ? `<strong class="again">posted ${message.arrival} times</strong>` : "",
  ].join(" ");
  return `<article${message.threadTs === undefined ? "" : ' class="reply"'} data-ts="${escapeHtml(message.ts)}"${message.deliveryId === undefined ? "" : ` data-delivery="${escapeHtml(message.deliveryId)}"`}><div class="face">W</div><div><p class="who"><b>Waypost</b> <span>app</span> <time>${new Date(message.postedAt).toISOString().slice(11, 19)}</time> ${marks}</p>${body}</div></article>`;
}

function commandForm(here: Here): string {
  return `<form class="command" method="post" action="/command"><input type="hidden" name="user" value="${escapeHtml(here.user)}"><input type="hidden" name="channel" value="${escapeHtml(here.channel)}"><input name="text" placeholder="/waypost tasks" aria-label="Slash command" autocomplete="off"><button>Send</button></form>`;
}

function empty(text: string): string {
  return `<p class="empty">${escapeHtml(text)}</p>`;
}

/** Selects act at once, as in Slack; the page reloads when something happened and nobody is in the middle of something. */
const SCRIPT = `
for (const select of document.querySelectorAll("[data-submit]")) select.addEventListener("change", () => select.form.requestSubmit());
const scroll = document.getElementById("scroll"); scroll.scrollTop = scroll.scrollHeight;
const before = document.body.dataset.stats; setInterval(async () => {
  const now = await fetch("/stats").then((answer) => answer.text()).catch(() => before);
  if (now !== before && !document.querySelector("dialog") && !document.querySelector("details[open]") && !["INPUT", "SELECT", "TEXTAREA"].includes(document.activeElement?.tagName)) {
    const next = new URL(location.href); next.searchParams.delete("notice"); if (next.searchParams.get("channel") === "home") next.searchParams.set("drawn", "1"); location.replace(next);
  }
}, 2000);
`;

const CSS = `
:root { color-scheme: light; --line: #e3e5e8; --ink: #1d1c1d; --faint: #616061; --side: #35163b; --accent: #007a5a; --link: #1264a3; }
* { box-sizing: border-box; } body { margin: 0; height: 100vh; display: grid; grid-template-columns: 260px 1fr; font: 15px/1.46 system-ui, "Noto Color Emoji", sans-serif; color: var(--ink); background: #fff; }
aside { background: var(--side); color: #e8dcea; display: flex; flex-direction: column; min-height: 0; } aside header { padding: 16px 18px 12px; border-bottom: 1px solid #ffffff1f; } aside header strong { display: block; font-size: 18px; color: #fff; } aside header span { font-size: 13px; opacity: .8; }
aside form { padding: 12px 18px; } aside label { font-size: 13px; display: grid; gap: 4px; } aside select { width: 100%; background: #4a2750; color: #fff; border-color: #ffffff3d; }
aside nav { flex: 1; overflow: auto; padding: 0 10px; } aside h2 { font-size: 12px; font-weight: 600; opacity: .75; margin: 14px 8px 4px; } aside a { display: flex; justify-content: space-between; padding: 4px 8px; border-radius: 6px; color: inherit; text-decoration: none; } aside a:hover { background: #ffffff14; } aside a.here { background: #1164a3; color: #fff; } aside a em { font-style: normal; font-size: 12px; opacity: .8; }
aside footer { padding: 12px 18px; font-size: 12px; opacity: .85; border-top: 1px solid #ffffff1f; } aside footer strong { color: #ffb3ad; }
main { display: flex; flex-direction: column; min-width: 0; min-height: 0; } main > header { border-bottom: 1px solid var(--line); padding: 12px 20px; } h1 { font-size: 18px; margin: 0; } .scroll { flex: 1; overflow: auto; padding: 12px 20px; }
.notice { margin: 12px 20px 0; padding: 8px 12px; background: #fdecea; border-radius: 8px; } .empty, .older { color: var(--faint); text-align: center; padding: 32px 0; } .older { padding: 4px 0 12px; font-size: 13px; }
article { display: grid; grid-template-columns: 36px 1fr; gap: 10px; padding: 8px 0; max-width: 760px; } article.reply { margin-left: 46px; } article.only > div:last-child { background: #f6f6f6; border-radius: 8px; padding: 8px 12px; } .face { width: 36px; height: 36px; border-radius: 8px; background: #e8912d !important; color: #fff; display: grid; place-items: center; font-weight: 700; } .only .face { opacity: .5; }
.who { margin: 0; } .who span { font-size: 11px; background: #e8e8e8; color: var(--faint); border-radius: 3px; padding: 1px 4px; } .who time, .who em { font-size: 12px; color: var(--faint); font-style: normal; } .again { color: #b3261e; font-size: 12px; }
.block { margin: 4px 0; overflow-wrap: anywhere; } .block a { color: var(--link); } .block code { background: #f4f4f4; border: 1px solid var(--line); border-radius: 4px; padding: 0 3px; font-size: 13px; } .h { font-size: 18px; font-weight: 700; margin: 4px 0; overflow-wrap: anywhere; } .fields { display: grid; grid-template-columns: 1fr 1fr; gap: 8px 16px; margin: 8px 0; } .context { color: var(--faint); font-size: 13px; } .dot { display: inline-block; width: .75em; height: .75em; border-radius: 50%; } .dot.red { background: #d72b2b; } .dot.yellow { background: #f0b429; } .dot.green { background: #2eb67d; } .dot.unknown { background: #c4c4c4; } hr { border: 0; border-top: 1px solid var(--line); margin: 10px 0; } .with { display: flex; justify-content: space-between; gap: 16px; align-items: start; } .home { max-width: 760px; }
.actions { display: flex; flex-wrap: wrap; gap: 8px; margin: 8px 0; align-items: start; } .actions form, .with form { margin: 0; } .actions form > a { color: var(--link); text-decoration: none; } button, select, input, textarea { font: inherit; color: inherit; border: 1px solid #bbbabc; border-radius: 6px; padding: 5px 12px; background: #fff; } button { font-weight: 600; cursor: pointer; white-space: nowrap; } button:hover { background: #f8f8f8; } button.primary { background: var(--accent); border-color: var(--accent); color: #fff; } button.danger { background: #e01e5a; border-color: #e01e5a; color: #fff; }
details { position: relative; } summary { list-style: none; border: 1px solid #bbbabc; border-radius: 6px; padding: 5px 12px; cursor: pointer; font-weight: 700; } summary::-webkit-details-marker { display: none; } details > div { position: absolute; z-index: 2; background: #fff; border: 1px solid var(--line); border-radius: 8px; box-shadow: 0 6px 20px #0003; padding: 6px; min-width: 200px; } details button { display: block; width: 100%; border: 0; text-align: left; font-weight: 400; }
.command { display: flex; gap: 8px; padding: 12px 20px 16px; border-top: 1px solid var(--line); } .command input { flex: 1; }
.shade { position: fixed; inset: 0; background: #0008; z-index: 5; } dialog { position: fixed; inset: 0; margin: auto; z-index: 6; border: 0; border-radius: 12px; width: min(520px, 92vw); height: fit-content; max-height: 86vh; overflow: auto; padding: 20px 24px; box-shadow: 0 12px 48px #0006; } dialog h2 { margin: 0 0 8px; } dialog label { display: grid; gap: 4px; font-weight: 600; margin: 12px 0; } dialog label small { font-weight: 400; color: var(--faint); } dialog textarea { min-height: 96px; } dialog .error { color: #b3261e; font-weight: 400; font-size: 13px; } dialog .ends { display: flex; justify-content: end; gap: 8px; margin-top: 16px; }
`;
