// Where the named points are: a line of the build, found by its text, and the call that is put beside it. A text that isn't there any more is a
// fault, not silence. `waypostPoint(name)` ends the process with SIGKILL the n-th time.
const here = (name) => `globalThis.waypostPoint(${JSON.stringify(name)});`;

export const POINTS = {
  migration: {
    file: "/src/adapters/postgres/migrate.js",
    find: "await applyMigrations(",
    put: `setTimeout(() => { ${here("migration")} }, 25); await applyMigrations(`,
  },
  claim: {
    file: "/src/adapters/postgres/ledger.js",
    find: "async claim(tx, key, token, leaseMs, at) {",
    put: `async claim(tx, key, token, leaseMs, at) { ${here("claim")}`,
  },
  claimed: {
    file: "/src/operations/deliver.js",
    find: "let isOver = false;",
    put: `${here("claimed")} let isOver = false;`,
  },
  data: {
    file: "/src/adapters/email/smtp-mailer.js",
    find: "mayGo = await this.beforeBody();",
    put: `${here("data")} mayGo = await this.beforeBody();`,
  },
  wired: {
    file: "/src/adapters/email/smtp-mailer.js",
    find: "this.push(this.bytes);",
    put: `${here("wired")} this.push(this.bytes);`,
  },
  "half-body": {
    file: "/src/adapters/email/smtp-mailer.js",
    find: "this.push(this.bytes);",
    put: `if (globalThis.waypostIsNext("half-body")) { this.push(this.bytes.subarray(0, this.bytes.length >> 1)); setTimeout(() => { ${here("half-body")} }, 40); return; } this.push(this.bytes);`,
  },
  accepted: {
    file: "/src/operations/deliver.js",
    find: "const result = await resultOf(ports, key, reply);",
    put: `if (reply.kind === "accepted") ${here("accepted")} const result = await resultOf(ports, key, reply);`,
  },
  "slack-accepted": {
    file: "/src/adapters/slack/web-api-poster.js",
    find: "return postedResult(answer);",
    put: `${here("slack-accepted")} return postedResult(answer);`,
  },
  settled: {
    file: "/src/operations/deliver.js",
    find: "await store.read((tx) => ledger.settle(tx, key, token, result));",
    put: `{ await store.read((tx) => ledger.settle(tx, key, token, result)); ${here("settled")} }`,
  },
  "dispatch-signalled": {
    file: "/src/operations/dispatch-events.js",
    find: "await store.read((tx) => store.events.markDispatched(tx, event.id));",
    put: `${here("dispatch-signalled")} await store.read((tx) => store.events.markDispatched(tx, event.id));`,
  },
  "dispatch-enrolled": {
    file: "/src/operations/dispatch-events.js",
    find: "await workflows.start({",
    put: `${here("dispatch-enrolled")} await workflows.start({`,
  },
  "stretch-written": {
    file: "/src/operations/perform.js",
    find: "if (mayRest || events.length > 0)",
    put: `${here("stretch-written")} if (mayRest || events.length > 0)`,
  },
  "event-appended": {
    file: "/src/operations/append-events.js",
    find: "return ports.store.transaction((tx) => appendEventsWithin(ports.store, tx, events, source, now));",
    put: `const appended = await ports.store.transaction((tx) => appendEventsWithin(ports.store, tx, events, source, now)); ${here("event-appended")} return appended;`,
  },
};

/**
 * What most hand-written activities do: send, then mark it as sent; whatever else comes is tried again. The same program on the same load, only
 * the fence taken out: what its absence costs.
 */
const NAIVE = [
  {
    file: "/src/operations/deliver.js",
    find: "const mayStart = async () => {",
    put: "const mayStart = async () => true; const fenced = async () => {",
  },
  {
    file: "/src/operations/deliver.js",
    find: 'case "unknown":',
    put: 'case "unknown": return { status: "retry", reason: reply.reason, afterMs: 500 };',
  },
  {
    file: "/src/operations/deliver.js",
    find: "if (result)",
    put: "if (result) await store.read((tx) => ledger.wire(tx, key, token, 1_000)); if (result)",
  },
];

let edits = [];
export function initialize({ point, isNaive }) {
  if (point && !Object.hasOwn(POINTS, point)) throw new Error(`no such point: ${point}`);
  edits = [...(point ? [POINTS[point]] : []), ...(isNaive ? NAIVE : [])];
}

export async function load(url, context, next) {
  const loaded = await next(url, context);
  if (!url.startsWith("file:") || !url.includes("/dist/")) return loaded;
  let source;
  for (const { file, find, put } of edits) {
    if (!url.endsWith(file)) continue;
    source ??= loaded.source.toString();
    if (!source.includes(find)) throw new Error(`a place in ${file} is gone: ${find}`);
    source = source.replace(find, () => put);
  }
  return source === undefined ? loaded : { ...loaded, source };
}
