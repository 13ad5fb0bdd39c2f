import type { en } from "./en";
import { applications } from "./zh/applications";
import { dependencies } from "./zh/dependencies";
import { frame } from "./zh/frame";
import { incidents } from "./zh/incidents";
import { measurements } from "./zh/measurements";
import { overview } from "./zh/overview";
import { reasons } from "./zh/reasons";
import { resources } from "./zh/resources";
import { runs } from "./zh/runs";
import { schedules } from "./zh/schedules";
import { work } from "./zh/work";

export const zh: typeof en = {
  ...frame,
  ...overview,
  ...applications,
  ...dependencies,
  ...resources,
  ...measurements,
  ...runs,
  ...reasons,
  ...schedules,
  ...work,
  ...incidents,
};
