// Where the named points are: a line of the build, found by its text, and the call that is put beside it. A text that isn't there any more is a
// fault, not silence. `waypostPoint(name)` ends the process with SIGKILL the n-th time.
const here = (name) => `globalThis.waypostPoint(${JSON.stringify(name)});`;

export const POINTS = {
  migration: {
    file: "/src/adapters/postgres/migrate.js",
    find: "const client = postgres(url, {",
    put: `const client = postgres(url, { debug: (_, text) => { if (/^create table/i.test(text.trim())) ${here("migration")} },`,
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
    find: "{ delivery_id: message.deliveryId } },\n                });",
    put: `{ delivery_id: message.deliveryId } },\n                });\n                ${here("slack-accepted")}`,
  },
  settled: {
    file: "/src/operations/deliver.js",
    find: "const talking = converse(ports, key, token, conversation)",
    put: `const talking = converse(ports, key, token, conversation).then((settled) => { ${here("settled")} return settled; })`,
  },
  "dispatch-signalled": {
    file: "/src/operations/dispatch-events.js",
    find: "await store.read((tx) => store.events.markDispatched(tx, event.id));",
    put: `${here("dispatch-signalled")} await store.read((tx) => store.events.markDispatched(tx, event.id));`,
  },
  "dispatch-enrolled": {
    file: "/src/operations/dispatch-events.js",
    find: "ended = await workflows.start(",
    put: `${here("dispatch-enrolled")} ended = await workflows.start(`,
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
 * As a careful engineer writes an activity by hand, without a ledger: it looks whether the message is marked as sent, sends, and marks it. One attempt at a
 * time, as Temporal has it: until it has failed or its 10 s are over, nobody begins another. What failed or was not answered is tried again after a second.
 * The same program on the same load, only the fence taken out: what its absence costs.
 */
const ATTEMPT_MS = 10_000;
export const NAIVE = [
  // An attempt that may still be at it is left alone.
  {
    file: "/src/adapters/postgres/ledger.js",
    find: "(d.status in ('pending', 'claimed')",
    put: "(d.status = 'pending' or (d.status = 'claimed' and d.lease_until <= clock_timestamp())",
  },
  // Nobody looks, right before the first byte, whether it is still theirs.
  {
    file: "/src/adapters/postgres/ledger.js",
    find: "where key = $1 and token = $2 and status = 'claimed' and lease_until > clock_timestamp()",
    put: ", token = $2 where key = $1 and status in ('claimed', 'wire')",
  },
  {
    file: "/src/operations/deliver.js",
    find: "const mayStart = async () => {",
    put: `const mayStart = async () => { isOnWire = true; await store.read((tx) => ledger.wire(tx, key, token, ${ATTEMPT_MS}, conversation.kept)); return true; }; const fenced = async () => {`,
  },
  // No answer is a failure like any other.
  {
    file: "/src/operations/deliver.js",
    find: 'case "unknown":',
    put: 'case "unknown": return { status: "retry", reason: reply.reason, afterMs: 1_000 };',
  },
  // An attempt that timed out is made again; nobody asks the server.
  {
    file: "/src/operations/deliver.js",
    find: "const found = await conversation.find();",
    put: "const found = null;",
  },
  { file: "/src/operations/deliver.js", find: "const again = await conversation.find();", put: "const again = null;" },
  {
    file: "/src/operations/deliver.js",
    find: "ledger.takeOver(tx, row.key, oldToken, token, settings.leaseMs)",
    put: "ledger.takeOver(tx, row.key, oldToken, token, 0)",
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
