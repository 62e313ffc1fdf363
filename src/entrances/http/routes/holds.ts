import * as z from "zod";
import { listSwitches, switchProblem, turnSwitchOff, turnSwitchOn } from "../../../operations/kill-switches.js";
import type { HttpPorts } from "../app.js";
import { Problem } from "../problem.js";
import { actorOf, type Route, route } from "../route.js";
import { id, shown, shownInstant, strict } from "../schema.js";

const killSwitch = z.object({ name: z.string(), by: z.string(), reason: z.string().nullable(), at: shownInstant });

/** The switches that stop sending at once: `all_sends`, `all_email`, or `playbook:NAME`. */
export function holdRoutes(ports: HttpPorts): Route[] {
  const list = async () => ({ holds: (await listSwitches(ports)).map((one) => ({ ...one, at: shown(one.at) })) });
  const holds = z.object({ holds: z.array(killSwitch) });
  return [
    route({
      method: "GET",
      path: "/v1/holds",
      id: "listHolds",
      summary: "What is held now",
      tag: "Holds",
      scope: "runs:read",
      params: {},
      answers: { 200: { about: "The switches that are on", schema: holds } },
      run: async () => ({ status: 200, body: await list() }),
    }),
    route({
      method: "POST",
      path: "/v1/holds",
      id: "hold",
      summary: "Stop everything, all e-mail, or a playbook's, at once",
      tag: "Holds",
      scope: "admin",
      params: {},
      body: strict({
        name: id.meta({ description: "`all_sends`, `all_email` or `playbook:NAME`" }),
        reason: z.string().max(2000, "must have 2,000 characters at most").optional(),
        by: id.optional(),
      }),
      answers: { 200: { about: "It was held already", schema: holds }, 201: { about: "Held", schema: holds } },
      problems: [422],
      run: async ({ body, principal }) => {
        const problem = await switchProblem(ports, body.name);
        if (problem !== undefined)
          throw new Problem("not-acceptable-content", problem, { errors: [{ path: "name", message: problem }] });
        const isNew = await turnSwitchOn(ports, body.name, actorOf(principal, body.by), body.reason ?? null);
        return { status: isNew ? 201 : 200, body: await list() };
      },
    }),
    route({
      method: "DELETE",
      path: "/v1/holds/:name",
      id: "release",
      summary: "Let it go on",
      tag: "Holds",
      scope: "admin",
      params: { name: "`all_sends`, `all_email`, or `playbook:NAME` percent-encoded" },
      answers: { 200: { about: "Released", schema: holds } },
      run: async ({ params, principal }) => {
        const name = params.name as string;
        if (!(await turnSwitchOff(ports, name, actorOf(principal))))
          throw new Problem("not-found", `"${name}" is not held`);
        return { status: 200, body: await list() };
      },
    }),
  ];
}
