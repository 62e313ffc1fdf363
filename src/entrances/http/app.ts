import { type Context, Hono } from "hono";
import type { OperatePorts } from "../../operations/operate-run.js";
import type { SwitchPorts } from "../../operations/kill-switches.js";
import type { DeskPorts } from "../../operations/perform-ports.js";
import { allows, checkToken, type Principal } from "../../operations/tokens.js";
import { unsubscribe } from "../../operations/unsubscribe.js";
import type { HealthPorts } from "../../ports/health.js";
import type { Suppressions } from "../../ports/suppressions.js";
import type { Tokens } from "../../ports/tokens.js";
import { StoreUnavailable } from "../../ports/transactions.js";
import { openApiDocument } from "./openapi.js";
import { Problem, problemResponse } from "./problem.js";
import { createRateLimit, type RateLimit } from "./rate-limit.js";
import { canBeKept, readJson, UNKEPT_MESSAGE } from "./read-json.js";
import { type Asked, BODY_MAX_BYTES, type Route } from "./route.js";
import { accountRoutes } from "./routes/accounts.js";
import { customerRoutes } from "./routes/customers.js";
import { eventRoutes } from "./routes/events.js";
import { holdRoutes } from "./routes/holds.js";
import { playbookRoutes } from "./routes/playbooks.js";
import { runRoutes } from "./routes/runs.js";
import { taskRoutes } from "./routes/tasks.js";
import { errorsOf } from "./schema.js";
import { type Shown, unsubscribePage } from "./unsubscribe.js";

/** What the HTTP entrance asks of the rest. */
export interface HttpPorts extends DeskPorts, OperatePorts, SwitchPorts {
  readonly tokens: Tokens;
  readonly suppressions: Suppressions;
  readonly healthPorts: HealthPorts;
}

export interface AppOptions {
  readonly ports: HttpPorts;
  /** How others reach the server: in the OpenAPI document. */
  readonly publicUrl: string;
  readonly company: () => Promise<Shown>;
  /** Whether Postgres and Temporal answer; within a second or two. */
  readonly readiness: () => Promise<{ readonly postgres: boolean; readonly temporal: boolean }>;
  /** Sustained requests a second for each token; a burst of five times as many is fine. */
  readonly requestsPerSecond: number;
  /** For tests: real milliseconds that the token's look-up, and then the work, may each take. Default 8 and 25 s. */
  readonly patience?: { readonly tokenMs: number; readonly workMs: number };
  /** For tests: requests under way at once. Default 1,000. */
  readonly underWayMax?: number;
  /** Told of what was answered with 500: ids, no bodies. */
  readonly onFault: (what: string, error: unknown) => void;
}

/** Seconds after which it is worth asking again while something is away. */
const RETRY_AFTER_S = 5;
/** Wrong tokens from one address, a second: guessing is hopeless anyway, this keeps it from costing anything. */
const STRANGERS_PER_SECOND = 5;

/** Above the store's own time-outs: what reaches it is a connection that is silent, or a queue behind such. */
const PATIENCE = { tokenMs: 8_000, workMs: 25_000 };
/** Behind a silent store requests would gather without end. */
const UNDER_WAY_MAX = 1_000;

/** Everything under `/v1`, in the order of the document. */
export function routesOf(ports: HttpPorts): readonly Route[] {
  return [
    ...eventRoutes(ports),
    ...customerRoutes(ports),
    ...runRoutes(ports),
    ...taskRoutes(ports),
    ...accountRoutes(ports),
    ...playbookRoutes(ports),
    ...holdRoutes(ports),
  ];
}

/**
 * The whole HTTP entrance but Slack's: `/v1`, `/openapi.json`, `/healthz`, `/readyz`, `/unsubscribe/TOKEN`. Every request under `/v1`
 * needs a token with the route's scope; every error is an RFC 9457 problem.
 */
