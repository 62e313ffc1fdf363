import * as z from "zod";
import { SCOPES } from "../../ports/tokens.js";
import { PROBLEMS } from "./problem.js";
import type { Route } from "./route.js";

/** Problems that every route may answer with. */
const COMMON = [400, 401, 403, 429, 503];

/** The OpenAPI 3.1 document of these routes, made from the schemas that check the requests. */
export function openApiDocument(routes: readonly Route[], serverUrl: string): Record<string, unknown> {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const route of routes) {
    const path = route.path.replace(/:(\w+)/g, "{$1}");
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operation(route) };
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "Waypost",
      version: "1",
      description:
        "Events and customers in; runs, tasks and health out. Instants are ISO 8601. Errors are RFC 9457 problem details.",
    },
    servers: [{ url: serverUrl }],
    security: [{ token: [] }],
    paths,
    components: {
      securitySchemes: {
        token: {
          type: "http",
          scheme: "bearer",
          description: `A token of \`waypost token create\`. Scopes: ${SCOPES.join(", ")}`,
        },
      },
      schemas: { Problem: PROBLEM_SCHEMA },
      responses: Object.fromEntries(
        Object.entries(PROBLEMS).map(([name, { title }]) => [
          name,
          {
            description: title,
            content: { "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } } },
          },
        ]),
      ),
    },
  };
}

function operation(route: Route): Record<string, unknown> {
  const statuses = [
    ...COMMON,
    ...(route.body === undefined ? [] : [413, 415]),
    ...(Object.keys(route.params).length > 0 ? [404] : []),
    ...(route.problems ?? []),
  ];
  return {
    operationId: route.id,
    summary: route.summary,
    description: `Scope: \`${route.scope}\`.`,
    tags: [route.tag],
    security: [{ token: [route.scope] }],
    parameters: [
      ...Object.entries(route.params).map(([name, about]) => ({
        name,
        in: "path",
        required: true,
        description: about,
        schema: { type: "string" },
      })),
      ...(route.query === undefined ? [] : queryParameters(route.query)),
      ...Object.entries(route.headers ?? {}).map(([name, about]) => ({
        name,
        in: "header",
        required: false,
        description: about,
        schema: { type: "string" },
      })),
    ],
    ...(route.body === undefined
      ? {}
      : {
          requestBody: {
            required: route.isBodyOptional !== true,
            content: { "application/json": { schema: jsonSchema(route.documentedBody ?? route.body, "input") } },
          },
        }),
    responses: {
      ...Object.fromEntries(
        Object.entries(route.answers).map(([status, { about, schema }]) => [
          status,
          {
            description: about,
            ...(schema === undefined
              ? {}
              : { content: { "application/json": { schema: jsonSchema(schema, "output") } } }),
          },
        ]),
      ),
      ...Object.fromEntries(
        [...new Set(statuses)]
          .sort()
          .map((status) => [status, { $ref: `#/components/responses/${problemOf(status)}` }]),
      ),
    },
  };
}

function queryParameters(query: z.ZodObject): unknown[] {
  const schema = jsonSchema(query, "input") as {
    properties?: Record<string, Record<string, unknown>>;
    required?: string[];
  };
  return Object.entries(schema.properties ?? {}).map(([name, property]) => ({
    name,
    in: "query",
    required: schema.required?.includes(name) ?? false,
    ...(typeof property.description === "string" ? { description: property.description } : {}),
    schema: property,
  }));
}

function jsonSchema(schema: z.ZodType, io: "input" | "output"): Record<string, unknown> {
  const { $schema, ...rest } = z.toJSONSchema(schema, { io, target: "draft-2020-12", unrepresentable: "any" });
  return rest;
}

function problemOf(status: number): string {
  const found = Object.entries(PROBLEMS).find(([, problem]) => problem.status === status);
  if (found === undefined) throw new Error(`no problem has status ${status}`);
  return found[0];
}

const PROBLEM_SCHEMA = {
  type: "object",
  required: ["type", "title", "status", "detail", "errors"],
  properties: {
    type: { type: "string", description: "urn:waypost:problem:NAME" },
    title: { type: "string" },
    status: { type: "integer" },
    detail: { type: "string" },
    errors: {
      type: "array",
      items: {
        type: "object",
        required: ["path", "message"],
        properties: { path: { type: "string" }, message: { type: "string" } },
      },
    },
  },
};
