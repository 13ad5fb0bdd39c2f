import reactHooks from "eslint-plugin-react-hooks";
import tseslint from "typescript-eslint";

export default tseslint.config(
  { ignores: ["src/api/schema.generated.ts"] },
  ...tseslint.configs.strict,
  {
    plugins: { "react-hooks": reactHooks },
    rules: { ...reactHooks.configs.recommended.rules, eqeqeq: "error", "no-console": "error" },
  },
);
