import * as z from "zod";
import { nearest } from "../../playbook/nearest.js";
import { formatInstant, parseInstant } from "../../values/instant.js";
import type { FieldError } from "./problem.js";

/** An object that knows all its fields: another one is refused with the nearest name. */
export function strict<Shape extends z.ZodRawShape>(shape: Shape) {
  const names = Object.keys(shape);
  return z.strictObject(shape, {
    error: (issue) => {
      if (issue.code === "invalid_type") return "must be an object";
      if (issue.code !== "unrecognized_keys") return undefined;
      return (issue.keys as string[])
        .map((key) => {
          const like = nearest(key, names);
          return like === undefined
            ? `"${key}" is not known; known are ${names.join(", ")}`
            : `"${key}" is not known; did you mean "${like}"?`;
        })
        .join("; ");
    },
  });
}

/** ISO 8601 with an offset; becomes epoch milliseconds. */
export const instant = z
  .string({ error: 'must be an instant such as "2026-03-02T09:00:00Z"' })
  .meta({ format: "date-time", description: "ISO 8601 with an offset, e.g. 2026-03-02T09:00:00Z" })
  .transform((text, context) => {
    const at = parseInstant(text);
    if (at !== undefined) return at;
    context.addIssue({ code: "custom", message: 'must be an instant such as "2026-03-02T09:00:00Z"' });
    return z.NEVER;
  });

/** An id of somebody else's making. */
export const id = z
  .string({ error: "must be a text of 1 to 200 characters" })
  .min(1, "must not be empty")
  .max(200, "must have 200 characters at most");

/** An instant of an answer. */
export const shownInstant = z.string().meta({ format: "date-time" });

/** What expressions know: text, number, yes or no, or a list of texts. */
export const factValue = z.union(
  [z.string().max(4000), z.number(), z.boolean(), z.array(z.string().max(4000)).max(1000)],
  { error: "must be a text (4,000 characters at most), a number, true, false or a list of texts" },
);

/** A number in a query. */
export const pageSize = z
  .string()
  .regex(/^[1-9]\d{0,2}$/, "must be a whole number from 1 to 500")
  .transform(Number)
  .refine((size) => size <= 500, "must be a whole number from 1 to 500")
  .meta({ description: "1 to 500" });

/** What a schema found, for people; paths as `rows[3].id`. `whole`: what is called so where there is no path. */
export function errorsOf(error: z.ZodError, within = "", whole = "body"): FieldError[] {
  return error.issues.map((issue) => ({ path: pathText(issue.path, within) || whole, message: issue.message }));
}

/** `2026-03-02T09:00:00Z`, or null. */
export function shown(at: number): string;
export function shown(at: number | null): string | null;
export function shown(at: number | null): string | null {
  return at === null ? null : formatInstant(at);
}

function pathText(path: readonly PropertyKey[], within: string): string {
  return path.reduce<string>(
    (text, part) =>
      typeof part === "number" ? `${text}[${part}]` : text === "" ? String(part) : `${text}.${String(part)}`,
    within,
  );
}
