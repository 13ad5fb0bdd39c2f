"""The tests: unit/ mirrors the source, contract/ runs suites over many, integration/ has servers, e2e/ a browser."""
