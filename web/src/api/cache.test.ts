import { expect, it } from "vitest";
import { answers } from "./cache";
import { Problem } from "./client";

it("asks for the session again when the server no longer knows who asks", async () => {
  const client = answers();
  client.setQueryData(["session"], { required: true, ok: true });
  const refuse = (status: number) => client.fetchQuery({ queryKey: ["runs", status], queryFn: () => Promise.reject(new Problem(status, "no", "")) });
  await expect(refuse(404)).rejects.toThrow("no");
  expect(client.getQueryState(["session"])?.isInvalidated).toBe(false);
  await expect(refuse(401)).rejects.toThrow("no");
  expect(client.getQueryState(["session"])?.isInvalidated).toBe(true);
});
