import { expect, it } from "vitest";
import type { Worker } from "../../api/queries";
import { chosen, counted, readWorkerSearch } from "./search";

const worker = (name: string, state: Worker["state"]) => ({ worker: name, service: "orders", state }) as Worker;
const workers = [worker("a", "closed"), worker("d", "up"), worker("b", "up"), worker("c", "down"), worker("e", "wedged")];

it("shows those that are down first, then the living, then the closed, by name", () => {
  expect(chosen(workers, undefined).map((w) => w.worker)).toEqual(["c", "e", "b", "d", "a"]);
});

it("shows one state alone when it is asked for", () => {
  expect(chosen(workers, "up").map((w) => w.worker)).toEqual(["b", "d"]);
  expect(counted(workers)).toEqual({ down: 1, wedged: 1, up: 2, closed: 1 });
});

it("ignores a state in the address that no worker can have", () => {
  expect(readWorkerSearch({ state: "down" })).toEqual({ state: "down" });
  expect(readWorkerSearch({ state: "toString" })).toEqual({});
  expect(readWorkerSearch({ state: ["down"] })).toEqual({});
});
