/** One thing wrong with a request: where (`events[3].payload.seats`, `limit`, `header Authorization`), and what to do. */
export interface FieldError {
  readonly path: string;
  readonly message: string;
}

/** What goes wrong, as RFC 9457 wants it told: `type` is `urn:waypost:problem:NAME`. */
export const PROBLEMS = {
  "bad-request": { status: 400, title: "The request can't be understood" },
  unauthorized: { status: 401, title: "A valid token is needed" },
  forbidden: { status: 403, title: "The token may not do this" },
  "not-found": { status: 404, title: "There is no such thing" },
  "method-not-allowed": { status: 405, title: "This can't be done here" },
  conflict: { status: 409, title: "It can't be done as things stand" },
  "too-large": { status: 413, title: "The body is too large" },
  "unsupported-media-type": { status: 415, title: "The body must be JSON" },
  "not-acceptable-content": { status: 422, title: "The content can't be taken" },
  "too-many-requests": { status: 429, title: "Too many requests" },
  fault: { status: 500, title: "Something is broken here" },
  unavailable: { status: 503, title: "Something this needs is away just now" },
} as const;

export type ProblemName = keyof typeof PROBLEMS;

/** Thrown by whoever handles a request; becomes the answer. Texts are for who asks: no stacks, no secrets. */
export class Problem extends Error {
  override readonly name = "Problem";
  readonly errors: readonly FieldError[];
  readonly headers: Readonly<Record<string, string>>;
  constructor(
    readonly problem: ProblemName,
    detail: string,
    more: { readonly errors?: readonly FieldError[]; readonly headers?: Readonly<Record<string, string>> } = {},
  ) {
    super(detail);
    this.errors = more.errors ?? [];
    this.headers = more.headers ?? {};
  }
}

/** Errors told in one answer; a thousand rows could have thousands. */
export const ERRORS_MAX = 100;

/** The answer: `application/problem+json`. */
export function problemResponse({ problem, message, errors, headers }: Problem): Response {
  const { status, title } = PROBLEMS[problem];
  const body = {
    type: `urn:waypost:problem:${problem}`,
    title,
    status,
    detail: message,
    errors: errors.slice(0, ERRORS_MAX),
  };
  return new Response(JSON.stringify(body), {
    status,
    headers: { "content-type": "application/problem+json", "cache-control": "no-store", ...headers },
  });
}
