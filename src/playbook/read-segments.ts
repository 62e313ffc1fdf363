import * as z from "zod";
import type { Model, Segments } from "../customers/model.js";
import type { Expression } from "../expression/expression.js";
import { accountEnvironment } from "./environment.js";
import { type Read, readFile } from "./read-file.js";
import { expressionText, snakeName } from "./schema.js";

const schema = z.record(snakeName, z.strictObject({ if: expressionText, title: z.string().optional() }));

/** `segments.yaml`. Without a model only the form is checked, and there is no value. */
export function readSegments(source: string | undefined, model: Model | undefined): Read<Segments> {
  const { value, diagnostics } = readFile("segments.yaml", source, schema, (form, checks) => {
    const segments: Record<string, { if: Expression; title: string }> = {};
    const environment = model && accountEnvironment(model);
    for (const [name, segment] of Object.entries(form)) {
      const expression = environment && checks.expression([name, "if"], segment.if, environment);
      if (expression) segments[name] = { if: expression, title: segment.title ?? name };
    }
    return segments;
  });
  return { ...(value && model ? { value } : {}), diagnostics };
}
