import { MantineProvider } from "@mantine/core";
import { render } from "@testing-library/react";
import { expect, test } from "vitest";
import type { Run } from "../../api/queries";
import "../../i18n";
import { JsonView } from "../../ui/JsonView";
import { AttemptTimeline } from "./AttemptTimeline";

const HOSTILE = ["<script>window.hit = 1</script>", "<img src=x onerror='window.hit = 1'>", "</pre><svg onload=alert(1)>"];

const ATTEMPT = {
  number: 1,
  state: "succeeded",
  evidence: "reported",
  started_at: "2026-11-20T21:15:03Z",
  finished_at: "2026-11-20T21:15:04Z",
  duration_s: 1,
  cpu_s: 0.25,
  peak_memory_bytes: 96 * 1024 * 1024,
  exception: null,
  reason: "",
} as const;

test.each(HOSTILE)("markup in a payload is shown as text: %s", (value) => {
  const { container } = render(
    <MantineProvider>
      <JsonView value={value} label="text" />
      <JsonView value={{ [value]: [value] }} label="object" />
    </MantineProvider>,
  );
  expect(container.querySelector("script, img, svg")).toBeNull();
  expect(container.querySelector("[aria-label=text]")?.textContent).toBe(value);
});

test("what turns the direction of text is written out", () => {
  const { container } = render(
    <MantineProvider>
      <JsonView value={["\u202egpj.tpircs\u2069"]} label="turned" />
    </MantineProvider>,
  );
  expect(container.querySelector("[aria-label=turned]")?.textContent).toContain("\\u202egpj.tpircs\\u2069");
});

test("an attempt shows what it took, and whether it came after a success", () => {
  const attempts = [
    { ...ATTEMPT, worker: HOSTILE[1], duplicate: false },
    { ...ATTEMPT, number: 2, worker: "w", cpu_s: null, peak_memory_bytes: null, duplicate: true },
  ];
  const run = { enqueued_at: ATTEMPT.started_at, started_at: ATTEMPT.started_at, attempts } as unknown as Run;
  const { container, getAllByTestId } = render(
    <MantineProvider>
      <AttemptTimeline run={run} />
    </MantineProvider>,
  );
  expect(container.querySelector("img")).toBeNull();
  expect(getAllByTestId("attempt-taken").map((one) => one.textContent)).toEqual(["CPU 250 ms · peak 96 MiB", ""]);
  expect(container.textContent?.match(/ran again after success/g)).toHaveLength(1);
});
