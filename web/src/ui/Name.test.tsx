import { render } from "@testing-library/react";
import { expect, it } from "vitest";
import { Name } from "./Name";

it("may break a name between its words, and leaves the name as it is", () => {
  const { container } = render(<Name of="orders.take_payment@vm:17" />);
  expect(container.innerHTML).toBe("orders.<wbr>take_<wbr>payment@<wbr>vm:<wbr>17");
  expect(container.textContent).toBe("orders.take_payment@vm:17");
});
