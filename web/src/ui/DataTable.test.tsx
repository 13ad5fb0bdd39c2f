import { MantineProvider, Table } from "@mantine/core";
import { fireEvent, render, screen } from "@testing-library/react";
import { afterEach, expect, it, vi } from "vitest";
import { DataTable, Figure, percentiles, type Column } from "./DataTable";

const COLUMNS: (Column | false)[] = [{ key: "task", title: "Task" }, { key: "runs", title: "Runs", right: true, help: "in the window" }, false, ...percentiles()];

afterEach(() => vi.unstubAllGlobals());

function show(order?: { by: string; up: boolean; onSort: (column: string) => void }) {
  render(
    <MantineProvider>
      <DataTable name="tasks" minWidth={300} columns={COLUMNS} {...(order ? { order } : {})}>
        <Table.Tr>
          <Table.Td>orders.pay</Table.Td>
          <Figure title="exactly 1,200">1.2k</Figure>
        </Table.Tr>
      </DataTable>
    </MantineProvider>,
  );
}

it("shows its headings in order, without those left out", () => {
  show();
  expect(screen.getAllByRole("columnheader").map((heading) => heading.textContent)).toEqual(["Task", "Runs", "P50", "P95", "P99"]);
  expect(screen.getByText("Runs")).toHaveAttribute("title", "in the window");
  expect(screen.getByTitle("exactly 1,200")).toHaveTextContent("1.2k");
  expect(screen.queryByRole("button")).toBeNull();
});

it("says by which column rows are ordered, and is told of clicks on headings", () => {
  const onSort = vi.fn();
  show({ by: "runs", up: false, onSort });
  expect(screen.getAllByRole("columnheader").map((heading) => heading.getAttribute("aria-sort"))).toEqual(["none", "descending", "none", "none", "none"]);
  fireEvent.click(screen.getByRole("button", { name: "P95" }));
  expect(onSort).toHaveBeenCalledWith("P95");
});

it("takes the cells of columns away that a phone has no room for, and scrolls no more there", () => {
  vi.stubGlobal("matchMedia", (query: string) => ({ matches: query.includes("max-width"), addEventListener: () => undefined, removeEventListener: () => undefined }));
  show();
  const table = screen.getByTestId("tasks");
  expect(table).toHaveAttribute("data-without", "3 4");
  expect(table.closest("[style*='300']")).toBeNull();
});
