import * as z from "zod";
import { publishFiles } from "../../../operations/publish-files.js";
import type { HttpPorts } from "../app.js";
import { Problem } from "../problem.js";
import { actorOf, LARGE_BODY_MAX_BYTES, type Route, route } from "../route.js";
import { id, shown, shownInstant, strict } from "../schema.js";

const FILES_MAX = 5_000;

const files = z
  .record(
    z.string().regex(/^(?!\/)(?!.*(?:^|\/)\.\.(?:\/|$))[^\0\\]{1,300}$/, "must be a path inside playbooks/"),
    z.string({ error: "must be the file's text" }),
    { error: "must be an object: path → the file's text" },
  )
  .refine((all) => Object.keys(all).length <= FILES_MAX, `may have ${FILES_MAX} files at most`);

const version = z.object({
  playbook: z.string(),
  number: z.int(),
  hash: z.string(),
  isCurrent: z.boolean(),
  publishedAt: shownInstant,
  publishedBy: z.string(),
});

/** Publishing a workspace, and what is published. */
export function playbookRoutes(ports: HttpPorts): Route[] {
  const { store } = ports;
  return [
    route({
      method: "POST",
      path: "/v1/playbooks",
      id: "publish",
      summary: "Publish the files of a playbooks/ folder, whole or not at all",
      tag: "Playbooks",
      scope: "admin",
      params: {},
      body: strict({ files, by: id.optional() }),
      maxBytes: LARGE_BODY_MAX_BYTES,
      answers: {
        200: {
          about: "Published; live runs stay on their version",
          schema: z.object({
            playbooks: z.array(
              z.object({ playbook: z.string(), number: z.int(), what: z.enum(["new", "back", "same"]) }),
            ),
            retired: z.array(z.string()),
            configurations: z.array(z.string()),
            warnings: z.array(z.object({ path: z.string(), message: z.string() })),
          }),
        },
      },
      problems: [422],
      run: async ({ body, principal }) => {
        const published = await publishFiles(ports, body.files, actorOf(principal, body.by));
        const told = published.diagnostics.map(({ file, line, column, severity, code, message, hint }) => ({
          severity,
          path: `${file}:${line}:${column}`,
          message: `${message} [${code}]${hint === undefined ? "" : ` ${hint}`}`,
        }));
        const errors = told.flatMap(({ severity, path, message }) => (severity === "error" ? [{ path, message }] : []));
        const warnings = told.flatMap(({ severity, path, message }) =>
          severity === "warning" ? [{ path, message }] : [],
        );
        if (published.kind === "refused")
          throw new Problem("not-acceptable-content", `nothing was published: ${errors.length} error(s) in the files`, {
            errors,
          });
        return { status: 200, body: { ...published.report, warnings } };
      },
    }),
    route({
      method: "GET",
      path: "/v1/playbooks",
      id: "listPlaybooks",
      summary: "Every published version",
      tag: "Playbooks",
      scope: "runs:read",
      params: {},
      query: strict({ playbook: id.optional() }),
      answers: { 200: { about: "Versions", schema: z.object({ versions: z.array(version) }) } },
      run: async ({ query }) => {
        const versions = await store.read((tx) => store.playbooks.versions(tx, query.playbook));
        return {
          status: 200,
          body: { versions: versions.map((one) => ({ ...one, publishedAt: shown(one.publishedAt) })) },
        };
      },
    }),
  ];
}
