import { connect, type Socket } from "node:net";
import { DrizzleQueryError, type SQL, sql } from "drizzle-orm";
import { drizzle, type PostgresJsDatabase } from "drizzle-orm/postgres-js";
import postgres from "postgres";
import { StoreUnavailable, type Transactions, type Tx, WithCommit } from "../../ports/transactions.js";
import { ask } from "./statement.js";

/** A pool of connections, and transactions on it. */
export interface Database extends Transactions {
  readonly db: PostgresJsDatabase;
  /** The driver beneath, for what drizzle has no words for. */
  readonly client: postgres.Sql;
  /**
   * Runs `work` holding an advisory lock on a connection of its own, with what `look` (reads only: it travels with the question for the lock) finds under
   * it; false, and nothing done, if somebody else holds it. `work` may take further connections: the pool must have more than as many as such works run
   * at once.
   */
  whileLocked<T>(name: string, look: (tx: Tx) => Promise<T>, work: (found: T) => Promise<void>): Promise<boolean>;
  /** Lets what is under way end (5 s), then closes. Idempotent. */
  close(): Promise<void>;
}

export interface DatabaseOptions {
  /** Connections at most; default 10. */
  readonly poolMax?: number;
  /** Longest statement, real milliseconds; default 20,000. */
  readonly statementTimeoutMs?: number;
  /** A connection on which nothing was heard or said for so long is given up, real milliseconds; default twice `statementTimeoutMs`. */
  readonly silenceMaxMs?: number;
  /** Shown in `pg_stat_activity`. */
  readonly applicationName?: string;
}

/** Opens a pool; connects with the first statement. */
export function openDatabase(url: string, options: DatabaseOptions = {}): Database {
  const silenceMaxMs = options.silenceMaxMs ?? (options.statementTimeoutMs ?? 20_000) * 2;
  const client = postgres(url, {
    max: options.poolMax ?? 10,
    connect_timeout: 5,
    idle_timeout: 60,
    max_lifetime: 30 * 60,
    backoff: reconnectAfterSeconds,
    onnotice: () => {},
    ...({ socket: (to: SocketAddress) => openSocket(to, silenceMaxMs) } as object),
    connection: {
      application_name: options.applicationName ?? "waypost",
      statement_timeout: options.statementTimeoutMs ?? 20_000,
      // Below it, so that who waits for a lock learns that it was a lock.
      lock_timeout: Math.floor((options.statementTimeoutMs ?? 20_000) * 0.75),
      idle_in_transaction_session_timeout: 60_000,
      TimeZone: "UTC",
    },
  });
  const db = drizzle(preparing(client));
  return {
    db,
    client,
    transaction: (work) =>
      withFaults(() =>
        retried(async () => {
          const result = await db.transaction((tx) => work(tx as unknown as Tx));
          // If that statement failed, what was sent behind it was a rollback.
          return result instanceof WithCommit ? result.value : result;
        }),
      ),
    read: (work) => withFaults(() => work(db as unknown as Tx)),
    async lockAccounts(tx, accountIds) {
      const keys = [...new Set(accountIds)].sort();
      if (keys.length === 0) return;
      await ask(tx, LOCK_ACCOUNTS, [keys]);
    },
    whileLocked(name, look, work) {
      return withFaults(() =>
        db.transaction(async (transaction) => {
          const tx = transaction as unknown as Tx;
          const [[row], found] = await Promise.all([ask<{ got: boolean }>(tx, TRY_LOCK, [name]), look(tx)]);
          if (!row?.got) return false;
          await work(found);
          return true;
        }),
      );
    },
    close: () => client.end({ timeout: 5 }),
  };
}

// In one order, so that two transactions can't wait for each other; `unnest` keeps it. Counted: one row comes back for thousands of locks.
const LOCK_ACCOUNTS =
  "select count(pg_advisory_xact_lock(hashtextextended('account:' || id, 0))) from unnest($1::text[]) as id";

const TRY_LOCK = "select pg_try_advisory_xact_lock(hashtextextended($1, 1)) as got";

/** Longer statements are those of batches: each number of rows is another text, and a connection keeps what it has prepared. */
const PREPARED_MAX_LENGTH = 6_000;
const PREPARED_MAX_PARAMETERS = 64;

/**
 * The same client, whose statements are prepared: from the second time on one message instead of two round trips and a parse, which
 * halves what a run costs. Drizzle has every statement that was not prepared by name parsed anew.
 */
function preparing<Client extends postgres.Sql | postgres.TransactionSql>(client: Client): Client {
  const unsafe: postgres.Sql["unsafe"] = (text, parameters = [], options) =>
    client.unsafe(text, parameters, {
      ...options,
      prepare: text.length <= PREPARED_MAX_LENGTH && parameters.length <= PREPARED_MAX_PARAMETERS,
    });
  return new Proxy(client, {
    get(target, name) {
      if (name === "unsafe") return unsafe;
      if (name !== "begin" && name !== "savepoint") return Reflect.get(target, name);
      const open = Reflect.get(target, name) as (...given: unknown[]) => unknown;
      return (...given: unknown[]) => {
        const work = given.pop() as (inner: postgres.TransactionSql) => unknown;
        return open(...given, (inner: postgres.TransactionSql) => work(preparing(inner)));
      };
    },
  });
}

