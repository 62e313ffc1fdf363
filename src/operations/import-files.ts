import { BUILT_IN_FIELDS, type FieldType, type Model } from "../customers/model.js";
import { nearest } from "../playbook/nearest.js";
import {
  type AbsenceRow,
  type CustomerBatch,
  type CustomerKind,
  type EntityRow,
  type FieldValue,
  noRows,
  type RefusedRow,
  type UpsertReport,
  type UserRow,
} from "../ports/customers.js";
import { isCalendarDate } from "../values/calendar-date.js";
import { type Instant, parseInstant } from "../values/instant.js";

/** Where something stands in a file: line and column from 1. */
export interface Place {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** Why a row, a cell or a file wasn't taken, in a sentence for who exported it. */
export interface ImportProblem extends Place {
  readonly message: string;
  /** A further row for the same reason (a heading that is unknown): counted, but said only once. */
  readonly isRepeated?: boolean;
}

/** One row as it was read: headings and what stands under them. CSV has texts only, JSON lines also numbers and booleans. */
export interface ImportRecord {
  readonly file: string;
  readonly line: number;
  readonly kind: CustomerKind;
  /** By heading; `null` or an empty text clears, a heading that is not there leaves. */
  readonly cells: Readonly<Record<string, unknown>>;
  /** The column at which the value under a heading begins; asked only for problems. */
  column(heading: string): number;
  /** Where the headings stand, if all rows share them. */
  headingPlace?(heading: string): Place;
}

/** Where a row stands, and where in it the value under a heading begins. */
export interface RowPlace extends Place {
  columnOf(heading: string): number;
}

/** Rows that go into one transaction, and where each of them came from. */
export interface ImportBatch {
  readonly batch: CustomerBatch;
  readonly places: Readonly<Partial<Record<CustomerKind, readonly RowPlace[]>>>;
  readonly rows: number;
}

export interface ImportReport {
  /** Rows read, well-formed or not. */
  readonly rows: number;
  /** New, or changed something. */
  readonly changed: Readonly<Record<CustomerKind, number>>;
  /** Rows that were not taken. */
  readonly bad: number;
  /** The first of them, in the order of the files; `bad` counts all. */
  readonly problems: readonly ImportProblem[];
  /** What stands in rows that were taken and leads nowhere (a CSM nobody knows): `warned` counts all. */
  readonly warnings: readonly ImportProblem[];
  readonly warned: number;
  /** Events that had been waiting for what was imported. */
  readonly matchedEvents: number;
}

/** Rows per transaction. */
export const IMPORT_BATCH_ROWS = 1000;

/** Problems that a report lists; further ones are only counted. */
export const IMPORT_PROBLEMS_MAX = 1000;

export interface ImportOptions {
  /** As last published; before that only built-in fields are known. */
  readonly model: Model | undefined;
  /** Takes one batch in: `upsertCustomers`, or `POST /v1/customers`. */
  readonly upsert: (batch: CustomerBatch) => Promise<UpsertReport & { readonly matchedEvents?: number }>;
  /** After each batch: rows so far and problems so far. */
  readonly onProgress?: (rows: number, bad: number) => void;
}

/**
 * Imports rows in batches: good ones in, bad ones reported by their place. A missing row deletes nothing, a missing heading
 * leaves what is known, an empty cell clears. A fault of `upsert` ends it; what was taken before stays, and importing again
 * changes nothing twice.
 */
export async function importRecords(
  records: AsyncIterable<ImportRecord | ImportProblem>,
  options: ImportOptions,
): Promise<ImportReport> {
  const changed = noRows();
  const problems: ImportProblem[] = [];
  const warnings: ImportProblem[] = [];
  let warned = 0;
  let rows = 0;
  let bad = 0;
  let matchedEvents = 0;
  /** Files in the order in which they were read: what a whole batch tells comes later than what its rows did. */
  const files: string[] = [];
  const report = (problem: ImportProblem): void => {
    bad += 1;
    if (problem.isRepeated !== true && problems.length < IMPORT_PROBLEMS_MAX) problems.push(problem);
  };
  for await (const item of importBatches(noting(records, files), options.model)) {
    if ("message" in item) {
      rows += 1;
      report(item);
      continue;
    }
    const result = await options.upsert(item.batch);
    rows += item.rows;
    matchedEvents += result.matchedEvents ?? 0;
    for (const [kind, count] of Object.entries(result.changed) as [CustomerKind, number][]) changed[kind] += count;
    const placed = ({ kind, index, reason, field }: RefusedRow): ImportProblem[] => {
      const place = item.places[kind]?.[index];
      if (place === undefined) return [];
      const { file, line, column, columnOf } = place;
      return [{ file, line, column: field === undefined ? column : columnOf(field), message: reason }];
    };
    for (const problem of result.refused.flatMap(placed)) report(problem);
    for (const warning of (result.warnings ?? []).flatMap(placed)) {
      warned += 1;
      if (warnings.length < IMPORT_PROBLEMS_MAX) warnings.push(warning);
    }
    options.onProgress?.(rows, bad);
  }
  const inOrder = (a: ImportProblem, b: ImportProblem): number =>
    files.indexOf(a.file) - files.indexOf(b.file) || a.line - b.line || a.column - b.column;
  problems.sort(inOrder);
  warnings.sort(inOrder);
  return { rows, changed, bad, problems, warnings, warned, matchedEvents };
}

async function* noting<Item extends { readonly file: string }>(
  items: AsyncIterable<Item>,
  files: string[],
): AsyncGenerator<Item> {
  for await (const item of items) {
    if (files.at(-1) !== item.file) files.push(item.file);
    yield item;
  }
}

/** Typed rows in batches of at most `IMPORT_BATCH_ROWS`, and what is wrong with the others, as they come. */
export async function* importBatches(
  records: AsyncIterable<ImportRecord | ImportProblem>,
  model: Model | undefined,
): AsyncGenerator<ImportBatch | ImportProblem> {
  const seen = new Map<string, Place>();
  const headings = new Set<string>();
  let batch: { -readonly [Kind in CustomerKind]?: unknown[] } = {};
  let places: Partial<Record<CustomerKind, RowPlace[]>> = {};
  let rows = 0;
  for await (const record of records) {
    if ("message" in record) {
      yield record;
      continue;
    }
    const row = rowOf(record, model);
    if ("message" in row) {
      const where = `${row.file}:${row.line}:${row.column}`;
      yield headings.has(where) ? { ...row, isRepeated: true } : row;
      if (row.line !== record.line) headings.add(where);
      continue;
    }
    const identity = `${record.kind}\n${record.file}\n${String(row.value["id"])}\n${String(row.value["at"] ?? "")}`;
    const place = { file: record.file, line: record.line, column: record.column("id") };
    const before = seen.get(identity);
    if (before !== undefined && !MAY_REPEAT.has(record.kind)) {
      yield {
        ...place,
        message: `id "${String(row.value["id"])}" stands in line ${before.line} already; this row is left out`,
      };
      continue;
    }
    if (!MAY_REPEAT.has(record.kind)) seen.set(identity, place);
    (batch[record.kind] ??= []).push(row.value);
    (places[record.kind] ??= []).push({ ...place, columnOf: (heading) => record.column(heading) });
    rows += 1;
    if (rows < IMPORT_BATCH_ROWS) continue;
    yield { batch: batch as CustomerBatch, places, rows };
    [batch, places, rows] = [{}, {}, 0];
  }
  if (rows > 0) yield { batch: batch as CustomerBatch, places, rows };
}

/** Files of samples may be long: the store sees by their ids which it knows. */
const MAY_REPEAT: ReadonlySet<CustomerKind> = new Set(["samples"]);

/** Headings of what is no entity with fields of its own. */
const HEADINGS = {
  users: [
    "id",
    "name",
    "email",
    "title",
    "slack_user_id",
    "timezone",
    "locale",
    "calendar",
    "manager",
    "booking_url",
    "pools",
    "is_active",
  ],
  absences: ["id", "user", "from", "to", "cover"],
  samples: ["id", "account", "contact", "actor", "sample", "value", "at"],
  tickets: ["id", "account", "opened_at", "closed_at", "priority", "satisfaction"],
  surveyAnswers: ["id", "account", "contact", "survey", "score", "comment", "at"],
  goals: ["id", "account", "title", "status", "at"],
} as const;

const ENTITY = { accounts: "account", contacts: "contact", contracts: "contract" } as const;

type Row = { readonly value: Record<string, unknown> } | ImportProblem;

/** The typed row, or the first thing that is wrong with it. */
function rowOf(record: ImportRecord, model: Model | undefined): Row {
  try {
    const cells = new Cells(record);
    if (!cells.isGiven("id")) throw cells.problem("id", "the row has no id");
    const { kind } = record;
    if (kind === "accounts" || kind === "contacts" || kind === "contracts")
      return { value: entityRow(kind, cells, model) };
    for (const heading of cells.headings) {
      if ((HEADINGS[kind] as readonly string[]).includes(heading)) continue;
      throw cells.unknown(heading, HEADINGS[kind]);
    }
    return { value: PLAIN_ROWS[kind](cells) as unknown as Record<string, unknown> };
  } catch (error) {
    if (error instanceof Bad) return error.problem;
    throw error;
  }
}

function entityRow(kind: keyof typeof ENTITY, cells: Cells, model: Model | undefined): Record<string, unknown> {
  const entity = ENTITY[kind];
  const declared = model?.[entity] ?? {};
  const builtIn = BUILT_IN_FIELDS[entity];
  const staff = model?.roles.staff ?? [];
  const fields: Record<string, FieldValue> = {};
  const roles: Record<string, string | null> = {};
  const others: readonly string[] = kind === "accounts" ? ["at"] : ["account", "at"];
  for (const heading of cells.headings) {
    if (heading === "id" || others.includes(heading)) continue;
    if (kind === "accounts" && heading.startsWith("role:")) {
      const role = heading.slice("role:".length);
      if (model !== undefined && !staff.includes(role))
        throw cells.unknown(
          heading,
          staff.map((name) => `role:${name}`),
        );
      roles[role] = cells.textOrNull(heading);
      continue;
    }
    const type = Object.hasOwn(declared, heading)
      ? declared[heading]?.type
      : Object.hasOwn(builtIn, heading)
        ? builtIn[heading]
        : undefined;
    if (type === undefined)
      throw cells.unknown(heading, [...new Set([...Object.keys(builtIn), ...Object.keys(declared), ...others])]);
    fields[heading] = cells.typed(heading, type);
  }
  const row: EntityRow = {
    id: cells.text("id"),
    ...(kind !== "accounts" && cells.isGiven("account") && { accountId: cells.text("account") }),
    fields,
    ...(Object.keys(roles).length > 0 && { roles }),
    ...(cells.isGiven("at") && { at: cells.instant("at") }),
  };
  return row as unknown as Record<string, unknown>;
}

const PLAIN_ROWS = {
  users(cells: Cells): UserRow {
    const pools = cells.has("pools") ? (cells.textOrNull("pools") ?? "") : undefined;
    return {
      id: cells.text("id"),
      ...(cells.isGiven("name") && { name: cells.text("name") }),
      ...(cells.isGiven("email") && { email: cells.text("email") }),
      ...(cells.has("title") && { title: cells.textOrNull("title") }),
      ...(cells.has("slack_user_id") && { slackUserId: cells.textOrNull("slack_user_id") }),
      ...(cells.has("timezone") && { timezone: cells.textOrNull("timezone") }),
      ...(cells.has("locale") && { locale: cells.textOrNull("locale") }),
      ...(cells.has("calendar") && { calendar: cells.textOrNull("calendar") }),
      ...(cells.has("manager") && { managerId: cells.textOrNull("manager") }),
      ...(cells.has("booking_url") && { bookingUrl: cells.textOrNull("booking_url") }),
      ...(pools !== undefined && { pools: pools.split(/[|,;\s]+/).filter((pool) => pool !== "") }),
      ...(cells.isGiven("is_active") && { isActive: cells.typed("is_active", "boolean") as boolean }),
    };
  },
  absences(cells: Cells): AbsenceRow {
    const fromAt = cells.instant("from");
    const toAt = cells.instant("to");
    if (toAt <= fromAt) throw cells.problem("to", "the absence ends before it begins");
    return {
      id: cells.text("id"),
      userId: cells.text("user"),
      fromAt,
      toAt,
      ...(cells.has("cover") && { coverId: cells.textOrNull("cover") }),
    };
  },
  samples(cells: Cells) {
    const user = cells.isGiven("contact")
      ? cells.text("contact")
      : cells.isGiven("actor")
        ? cells.text("actor")
        : undefined;
    return {
      id: cells.text("id"),
      accountId: cells.text("account"),
      name: cells.text("sample"),
      at: cells.instant("at"),
      value: cells.number("value"),
      ...(user !== undefined && { user }),
    };
  },
  tickets(cells: Cells) {
    return {
      id: cells.text("id"),
      accountId: cells.text("account"),
      ...(cells.isGiven("opened_at") && { openedAt: cells.instant("opened_at") }),
      ...(cells.has("closed_at") && { closedAt: cells.isGiven("closed_at") ? cells.instant("closed_at") : null }),
      ...(cells.has("priority") && { priority: cells.textOrNull("priority") }),
      ...(cells.has("satisfaction") && {
        satisfaction: cells.isGiven("satisfaction") ? cells.number("satisfaction") : null,
      }),
    };
  },
  surveyAnswers(cells: Cells) {
    return {
      id: cells.text("id"),
      accountId: cells.text("account"),
      ...(cells.isGiven("contact") && { contactId: cells.text("contact") }),
      survey: cells.oneOf("survey", ["nps", "csat", "ces", "csm_view"]),
      score: cells.number("score"),
      ...(cells.isGiven("comment") && { comment: cells.text("comment") }),
      at: cells.instant("at"),
    };
  },
  goals(cells: Cells) {
    return {
      id: cells.text("id"),
      accountId: cells.text("account"),
      title: cells.text("title"),
      status: cells.text("status"),
      at: cells.instant("at"),
    };
  },
} as const;

class Bad extends Error {
  constructor(readonly problem: ImportProblem) {
    super(problem.message);
  }
}

/** The cells of one row, read as what they should be. */
class Cells {
  readonly headings: readonly string[];

