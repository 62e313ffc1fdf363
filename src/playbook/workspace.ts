import type { HealthModel } from "../customers/health-model.js";
import type { Model, Segments } from "../customers/model.js";
import type { Plan } from "../engine/plan.js";
import type { Policy } from "../engine/policy.js";
import type { Calendar } from "../values/calendar.js";
import { compile } from "./compile.js";
import { contextFor, type World } from "./context.js";
import { compareDiagnostics, type Diagnostic } from "./diagnostic.js";
import { nearest } from "./nearest.js";
import { readCalendars } from "./read-calendars.js";
import type { Read } from "./read-file.js";
import { readHealth } from "./read-health.js";
import { readModel } from "./read-model.js";
import { type Draft, readPlaybook } from "./read-playbook.js";
import { readPolicy } from "./read-policy.js";
import { readSegments } from "./read-segments.js";
import { RULES } from "./rules/rules.js";
import { readTemplate, type TemplateFile } from "./templates.js";

/** Path relative to `playbooks/`, with `/` → the file's text. Tests (`*.test.yaml`) and other files are left alone. */
export interface WorkspaceFiles {
  readonly [path: string]: string;
}

/** What a workspace compiles to. A part is undefined, and a plan missing, if it has errors: nothing wrong gets through. */
export interface CompiledWorkspace {
  /** Of all files, by file and place. */
  readonly diagnostics: readonly Diagnostic[];
  /** By name. */
  readonly plans: readonly Plan[];
  /** Those that the plans use, each source once. */
  readonly templates: readonly {
    readonly hash: string;
    readonly name: string;
    readonly locale: string;
    readonly source: string;
  }[];
  readonly model: Model | undefined;
  readonly health: HealthModel | undefined;
  readonly segments: Segments | undefined;
  /** In the order of the file. */
  readonly calendars: readonly Calendar[] | undefined;
  readonly policy: Policy | undefined;
}

/** More playbooks than this nobody can keep in mind; each has a few runs of memory in every worker. */
const MAX_PLAYBOOKS = 200;

/** Compiles everything in `playbooks/`: all problems of all files in one pass. Pure, never throws; at most a few ms per file. */
export function compileWorkspace(files: WorkspaceFiles): CompiledWorkspace {
  const diagnostics: Diagnostic[] = [];
  const taken = <T>(read: Read<T>): T | undefined => {
    diagnostics.push(...read.diagnostics);
    return read.value;
  };
  const source = (path: string) => (Object.hasOwn(files, path) ? files[path] : undefined);
  const model = taken(readModel(source("model.yaml")));
  const segments = taken(readSegments(source("segments.yaml"), model));
  const health = taken(readHealth(source("health.yaml"), model));
  const calendars = taken(readCalendars(source("calendars.yaml")));
  const policy = taken(readPolicy(source("policy.yaml"), model, calendars));

  const paths = Object.keys(files).sort();
  const folders = paths.flatMap((path) => /^([^/]+)\/playbook\.yaml$/.exec(path)?.[1] ?? []);
  diagnostics.push(...strayFiles(paths, folders));
  const drafts = new Map<string, Draft>();
  for (const folder of folders.slice(0, MAX_PLAYBOOKS)) {
    const path = `${folder}/playbook.yaml`;
    const { draft, diagnostics: found } = readPlaybook(path, files[path] as string);
    diagnostics.push(...found);
    if (draft) drafts.set(folder, draft);
  }

  const shared = {
    model,
    policy,
    segments: segments && Object.keys(segments),
    calendars,
    playbooks: drafts,
    names: new Set(folders),
  };
  const compiled: { plan: Plan; templates: readonly TemplateFile[] }[] = [];
  for (const [folder, draft] of drafts) {
    const templates = templatesOf(folder, paths, files);
    const world: World = { ...shared, templates };
    const found: Diagnostic[] = [];
    const context = contextFor(world, folder, draft, found);
    for (const rule of RULES) rule(context);
    const isFaulty = [...diagnostics, ...found].some(
      ({ file, severity }) => severity === "error" && file.startsWith(`${folder}/`),
    );
    // What a faulty playbook doesn't do (send a template, say), its author may have meant to.
    diagnostics.push(...(isFaulty ? found.filter(({ severity }) => severity === "error") : found));
    if (isFaulty || !model || !policy || !segments || !calendars) continue;
    const { expressions } = context;
    compiled.push({ plan: compile({ draft, model, policy, segments, templates, expressions }), templates });
  }
  diagnostics.push(...namesOfPlaybooks(files, model, new Set(folders)));
  return {
    diagnostics: diagnostics.sort(compareDiagnostics),
    plans: compiled.map(({ plan }) => plan),
    templates: usedTemplates(compiled),
    model,
    health,
    segments,
    calendars,
    policy,
  };
}

