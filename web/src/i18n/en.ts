import { applications } from "./en/applications";
import { dependencies } from "./en/dependencies";
import { frame } from "./en/frame";
import { incidents } from "./en/incidents";
import { measurements } from "./en/measurements";
import { overview } from "./en/overview";
import { reasons } from "./en/reasons";
import { resources } from "./en/resources";
import { runs } from "./en/runs";
import { schedules } from "./en/schedules";
import { work } from "./en/work";

export const en = {
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
