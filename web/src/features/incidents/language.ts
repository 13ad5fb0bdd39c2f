import { useTranslation } from "react-i18next";

/** What the server says in English, and in Chinese under the same name with `_zh`. */
type InBoth<Name extends string> = Record<Name | `${Name}_zh`, string>;

/** One text of an item in a language; English for languages that the server does not speak. */
export function said<Name extends string>(item: InBoth<Name>, name: Name, language: string): string {
  const chinese: `${Name}_zh` = `${name}_zh`;
  return language.toLowerCase().startsWith("zh") ? item[chinese] : item[name];
}

/** `said` in the language of the page, which is drawn anew when another one is chosen. */
export function useSaid() {
  const { language } = useTranslation().i18n;
  return <Name extends string>(item: InBoth<Name>, name: Name) => said(item, name, language);
}