/** Whether nothing keeps the workspace from being published. */
export function isPublishable({ diagnostics }: CompiledWorkspace): boolean {
  return diagnostics.every(({ severity }) => severity !== "error");
}

function templatesOf(folder: string, paths: readonly string[], files: WorkspaceFiles): TemplateFile[] {
  const prefix = `${folder}/templates/`;
  const own = paths.filter(
    (path) => path.startsWith(prefix) && path.endsWith(".md") && !path.slice(prefix.length).includes("/"),
  );
  return own.map((path) => readTemplate(path, files[path] as string));
}

function usedTemplates(
  compiled: readonly { plan: Plan; templates: readonly TemplateFile[] }[],
): CompiledWorkspace["templates"] {
  const byHash = new Map<string, CompiledWorkspace["templates"][number]>();
  for (const { plan, templates } of compiled) {
    for (const { hash, name, locale, source } of templates) {
      if (plan.templates[name]?.[locale] === hash) byHash.set(hash, { hash, name, locale, source });
    }
  }
  return [...byHash.values()];
}

/** YAML files that nothing would ever read: most often a playbook one folder too high. */
function strayFiles(paths: readonly string[], folders: readonly string[]): Diagnostic[] {
  const known = new Set(["model.yaml", "segments.yaml", "health.yaml", "calendars.yaml", "policy.yaml"]);
  const stray = paths.filter(
    (path) =>
      /\.ya?ml$/.test(path) && !path.endsWith(".test.yaml") && !known.has(path) && !path.endsWith("/playbook.yaml"),
  );
  const excess = folders.slice(MAX_PLAYBOOKS).map((folder) => `${folder}/playbook.yaml`);
  return [
    ...stray.map((file) =>
      whole(
        file,
        "warning",
        "WP606",
        "Nothing reads this file.",
        "A playbook is NAME/playbook.yaml, its tests NAME/….test.yaml.",
      ),
    ),
    ...excess.map((file) =>
      whole(
        file,
        "error",
        "WP108",
        `There are more than ${MAX_PLAYBOOKS} playbooks.`,
        "Remove those that are no longer used.",
      ),
    ),
  ];
}

/** `metrics.….frozen_while` names a playbook; only here all are known. */
function namesOfPlaybooks(files: WorkspaceFiles, model: Model | undefined, names: ReadonlySet<string>): Diagnostic[] {
  return Object.entries(model?.metrics ?? {}).flatMap(([metric, { frozenWhile }]) => {
    if (frozenWhile === undefined || names.has(frozenWhile)) return [];
    const lines = (files["model.yaml"] as string).split("\n");
    const line = lines.findIndex((text) => text.includes("frozen_while") && text.includes(frozenWhile)) + 1;
    const column = (lines[line - 1]?.indexOf(frozenWhile) ?? 0) + 1;
    const near = nearest(frozenWhile, names);
    const message = `${metric}: there is no playbook "${frozenWhile}".`;
    const hint = near ? `Did you mean "${near}"?` : "Remove frozen_while, or add the playbook.";
    return [
      {
        ...whole("model.yaml", "warning", "WP206", message, hint),
        line: Math.max(1, line),
        column: Math.max(1, column),
        endColumn: column + frozenWhile.length,
      },
    ];
  });
}

function whole(
  file: string,
  severity: Diagnostic["severity"],
  code: string,
  message: string,
  hint: string,
): Diagnostic {
  return { code, severity, file, line: 1, column: 1, message, hint };
}
