import { expect, it } from "vitest";
import { en } from "./en";
import { zh } from "./zh";

function leaves(tree: object, path = ""): Map<string, string> {
  const found = new Map<string, string>();
  for (const [key, value] of Object.entries(tree)) {
    if (typeof value === "string") found.set(path + key, value);
    else for (const [k, v] of leaves(value as object, `${path}${key}.`)) found.set(k, v);
  }
  return found;
}

const english = leaves(en);
const chinese = leaves(zh);

it("says everything in both languages", () => {
  expect([...chinese.keys()].sort()).toEqual([...english.keys()].sort());
});

it("leaves out no area, and no area takes a name of another", () => {
  const areas = import.meta.glob<Record<string, object>>("./en/*.ts", { eager: true });
  const names = Object.values(areas).flatMap((area) => Object.values(area).flatMap((texts) => Object.keys(texts)));
  expect(names.sort()).toEqual(Object.keys(en).sort());
});

it("fills the same blanks in both languages", () => {
  const blanks = (text: string) => [...text.matchAll(/{{(\w+)}}/g)].map((match) => match[1]).sort();
  for (const [key, text] of english) expect([key, blanks(chinese.get(key) ?? "")]).toEqual([key, blanks(text)]);
});

it("leaves nothing untranslated", () => {
  const same = [...english].filter(([key, text]) => chinese.get(key) === text).map(([key]) => key);
  expect(same).toEqual(["run.worker"].filter((key) => same.includes(key)));
});