  constructor(readonly record: ImportRecord) {
    this.headings = Object.keys(record.cells);
  }

  has(heading: string): boolean {
    return Object.hasOwn(this.record.cells, heading);
  }

  /** Whether something stands there. */
  isGiven(heading: string): boolean {
    const value = this.has(heading) ? this.record.cells[heading] : undefined;
    return value !== undefined && value !== null && (typeof value !== "string" || value.trim() !== "");
  }

  problem(heading: string, message: string): Bad {
    const { file, line } = this.record;
    return new Bad({ file, line, column: this.record.column(heading), message });
  }

  unknown(heading: string, known: readonly string[]): Bad {
    const like = nearest(heading, known);
    const hint = like === undefined ? `; known are ${known.join(", ")}` : `; did you mean "${like}"?`;
    const message = `"${heading}" is no heading of ${this.record.kind}${hint}`;
    const place = this.record.headingPlace?.(heading);
    return place === undefined
      ? this.problem(heading, message)
      : new Bad({ ...place, message: `${message}. No row of this file is taken until it is right` });
  }

  text(heading: string): string {
    if (!this.isGiven(heading)) throw this.problem(heading, `"${heading}" is missing`);
    const value = this.record.cells[heading];
    if (typeof value === "string") return value.trim();
    if (typeof value === "number" || typeof value === "boolean") return String(value);
    throw this.problem(heading, `"${heading}" must be a text`);
  }