export function createApp(options: AppOptions): Hono {
  const { ports } = options;
  const app = new Hono();
  const routes = routesOf(ports);
  const { requestsPerSecond: perSecond } = options;
  const limits: Limits = {
    tokens: createRateLimit({ perSecond, burst: perSecond * 5 }),
    strangers: createRateLimit({ perSecond: STRANGERS_PER_SECOND, burst: STRANGERS_PER_SECOND * 10 }),
    patience: options.patience ?? PATIENCE,
    underWay: 0,
    underWayMax: options.underWayMax ?? UNDER_WAY_MAX,
  };

  app.use("*", async (context, next) => {
    await next();
    context.res.headers.set("x-content-type-options", "nosniff");
  });
  for (const route of routes) app.on(route.method, route.path, (context) => answer(context, route, ports, limits));

  const document = openApiDocument(routes, options.publicUrl);
  app.get("/openapi.json", (context) => context.json(document));
  app.get("/healthz", (context) => context.json({ ok: true }));
  app.get("/readyz", async (context) => {
    const found = await options.readiness();
    const ok = found.postgres && found.temporal;
    if (!ok) context.header("retry-after", String(RETRY_AFTER_S));
    return context.json({ ok, ...found }, ok ? 200 : 503);
  });
  app.route("/", unsubscribePage({ unsubscribe: (request) => unsubscribe(ports, request), company: options.company }));

  app.notFound((context) => {
    const allowed = methodsOf(routes, new URL(context.req.url).pathname);
    if (allowed.length === 0) return problemResponse(new Problem("not-found", "nothing is answered at this path"));
    return problemResponse(
      new Problem("method-not-allowed", `this path takes ${allowed.join(", ")}`, {
        headers: { allow: allowed.join(", ") },
      }),
    );
  });
  app.onError((error, context) => {
    const problem = problemOf(error);
    if (problem.problem === "fault") options.onFault(`${context.req.method} ${context.req.routePath}`, error);
    return problemResponse(problem);
  });
  return app;
}

interface Limits {
  readonly tokens: RateLimit;
  readonly strangers: RateLimit;
  readonly patience: { readonly tokenMs: number; readonly workMs: number };
  /** Work that has not ended, its caller answered or not. */
  underWay: number;
  readonly underWayMax: number;
}

async function answer(context: Context, route: Route, ports: HttpPorts, limits: Limits): Promise<Response> {
  if (limits.underWay >= limits.underWayMax)
    throw unavailable("too many requests are under way; nothing was taken, ask again");
  const { tokenMs, workMs } = limits.patience;
  const principal = await inTime(limits, tokenMs, authenticate(context, ports, limits));
  const waitS = limits.tokens.take(principal.name);
  if (waitS > 0) throw tooMany(waitS);
  if (!allows(principal, route.scope))
    throw new Problem("forbidden", `the token "${principal.name}" has not the scope ${route.scope}`);
  const asked: Asked<unknown, unknown> = {
    params: paramsOf(context, route),
    query: queryOf(context, route),
    body: await bodyOf(context, route),
    principal,
    header: (name) => context.req.header(name),
  };
  const { status, body, headers } = await inTime(limits, workMs, route.run(asked as Asked<never, never>));
  const init = { status, headers: { "cache-control": "no-store", ...headers } };
  return body === undefined ? new Response(null, init) : Response.json(body, init);
}

/** The work's result, or a 503 when it has not come in time: the work goes on, and the same request again, with the same id, does nothing twice. */
async function inTime<T>(limits: Limits, ms: number, work: Promise<T>): Promise<T> {
  limits.underWay += 1;
  const ended = work.finally(() => {
    limits.underWay -= 1;
  });
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(unavailable("no answer in time; it may have been taken: ask again, with the same id")),
      ms,
    );
  });
  try {
    return await Promise.race([ended, late]);
  } finally {
    clearTimeout(timer);
    // Nobody hears it any more.
    ended.catch(() => {});
  }
}

function unavailable(detail: string): Problem {
  return new Problem("unavailable", detail, { headers: { "retry-after": String(RETRY_AFTER_S) } });
}

