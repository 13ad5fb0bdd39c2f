import type { Schedule } from "../../api/queries";

/** Colours of what became of a due time, and of a schedule. */
export const VERDICT_COLOR: Record<NonNullable<Schedule["state"]>, string> = {
  ok: "teal",
  late: "yellow",
  missed: "red",
  overlapping: "orange",
  doubled: "grape",
  repeated: "pink",
  unknown: "gray",
  dead: "red",
};