/** What drizzle offers inside a transaction, or outside one. */
export type Inside = Pick<
  PostgresJsDatabase,
  "select" | "insert" | "update" | "delete" | "execute" | "selectDistinctOn"
>;

/** The drizzle side of a `Tx`. */
export function inside(tx: Tx): Inside {
  return tx as unknown as Inside;
}

/** The rows of a hand-written statement. Instants come as text: select them with `msOf`. */
export async function rowsOf<Row>(tx: Tx | Inside, statement: SQL): Promise<Row[]> {
  return (await (tx as Inside).execute(statement)) as unknown as Row[];
}

/** `text[]` of these values as one parameter. */
export function textArray(values: readonly string[]): SQL {
  return sql`${sql.param(arrayLiteral(values))}::text[]`;
}

/** An instant as a parameter. */
export function instantParam(at: number): SQL {
  return sql`${new Date(at).toISOString()}::timestamptz`;
}

/** Epoch milliseconds of a `timestamptz`, as a double (the driver gives bigints as text). */
export function msOf(column: SQL): SQL {
  return sql`round(extract(epoch from ${column}) * 1000)::double precision`;
}

function arrayLiteral(values: readonly string[]): string {
  return `{${values.map((value) => `"${value.replace(/["\\]/g, "\\$&")}"`).join(",")}}`;
}

/**
 * Pause before the n-th attempt in a row to connect: 50 ms, doubling to 1 s. The driver's own goes to 20 s, and a request that could be answered
 * (served, or 503) waits as long.
 */
function reconnectAfterSeconds(attempt: number): number {
  return Math.min(0.05 * 2 ** Math.min(attempt, 10), 1) * (0.5 + Math.random() / 2);
}

export interface SocketAddress {
  readonly path?: string;
  readonly host: readonly string[];
  readonly port: readonly number[];
}

/**
 * The driver's own socket, but one that fails after a long silence: where the network vanishes without a word, the system would wait a quarter of
 * an hour, and with it everything that has a statement under way. No statement takes as long, and a connection that is only idle may go. And one that the other side closes before a word was said (a proxy without a server behind it)
 * fails: the driver would connect again for ever, and whoever asked would wait as long.
 */
export function openSocket({ path, host, port }: SocketAddress, silenceMaxMs: number): Socket {
  const socket = path ? connect(path) : connect(port[0] as number, host[0] as string);
  socket.once("end", () => {
    if (socket.bytesRead > 0) return;
    socket.destroy(Object.assign(new Error("the server closed the connection at once"), { code: "ECONNRESET" }));
  });
  socket.setTimeout(silenceMaxMs, () => {
    socket.destroy(Object.assign(new Error("the server has been silent for too long"), { code: "ETIMEDOUT" }));
  });
  // For the certificate's name.
  return Object.assign(socket, { host: host[0], port: port[0] });
}

/** Deadlock victims and failed serialisations are tried again: the other transaction is through by then. */
const ATTEMPTS = 4;
const REPEATABLE = new Set(["40P01", "40001"]);

async function retried<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      if (attempt === ATTEMPTS || !REPEATABLE.has(codeOf(error) ?? "")) throw error;
    }
  }
}

async function withFaults<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (thrown) {
    const error = withoutParameters(thrown);
    const code = codeOf(error);
    if (code !== undefined && isUnavailable(code) && !(error instanceof StoreUnavailable)) {
      throw new StoreUnavailable(`Postgres can't be reached (${code})`, { cause: error });
    }
    throw error;
  }
}

/** An insert of thousands of rows has as many placeholders. */
const QUERY_SHOWN_MAX = 500;

/**
 * Drizzle writes a failed query's parameters into the message: addresses, whole mails. Errors are logged, and those of activities are kept in
 * Temporal's history.
 */
function withoutParameters(error: unknown): unknown {
  if (!(error instanceof DrizzleQueryError)) return error;
  const { cause, query } = error;
  return new Error(`query failed: ${query.slice(0, QUERY_SHOWN_MAX)}`, cause === undefined ? {} : { cause });
}

/** The code of the innermost cause that has one: drizzle wraps the driver's errors. */
export function codeOf(error: unknown): string | undefined {
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    const { code, errors } = at as Error & { code?: unknown; errors?: readonly unknown[] };
    if (typeof code === "string") return code;
    if (errors?.length) return codeOf(errors[0]);
  }
  return undefined;
}

const UNAVAILABLE = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "EPIPE",
  "ENOTFOUND",
  "EAI_AGAIN",
  "ETIMEDOUT",
  "EHOSTUNREACH",
  "ENOENT",
  "CONNECT_TIMEOUT",
  "CONNECTION_CLOSED",
  "CONNECTION_ENDED",
  "CONNECTION_DESTROYED",
  // admin_shutdown, crash_shutdown, cannot_connect_now, too_many_connections, idle_in_transaction_session_timeout
  "57P01",
  "57P02",
  "57P03",
  "53300",
  "25P03",
]);

/** Class 08 is Postgres' own "connection exception". */
function isUnavailable(code: string): boolean {
  return UNAVAILABLE.has(code) || /^08[0-9A-Z]{3}$/.test(code);
}