async function authenticate(context: Context, ports: HttpPorts, { strangers }: Limits): Promise<Principal> {
  const [scheme = "", token = "", ...rest] = (context.req.header("authorization") ?? "").trim().split(/\s+/);
  const headers = { "www-authenticate": 'Bearer realm="waypost"' };
  if (scheme.toLowerCase() !== "bearer" || token === "" || rest.length > 0)
    throw new Problem("unauthorized", "send a token as Authorization: Bearer wp_…", { headers });
  const access = await checkToken(ports, token);
  if (access.kind === "granted") return access.principal;
  const waitS = strangers.take(callerOf(context));
  if (waitS > 0) throw tooMany(waitS);
  const detail = {
    unknown: "the token is not known",
    expired: "the token has expired",
    revoked: "the token was revoked",
  }[access.reason];
  throw new Problem("unauthorized", detail, {
    headers: { "www-authenticate": 'Bearer realm="waypost", error="invalid_token"' },
  });
}

/** Where Node tells it; behind a proxy all strangers count as one, which is what a limit of strangers wants. */
function callerOf(context: Context): string {
  const { incoming } = (context.env ?? {}) as { incoming?: { socket?: { remoteAddress?: string } } };
  return incoming?.socket?.remoteAddress ?? "";
}

function tooMany(waitS: number): Problem {
  return new Problem("too-many-requests", `ask again in ${waitS} s`, { headers: { "retry-after": String(waitS) } });
}

function paramsOf(context: Context, route: Route): Record<string, string> {
  const params = Object.fromEntries(Object.keys(route.params).map((name) => [name, context.req.param(name) ?? ""]));
  for (const [name, value] of Object.entries(params)) {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is refused
    if (value === "" || value.length > 1000 || /[\u0000-\u001f]/.test(value))
      throw new Problem("bad-request", "the path can't be understood", {
        errors: [{ path: name, message: "must have 1 to 1,000 characters" }],
      });
  }
  return params;
}

function queryOf(context: Context, route: Route): unknown {
  const given: Record<string, string> = {};
  for (const [name, values] of Object.entries(context.req.queries())) {
    if (values.length > 1)
      throw invalid("the query can't be understood", [{ path: name, message: "may be given once" }]);
    if (!values.every(canBeKept))
      throw invalid("the query can't be understood", [{ path: name, message: UNKEPT_MESSAGE }]);
    given[name] = values[0] as string;
  }
  if (route.query === undefined) {
    const [unknown] = Object.keys(given);
    if (unknown !== undefined)
      throw invalid("the query can't be understood", [{ path: unknown, message: "nothing is asked for here" }]);
    return {};
  }
  const checked = route.query.safeParse(given);
  if (!checked.success) throw invalid("the query can't be understood", errorsOf(checked.error, "", "query"));
  return checked.data;
}

async function bodyOf(context: Context, route: Route): Promise<unknown> {
  if (route.body === undefined) return undefined;
  const json = await readJson(context.req.raw, route.maxBytes ?? BODY_MAX_BYTES);
  if (json === undefined && route.isBodyOptional === true) return undefined;
  if (json === undefined) throw new Problem("bad-request", "a body is needed: JSON");
  const checked = (route.formOf?.(json) ?? route.body).safeParse(json);
  if (!checked.success) throw invalid("the body does not fit", errorsOf(checked.error));
  return checked.data;
}

function invalid(detail: string, errors: Problem["errors"]): Problem {
  return new Problem("bad-request", detail, { errors });
}

function problemOf(error: unknown): Problem {
  if (error instanceof Problem) return error;
  if (error instanceof StoreUnavailable)
    return unavailable("the database can't be reached; ask again, with the same id");
  if (error instanceof Error && error.name === "TemporalUnavailable")
    return unavailable("Temporal, or every worker, can't be reached; ask again");
  return new Problem("fault", "this is our fault; it was noted");
}

function methodsOf(routes: readonly Route[], path: string): string[] {
  return routes.filter((route) => patternOf(route).test(path)).map((route) => route.method);
}

function patternOf({ path }: Route): RegExp {
  return new RegExp(`^${path.replace(/[.]/g, "\\.").replace(/:\w+/g, "[^/]+")}$`);
}
