import type * as z from "zod";
import type { Principal } from "../../operations/tokens.js";
import type { Scope } from "../../ports/tokens.js";

/** Usual bodies: 1 MiB. */
export const BODY_MAX_BYTES = 1024 * 1024;
/** Imports and workspaces: 8 MiB. */
export const LARGE_BODY_MAX_BYTES = 8 * 1024 * 1024;

/** A way in: what it takes, what it gives, who may. Both the answering and the OpenAPI document are made from it. */
export interface Route {
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  /** With `:name` for parameters, as in `/v1/runs/:id`. */
  readonly path: string;
  readonly id: string;
  readonly summary: string;
  readonly tag: string;
  readonly scope: Scope;
  /** What each parameter of the path is. */
  readonly params: Readonly<Record<string, string>>;
  readonly query?: z.ZodObject;
  readonly body?: z.ZodType;
  /** Of a body with several forms: the one that is meant, so that errors are about it. */
  readonly formOf?: (body: unknown) => z.ZodType;
  /** What the document says of the body, where that is more than is checked at once. */
  readonly documentedBody?: z.ZodType;
  /** The body may be left out. */
  readonly isBodyOptional?: boolean;
  readonly maxBytes?: number;
  /** Headers it reads besides. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Answers that are no problems, by status. */
  readonly answers: Readonly<Record<number, { readonly about: string; readonly schema?: z.ZodType }>>;
  /** Statuses of problems that this route has besides those all have. */
  readonly problems?: readonly number[];
  readonly run: (asked: Asked<never, never>) => Promise<Answer>;
}

/** A request that has passed everything the route declares. */
export interface Asked<Query, Body> {
  readonly params: Readonly<Record<string, string>>;
  readonly query: Query;
  readonly body: Body;
  readonly principal: Principal;
  readonly header: (name: string) => string | undefined;
}

export interface Answer {
  readonly status: 200 | 201 | 202 | 204;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

type QueryOf<Q> = Q extends z.ZodType ? z.output<Q> : Record<string, never>;
type BodyOf<B> = B extends z.ZodType ? z.output<B> : undefined;

/** A route whose handler's types follow from its schemas. */
export function route<Q extends z.ZodObject | undefined = undefined, B extends z.ZodType | undefined = undefined>(
  declared: Omit<Route, "run" | "query" | "body"> & {
    readonly query?: Q;
    readonly body?: B;
    readonly run: (asked: Asked<QueryOf<Q>, BodyOf<B>>) => Promise<Answer>;
  },
): Route {
  return declared as unknown as Route;
}

/** Whom the audit names: the person a system speaks for, and always the token. */
export function actorOf(principal: Principal, by?: string): string {
  return by === undefined ? `token:${principal.name}` : `${by} (token:${principal.name})`;
}