  textOrNull(heading: string): string | null {
    return this.isGiven(heading) ? this.text(heading) : null;
  }

  oneOf(heading: string, values: readonly string[]): string {
    const value = this.text(heading);
    if (values.includes(value)) return value;
    throw this.problem(heading, `"${value}" is no ${heading}; it must be one of ${values.join(", ")}`);
  }

  number(heading: string): number {
    const text = this.text(heading);
    if (typeof this.record.cells[heading] !== "boolean" && NUMBER.test(text)) return Number(text);
    const comma = /^-?\d+,\d+$/.test(text) ? ` (write ${text.replace(",", ".")})` : "";
    throw this.problem(heading, `"${shown(text)}" is no number${comma}`);
  }

  instant(heading: string): Instant {
    const text = this.text(heading);
    const instant = parseInstant(text);
    if (instant !== undefined) return instant;
    throw this.problem(
      heading,
      `"${shown(text)}" is no instant, such as "2026-03-02T09:00:00Z" or "2026-03-02T10:00:00+01:00"`,
    );
  }

  typed(heading: string, type: FieldType): FieldValue {
    if (!this.isGiven(heading)) return null;
    const text = this.text(heading);
    switch (type) {
      case "string":
        return text;
      case "number":
        return this.number(heading);
      case "boolean": {
        const word = text.toLowerCase();
        if (["true", "yes", "1"].includes(word)) return true;
        if (["false", "no", "0"].includes(word)) return false;
        throw this.problem(heading, `"${shown(text)}" is neither true nor false`);
      }
      case "date":
        if (isCalendarDate(text) || parseInstant(text) !== undefined) return text;
        throw this.problem(heading, `"${shown(text)}" is no date, such as "2026-03-02"`);
      case "datetime":
        this.instant(heading);
        return text;
    }
  }
}

const NUMBER = /^[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?$/i;

/** A cell's text in a message, not endless. */
function shown(text: string): string {
  return text.length > 60 ? `${text.slice(0, 59)}…` : text;
}
