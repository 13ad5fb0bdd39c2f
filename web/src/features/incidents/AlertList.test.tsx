import { MantineProvider } from "@mantine/core";
import { render, screen } from "@testing-library/react";
import { expect, it } from "vitest";
import type { IncidentDetail } from "../../api/queries";
import "../../i18n";
import { AlertList } from "./AlertList";

const alert = { state: "firing", reason: "backlog is 120 (> 100)", reason_zh: "" } as IncidentDetail["alerts"][number];

it("names the labels that tell the alerts of a rule apart", () => {
  const alerts = ["emails", "letters"].map((backlog, id) => ({ ...alert, id, labels: { service: "mail", backlog, region: "" } }));
  render(
    <MantineProvider>
      <AlertList alerts={alerts} />
    </MantineProvider>,
  );
  expect(screen.queryByText("2 times")).toBeNull();
  expect(screen.getAllByTestId("labels").map((labels) => [...labels.children].map((label) => label.textContent))).toEqual([
    ["service=mail", "backlog=emails"],
    ["service=mail", "backlog=letters"],
  ]);
});

it("shows an alert that flaps once, as it is now, with how often it fired", () => {
  const alerts = ["resolved", "firing"].map((state, id) => ({ ...alert, id, state: state as "resolved" | "firing", reason: `${state} now`, rule: "r", labels: { backlog: "emails" } }));
  render(
    <MantineProvider>
      <AlertList alerts={alerts} />
    </MantineProvider>,
  );
  expect(screen.getByText("firing now")).toBeInTheDocument();
  expect(screen.queryByText("resolved now")).toBeNull();
  expect(screen.getByText("2 times")).toBeInTheDocument();
});
