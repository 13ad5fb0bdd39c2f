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
  expect(screen.getAllByTestId("labels").map((labels) => [...labels.children].map((label) => label.textContent))).toEqual([
    ["service=mail", "backlog=emails"],
    ["service=mail", "backlog=letters"],
  ]);
});
