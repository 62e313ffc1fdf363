import type { Rule } from "../context.js";
import { bounds } from "./bounds.js";
import { calendars } from "./calendars.js";
import { categories } from "./categories.js";
import { clockOnly } from "./clock-only.js";
import { endless } from "./endless.js";
import { events } from "./events.js";
import { exitSteps } from "./exit-steps.js";
import { expressions } from "./expressions.js";
import { inputs } from "./inputs.js";
import { lists } from "./lists.js";
import { milestones } from "./milestones.js";
import { never } from "./never.js";
import { outcomes } from "./outcomes.js";
import { people } from "./people.js";
import { playbooks } from "./playbooks.js";
import { segments } from "./segments.js";
import { setFields } from "./set-fields.js";
import { stepForms } from "./step-forms.js";
import { stepIds } from "./step-ids.js";
import { templates } from "./templates.js";
import { texts } from "./texts.js";
import { unreachable } from "./unreachable.js";
import { waitAmounts } from "./wait-amounts.js";
import { waitedSteps } from "./waited-steps.js";

/** Every semantic rule. `expressions` comes first: others look at what it has checked. */
export const RULES: readonly Rule[] = [
  expressions,
  stepForms,
  stepIds,
  playbooks,
  inputs,
  events,
  segments,
  calendars,
  people,
  categories,
  milestones,
  setFields,
  outcomes,
  waitedSteps,
  waitAmounts,
  bounds,
  lists,
  never,
  endless,
  unreachable,
  exitSteps,
  clockOnly,
  texts,
  templates,
];
