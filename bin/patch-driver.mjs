// Mends five defects of the Postgres driver (postgres 3.4.9, the newest) in node_modules; run by setup.mjs and the Dockerfile after
// installing. Does nothing the second time; fails loudly where another version is installed.
//
// 1. A write that finds the socket closed throws from setImmediate, which no caller can catch: the process dies whenever a connection breaks
//    inside a transaction. (porsager/postgres issues 1066, 1154, 1208; fix as in pull requests 1168 and 1209)
// 2. A connection that breaks with a write buffered keeps a stale timer, and never sends anything again, also after reconnecting.
// 3. A statement that is given to a connection between its `error` and its `close` (the rollback of a transaction) is never settled: whoever
//    waits for it waits for ever.
// 4. The driver's own question for array types, asked on every new connection, is nobody's promise: a connection that breaks during it ends the
//    process. Who waits for the connection is told all the same. Found by `npm run chaos`.
// 5. Work that goes on behind a transaction whose connection has broken says its statements, and its commit, on that connection once it is made
//    anew: amid somebody else's transaction, half of which is then committed. They fail instead. Found by dispatchers that lose their lock.
// And two things are made cheaper: a transaction's first `select`s (locks, mostly) travel with its BEGIN instead of after its answer. What writes waits for
// that answer: if there were no transaction, it would be kept at once. And statements that are said in one go travel in one write, however long they are: each
// write wakes the server, and a fifth of a worker's CPU went there.
// Tried by test/adapters/postgres/broken-connection.test.ts.
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const CONNECTION = [
  [
    "  function nextWrite(fn) {\n    const x = socket.write(chunk, fn)\n",
    `  function nextWrite(fn) {
    if (socket === null) {
      nextWriteTimer !== null && clearImmediate(nextWriteTimer)
      chunk = nextWriteTimer = null
      error(Errors.connection('CONNECTION_CLOSED', options))
      return false
    }
    const x = socket.write(chunk, fn)
`,
  ],
  [
    "    clearImmediate(nextWriteTimer)\n    if (socket) {\n",
    "    clearImmediate(nextWriteTimer)\n    chunk = nextWriteTimer = null\n    if (socket) {\n",
  ],
  [
    "    clearImmediate(nextWriteTimer)\n    socket.removeListener('data', data)\n",
    "    clearImmediate(nextWriteTimer)\n    chunk = nextWriteTimer = null\n    socket.removeListener('data', data)\n",
  ],
  [
    "    !hadError && (query || sent.length) && error(Errors.connection('CONNECTION_CLOSED', options, socket))\n",
    "    if (query || sent.length) error(Errors.connection('CONNECTION_CLOSED', options, socket))\n",
  ],
  ["        return fetchArrayTypes()\n", "        return fetchArrayTypes().catch(() => {})\n"],
  ["    if (fn || chunk.length >= 1024)\n", "    if (fn || chunk.length >= 65536)\n"],
];

const TRANSACTION = [
  [
    "    const queries = Queue()\n    let savepoints = 0\n",
    "    const queries = Queue()\n    let isBegun = false\n      , held = []\n      , executed\n      , lose\n    let savepoints = 0\n",
  ],
  [
    `      await sql.unsafe('begin ' + options.replace(/[^a-z ]/ig, ''), [], { onexecute }).execute()
      return await`,
    `      const begun = sql.unsafe('begin ' + options.replace(/[^a-z ]/ig, ''), [], { onexecute }).execute()
      await Promise.race([begun, new Promise(resolve => connection ? resolve() : executed = resolve)])
      connection.queue === full && move(connection, reserved)
      const release = () => {
        isBegun = true
        held.forEach(fn => fn())
      }
      begun.then(release, e => {
        lose(e)
        release()
      })
      return await`,
  ],
  [
    "      function handler(q) {\n        q.catch(",
    `      function handler(q) {
        if (!isBegun && (held.length || !/^select /i.test(q.strings[0])))
          return held.push(() => handler(q))
        q.catch(`,
  ],
  [
    "    function onexecute(c) {\n      connection = c\n",
    "    function onexecute(c) {\n      connection = c\n      executed && executed()\n",
  ],
  ["      , connection\n      , prepare = null\n", "      , connection\n      , lost = null\n      , prepare = null\n"],
  [
    "        new Promise((_, reject) => connection.onclose = reject)\n",
    `        new Promise((_, reject) => connection.onclose = lose = e => {
          lost = e
          while (queries.length)
            queries.shift().reject(e)
          reject(e)
        })
`,
  ],
  [
    "        q.catch(e => uncaughtError || (uncaughtError = e))\n        c.queue === full\n",
    `        q.catch(e => uncaughtError || (uncaughtError = e))
        if (lost)
          return q.reject(lost)
        c.queue === full
`,
  ],
];

export function patchDriver() {
  patch("connection.js", CONNECTION);
  patch("index.js", TRANSACTION);
}

function patch(name, changes) {
  const file = fileURLToPath(new URL(`../node_modules/postgres/src/${name}`, import.meta.url));
  const source = readFileSync(file, "utf8");
  let mended = source;
  for (const [before, after] of changes) {
    if (mended.includes(after)) continue;
    if (mended.split(before).length !== 2) {
      throw new Error(
        "node_modules/postgres is not the version that bin/patch-driver.mjs mends: look at its changes, then at that file",
      );
    }
    mended = mended.replace(before, () => after);
  }
  if (mended === source) return;
  // Whole or not at all: another process may be loading it.
  writeFileSync(`${file}.new`, mended);
  renameSync(`${file}.new`, file);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) patchDriver();
