import { setTimeout as sleep } from "node:timers/promises";

/** A run as the API shows it. */
export interface ApiRun {
  readonly id: string;
  readonly playbook: string;
  readonly account: string;
  readonly contact: string | null;
  readonly status: string;
  readonly outcome: string | null;
  readonly startedAt: string;
  readonly endedAt: string | null;
  readonly position: readonly string[];
  readonly parked: { readonly step: string; readonly reason: string } | null;
}

/** One line of a timeline as the API shows it. */
export interface ApiEntry {
  readonly seq: number;
  readonly at: string;
  readonly kind: string;
  readonly step: string | null;
  readonly key: string | null;
  readonly detail: Readonly<Record<string, unknown>>;
}

export interface ApiTask {
  readonly id: string;
  readonly run: string;
  readonly step: string;
  readonly account: string;
  readonly assignee: string | null;
  readonly queue: string | null;
  readonly coveredFor: string | null;
  readonly status: string;
  readonly openedAt: string;
  readonly dueAt: string;
  readonly closedAt: string | null;
  readonly snoozes: number;
  readonly escalated: number;
  readonly ask: "outcome" | "note" | null;
  readonly outcomes: readonly string[];
}

/** The HTTP API as the demo's own people and systems use it. */
export interface DemoApi {
  /** The answer's JSON. Waits while the server is away or says 429 or 503; any other refusal throws. */
  call<T>(method: string, path: string, body?: unknown): Promise<T>;
  runs(): Promise<ApiRun[]>;
  tasks(): Promise<ApiTask[]>;
}

/** How long a call goes on trying, real milliseconds: a server that is started again takes a few seconds. */
const TRY_MS = 60_000;

export function createDemoApi(baseUrl: string, token: string, signal: AbortSignal): DemoApi {
  async function call<T>(method: string, path: string, body?: unknown): Promise<T> {
    const response = await answered(
      `${baseUrl}${path}`,
      {
        method,
        headers: {
          authorization: `Bearer ${token}`,
          ...(body === undefined ? {} : { "content-type": "application/json" }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      },
      signal,
    );
    return JSON.parse(response) as T;
  }

  async function all<T>(path: string, name: string): Promise<T[]> {
    const items: T[] = [];
    let next: string | null = null;
    do {
      const page: Record<string, unknown> = await call(
        "GET",
        `${path}?limit=200${next === null ? "" : `&after=${encodeURIComponent(next)}`}`,
      );
      items.push(...(page[name] as T[]));
      next = page["next"] as string | null;
    } while (next !== null);
    return items;
  }

  return { call, runs: () => all<ApiRun>("/v1/runs", "runs"), tasks: () => all<ApiTask>("/v1/tasks", "tasks") };
}

/** The body of an answer of 200 to 299. Asks again while nobody answers, or with 429 or 5xx; any other refusal throws. */
export async function answered(url: string, request: RequestInit, signal: AbortSignal): Promise<string> {
  const until = performance.now() + TRY_MS;
  for (let failures = 0; ; failures++) {
    signal.throwIfAborted();
    let problem: string;
    let canRetry = true;
    try {
      const response = await fetch(url, {
        ...request,
        signal: AbortSignal.any([signal, AbortSignal.timeout(30_000)]),
      });
      const text = await response.text();
      if (response.ok) return text;
      canRetry = response.status === 429 || response.status >= 500;
      problem = `${response.status} ${text.slice(0, 400)}`;
    } catch (error) {
      signal.throwIfAborted();
      problem = error instanceof Error ? error.message : String(error);
    }
    if (!canRetry || performance.now() > until)
      throw new Error(`${request.method ?? "GET"} ${new URL(url).pathname}: ${problem}`);
    await sleep(Math.min(1_000, 50 * 2 ** failures));
  }
}
